"""High-energy states: Deng et al. (2025), Figs. 5 and 6, Supplementary Figs. 2, 6 and 7; MatterSim-MT, Table S3.

A material of this benchmark is one set of labelled frames: structures far from equilibrium with the energy, forces and
stress that DFT gave for them. The model answers for every frame as it stands, nothing is relaxed. All answers are kept;
tables, figures and corrections are made from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pesbench.benchmarks.high_energy.manifest import KEPT, MANIFEST, read_manifest
from pesbench.config import whole_number
from pesbench.failures import Failure, stage
from pesbench.naming import labelled

if TYPE_CHECKING:
    import pandas as pd
    from ase.calculators.calculator import Calculator

    from pesbench.records import Record
    from pesbench.sources.frames import Frame

PROTOCOL = 1
TABLES = ("high_energy_softening", "high_energy_correction", "high_energy_labels", "mattersim_mt_s3")
FIGURES = (
    "deng2025_fig5a",
    "deng2025_fig5b",
    "deng2025_fig6a",
    "deng2025_fig6b",
    "deng2025_sfig2",
    "deng2025_sfig6",
    "deng2025_sfig7",
    "high_energy_correction",
)
#: Nothing on file is run beside the models: the labels are in the sets themselves.
REFERENCES: dict[str, str] = {}


@dataclass(frozen=True)
class Settings:
    """Protocol of one run.

    Attributes
    ----------
    most_frames
        Evaluate at most so many frames of each set, evenly spaced through it; 0: all.
    """

    most_frames: int = 0

    def __post_init__(self) -> None:
        whole_number(self.most_frames, "benchmarks.high_energy.most_frames", 0, 10_000_000, "frames")


def costs(path: Path) -> dict[str, float]:
    """Return the cost of each set: atoms in all its frames."""
    return {line["set"]: float(line["n_atoms"]) for line in read_manifest(path)}


def sets(path: Path) -> dict[str, list[str]]:
    """Return the named lists that config.yaml may ask for: the sets of one publication."""
    found: dict[str, list[str]] = {}
    for line in read_manifest(path):
        found.setdefault(line["collection"], []).append(line["set"])
    return found


def tasks(path: Path) -> dict[str, dict[str, str]]:
    """Return which part of its file each set is, and what its labels were calculated with."""
    return {
        line["set"]: {"part": line["part"], "level_of_theory": line["level_of_theory"]}
        for line in read_manifest(path)
    }


def structure_file(name: str) -> str:
    """Return the file that a listed set is in, once it is fetched."""
    files = {line["set"]: line["file"] for line in read_manifest(Path(MANIFEST))}
    return labelled(files[name])


def run(
    structure: Path, task: Mapping[str, str] | None, calculator: Calculator, settings: Settings
) -> dict[str, Any]:
    """Evaluate every frame of one set.

    Parameters
    ----------
    structure
        File of labelled frames, of any kind that `pesbench.sources.labelled.read_labels` reads.
    task
        From `tasks`; None for a set of one's own, which states its level of theory itself.

    Returns
    -------
    dict
        Counts and the pooled softening scale, and under ``files`` the predictions to keep.

    Raises
    ------
    pesbench.failures.Failure
        When the labels are refused, or the model finishes no frame.
    """
    import numpy as np

    from pesbench.engine.predictions import predict, to_bytes
    from pesbench.softening import corrected_mae, slope

    with stage("labels"):
        frames = _frames(structure, task or {}, settings.most_frames)
    found = predict(frames, calculator)
    if not len(found.ids):
        raise Failure("evaluation", f"no frame finished; the first: {found.failures[0]}")
    model, dft = found.forces_ev_per_ang.ravel(), found.forces_dft_ev_per_ang.ravel()
    values: dict[str, Any] = {
        "n_frames": len(frames),
        "n_failed": len(found.failed_ids),
        "first_failure": str(found.failures[0]) if len(found.failures) else "",
        "n_components": len(dft),
        "labels_level_of_theory": str(found.levels[0]),
        "force_mae_ev_per_ang": float(np.abs(model - dft).mean()),
    }
    if dft.any():
        values |= {"slope": slope(model, dft), "force_cmae_ev_per_ang": corrected_mae(model, dft)}
    return {**values, "files": {KEPT: to_bytes(found)}}


def _frames(structure: Path, task: Mapping[str, str], most: int) -> list[Frame]:
    """Return a set's frames: those of its part of the file, and of these at most so many, evenly spaced."""
    from pesbench.sources.labelled import read_labels

    frames = read_labels(structure, task.get("level_of_theory", ""), repeats_allowed=True)
    materials = sorted({frame.material for frame in frames})
    if part := task.get("part"):
        # "3/10": every tenth material from the fourth on; anything else is the name of one material.
        number, _, of = part.partition("/")
        chosen = set(materials[int(number) :: int(of)]) if of else {part}
        frames = [frame for frame in frames if frame.material in chosen]
    if not frames:
        raise Failure("labels", f"{structure}: holds no frame of part '{task['part']}'; mend {MANIFEST}")
    if most and len(frames) > most:
        frames = [frames[i * (len(frames) - 1) // (most - 1)] if most > 1 else frames[0] for i in range(most)]
    return frames


def tables(
    records: Mapping[str, list[Record]], levels: Mapping[str, str], seed: int
) -> dict[str, pd.DataFrame]:
    """Return every table of `TABLES` from the records of the models and the predictions kept beside them."""
    from pesbench.benchmarks.high_energy import curves, errors, score

    runs = score.read_runs(records, Path(MANIFEST))
    frames = (
        score.softening_table(runs, levels, seed),
        curves.correction_table(runs, levels, seed),
        score.labels_table(runs),
        errors.table(runs, levels),
    )
    return dict(zip(TABLES, frames, strict=True))


__all__ = ["KEPT", "MANIFEST", "Settings", "costs", "read_manifest", "run", "sets", "tables", "tasks"]
