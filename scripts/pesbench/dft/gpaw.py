"""Labels by GPAW: PAW and plane waves, open source, its potentials from the package gpaw-data."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from pesbench.dft.result import STAGE, Label, kpoint_mesh
from pesbench.errors import DftError
from pesbench.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ase import Atoms

    from pesbench.dft.settings import DftSettings

LEVEL_OF_THEORY = "PBE (GPAW)"
# Elements that the Materials Project starts with a moment (MPRelaxSet); the others are computed without spin.
MOMENTS = {"V": 5.0, "Cr": 5.0, "Mn": 5.0, "Fe": 5.0, "Co": 5.0, "Ni": 5.0, "Eu": 10.0, "Ce": 5.0}
# The Materials Project gives these a Hubbard U in oxides and fluorides; models trained on it have learnt that.
HUBBARD = frozenset({"Co", "Cr", "Fe", "Mn", "Mo", "Ni", "V", "W"})


def check_ready() -> None:
    """Raise DftError when GPAW is not there."""
    if importlib.util.find_spec("gpaw") is None:
        raise DftError("GPAW is not installed in this environment; build the one of envs/gpaw.txt")


def label_gpaw(atoms: Atoms, settings: DftSettings, folder: Path) -> Label:
    """Return the label of a structure (PBE, spin where an element is known for it); see `pesbench.dft.label`."""
    check_ready()
    from gpaw import KohnShamConvergenceError

    refuse_hubbard(atoms)
    folder.mkdir(parents=True, exist_ok=True)
    work = atoms.copy()
    work.set_initial_magnetic_moments([MOMENTS.get(symbol, 0.0) for symbol in work.symbols])
    mesh = kpoint_mesh(work, settings.kpoint_spacing_per_ang)
    work.calc = calculator(settings, mesh, folder / "gpaw.txt")
    try:
        energy_ev = work.get_potential_energy()
    except KohnShamConvergenceError as error:
        steps = f"electrons not converged after {settings.max_scf_steps} steps"
        raise Failure(STAGE, f"{steps} ({folder / 'gpaw.txt'})", status="not_converged") from error
    return Label(
        energy_ev=float(energy_ev),
        free_energy_ev=float(work.get_potential_energy(force_consistent=True)),
        forces_ev_per_ang=np.asarray(work.get_forces(), dtype=np.float64),
        stress_ev_per_ang3=np.asarray(work.get_stress(), dtype=np.float64),
        level_of_theory=LEVEL_OF_THEORY,
        evidence=_evidence(work, settings, mesh),
    )


def needs_hubbard(symbols: Iterable[str]) -> list[str]:
    """Return the elements that the Materials Project gives a Hubbard U in a structure of these; sorted."""
    there = set(symbols)
    return sorted(there & HUBBARD) if there & {"O", "F"} else []


def refuse_hubbard(atoms: Atoms) -> None:
    """Refuse a structure for which plain PBE is not what the Materials Project computes."""
    if with_u := needs_hubbard(atoms.symbols):
        what = f"{', '.join(with_u)} with O or F has a Hubbard U in the Materials Project"
        raise Failure(STAGE, f"{what}: a plain PBE label would mix levels of theory; label it with vasp")


def calculator(settings: DftSettings, mesh: tuple[int, int, int], log: Path) -> Any:
    """Return GPAW's calculator with plane waves; no point symmetry, as a hot state has none."""
    from gpaw import GPAW, PW, FermiDirac

    return GPAW(
        mode=PW(settings.cutoff_ev),
        xc="PBE",
        kpts={"size": mesh, "gamma": True},
        occupations=FermiDirac(settings.smearing_ev),
        convergence={"forces": settings.force_change_ev_per_ang},
        maxiter=settings.max_scf_steps,
        symmetry={"point_group": False},
        txt=str(log),
    )


def _evidence(work: Atoms, settings: DftSettings, mesh: tuple[int, int, int]) -> dict[str, Any]:
    calculator = work.calc
    setups = {setup.symbol: setup.fingerprint for setup in calculator.setups}
    return {
        "code": "gpaw",
        "cutoff_ev": settings.cutoff_ev,
        "kpoint_mesh": list(mesh),
        "kpoint_mesh_type": "gamma",
        "smearing": "fermi-dirac",
        "smearing_ev": settings.smearing_ev,
        "scf_steps": int(calculator.get_number_of_iterations()),
        "force_change_below_ev_per_ang": settings.force_change_ev_per_ang,
        "net_force_ev_per_ang": float(np.linalg.norm(work.get_forces().sum(axis=0)) / len(work)),
        "magnetic_moment_mu_b": float(work.get_magnetic_moment())
        if work.get_initial_magnetic_moments().any()
        else 0.0,
        "potentials": dict(sorted(setups.items())),
    }
