"""Answers of a model for states that nobody has labelled: what models can be compared by with each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROTOCOL = 1
MANIFEST = ""
#: Suffix of the file of answers that is kept.
KEPT = ".predictions.npz"


@dataclass(frozen=True)
class Settings:
    """Nothing to choose: every frame is answered as it stands."""


def costs(path: Path) -> dict[str, float]:
    """Return nothing: a set is one job."""
    return {}


def tasks(path: Path) -> dict[str, Any]:
    """Return nothing: the frames are all."""
    return {}


def run(structure: Path, task: None, calculator: Any, settings: Settings) -> dict[str, Any]:
    """Evaluate every frame of an extended XYZ file without labels.

    Returns
    -------
    dict
        Counts; ``files``: the answers (`pesbench.engine.predictions`), the labels in them not a number.

    Raises
    ------
    pesbench.failures.Failure
        When the file cannot be read, or the model finishes no frame.
    """
    import numpy as np
    from ase.io import read

    from pesbench.engine.predictions import predict, to_bytes
    from pesbench.failures import Failure, stage
    from pesbench.sources.frames import Frame

    with stage("structure"):
        images = read(structure, ":", format="extxyz")
    frames = [
        Frame(
            id=str(atoms.info["frame_id"]),
            material=str(atoms.info.get("material", "")),
            atoms=atoms,
            energy_ev=float("nan"),
            forces_ev_per_ang=np.full((len(atoms), 3), np.nan),
            stress_ev_per_ang3=None,
            level_of_theory="",
        )
        for atoms in images
    ]
    found = predict(frames, calculator)
    if not len(found.ids):
        raise Failure("evaluation", f"no frame finished; the first: {found.failures[0]}")
    first = str(found.failures[0]) if len(found.failures) else ""
    counts = {"n_frames": len(frames), "n_failed": len(found.failed_ids), "first_failure": first}
    return {**counts, "files": {KEPT: to_bytes(found)}}
