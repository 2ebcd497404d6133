"""Prove the lines that load a correction: they are run as they stand, and their numbers kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pesbench.errors import PesbenchError
from pesbench.files import write_atomic

#: Noise on the coordinates (angstrom): a crystal at rest has no force to scale.
RATTLE_ANG = 0.05
RELATIVE = 1e-4


def prove(lines: Path, structure: Path, proof: Path) -> None:
    """Run the lines on a rattled copy of the structure and hold the forces against c times the model's own.

    Writes
    ------
    proof
        ``ran``: false where there is no correction for the model. Else c, and energy and largest force of the copy.

    Raises
    ------
    PesbenchError
        The corrected forces are not c times the model's.
    """
    if not lines.is_file():
        write_atomic(proof, json.dumps({"ran": False}) + "\n")
        return
    from pesbench.dft.result import read_frame

    atoms = read_frame(structure)
    atoms.rattle(RATTLE_ANG, seed=0)
    given: dict[str, Any] = {"atoms": atoms}
    exec(compile(lines.read_text(encoding="utf-8"), str(lines), "exec"), given)
    corrected = atoms.get_forces()
    energy_ev, c = float(atoms.get_potential_energy()), float(atoms.calc.c)
    own = atoms.calc.calculator.get_forces(atoms)
    if not np.allclose(corrected, c * own, rtol=RELATIVE, atol=RELATIVE):
        raise PesbenchError(
            f"{lines}: the corrected forces are not c = {c:.4f} times the model's; fit it again"
        )
    largest = float(np.linalg.norm(corrected, axis=1).max())
    kept = {"ran": True, "c": c, "energy_ev": energy_ev, "largest_force_ev_per_ang": largest}
    write_atomic(proof, json.dumps(kept, indent=1) + "\n")
