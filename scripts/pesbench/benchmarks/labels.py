"""DFT labels of sampled states: the same jobs, records and resume as a model's, with a DFT code in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pesbench.dft.settings import DftSettings as Settings
from pesbench.naming import dft_folder

__all__ = ["Settings"]

PROTOCOL = 1
MANIFEST = ""


def costs(path: Path) -> dict[str, float]:
    """Return nothing: every frame counts the same."""
    return {}


def tasks(path: Path) -> dict[str, Any]:
    """Return nothing: the frame is all."""
    return {}


def run(structure: Path, task: None, calculator: None, settings: Settings) -> dict[str, Any]:
    """Label one frame.

    Returns
    -------
    dict
        Energies, level of theory, evidence of convergence; ``files``: the labelled frame, extended XYZ.

    Raises
    ------
    pesbench.failures.Failure
        ``not_converged`` where the electrons were not; the frame then has no label.
    """
    import numpy as np

    from pesbench.dft.label import label
    from pesbench.dft.result import read_frame
    from pesbench.failures import stage

    with stage("structure"):
        atoms = read_frame(structure)
    found = label(atoms, settings, Path(dft_folder(settings.code, structure.stem)))
    forces = np.linalg.norm(found.forces_ev_per_ang, axis=1)
    return {
        "formula": atoms.get_chemical_formula(),
        "energy_ev": found.energy_ev,
        "free_energy_ev": found.free_energy_ev,
        "max_force_ev_per_ang": float(forces.max()),
        "level_of_theory": found.level_of_theory,
        "evidence": found.evidence,
        "files": {".extxyz": found.extxyz(atoms, structure.stem)},
    }
