"""What a DFT code says of one structure, and what every code has in common."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray


STAGE = "dft"


@dataclass(frozen=True)
class Label:
    """What a DFT code says of one structure.

    Attributes
    ----------
    energy_ev
        Of the whole cell, extrapolated to zero smearing, as in the Materials Project. Zero is the code's own.
    free_energy_ev
        The energy whose gradient the forces are.
    forces_ev_per_ang
        (n, 3).
    stress_ev_per_ang3
        (6,) xx yy zz yz xz xy, positive under tension.
    level_of_theory
        Functional, and the code where its energies are its own.
    evidence
        Code, cutoff, mesh, smearing, electronic steps and how far the last one still moved, potentials.
    """

    energy_ev: float
    free_energy_ev: float
    forces_ev_per_ang: NDArray[np.float64]
    stress_ev_per_ang3: NDArray[np.float64]
    level_of_theory: str
    evidence: dict[str, Any] = field(default_factory=dict)

    def extxyz(self, atoms: Atoms, frame_id: str) -> bytes:
        """Return the labelled frame as extended XYZ: ``energy``, ``forces``, ``stress``, and where it is from."""
        from ase.calculators.singlepoint import SinglePointCalculator
        from ase.io import write

        copy, text = atoms.copy(), io.StringIO()
        copy.info = {
            "frame_id": frame_id,
            "material": str(atoms.info.get("material", atoms.get_chemical_formula(empirical=True))),
            "level_of_theory": self.level_of_theory,
        }
        copy.calc = SinglePointCalculator(
            copy, energy=self.energy_ev, forces=self.forces_ev_per_ang, stress=self.stress_ev_per_ang3
        )
        write(text, copy, format="extxyz")
        return text.getvalue().encode()


def kpoint_mesh(atoms: Atoms, spacing_per_ang: float) -> tuple[int, int, int]:
    """Return the divisions of the Gamma-centered mesh, at least one along each reciprocal vector (2 pi included)."""
    lengths = 2.0 * math.pi * np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    first, second, third = (max(1, math.ceil(length / spacing_per_ang - 1e-9)) for length in lengths)
    return first, second, third


def read_frame(path: Path) -> Atoms:
    """Return the one structure of an extended XYZ file."""
    from ase.io import iread

    return next(iread(path, ":", format="extxyz"))
