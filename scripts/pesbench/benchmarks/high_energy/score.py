"""Softening scale of every set, compound, element and range of forces, from the predictions that were kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase.data import chemical_symbols
from numpy.typing import NDArray

from pesbench.benchmarks.high_energy.manifest import KEPT, read_manifest
from pesbench.engine.predictions import Predictions, read_predictions
from pesbench.labels import check_labels
from pesbench.metrics import whole_counts
from pesbench.naming import chunk_records, kept_file, merged_records
from pesbench.records import Record
from pesbench.softening import Scale, scale

#: Edges of the ranges of the size of an atom's DFT force (eV/A).
FORCE_EDGES = (0.0, 0.5, 1.0, 2.0, 5.0, np.inf)
#: A compound with fewer force components has no softening scale of its own.
LEAST_COMPONENTS = 12
IDENTITY = ("set", "model", "level_of_theory", "labels_level_of_theory")
COVERAGE = ("n_listed", "n_failed", "status", "message")


@dataclass(frozen=True)
class Run:
    """One model on one set; ``predictions`` is None where nothing finished."""

    model: str
    set: str
    n_listed: int
    record: Record | None
    predictions: Predictions | None


def read_runs(records: Mapping[str, list[Record]], manifest: Path) -> list[Run]:
    """Return what each model gave for each listed set, and for the user's own, in the order of models and sets."""
    listed = {line["set"]: int(line["n_frames"]) for line in read_manifest(manifest)}
    runs = []
    for model in sorted(records):
        of_model = {record.id: record for record in records[model]}
        for name in [*listed, *sorted(set(of_model) - set(listed))]:
            record = of_model.get(name)
            finished = record is not None and record.status == "ok"
            found = read_predictions(_kept(model, name)) if finished else None
            count = listed.get(name, record.values.get("n_frames", 0) if record else 0)
            runs.append(Run(model, name, count, record, found))
    return runs


def _kept(model: str, name: str) -> Path:
    return Path(kept_file(chunk_records("high_energy", model, "any"), f"{name}{KEPT}"))


def softening_table(runs: list[Run], levels: Mapping[str, str], seed: int) -> pd.DataFrame:
    """Return one line a (set, model, group): see `groups`; a set without a run has one line, without numbers.

    Returns
    -------
    pandas.DataFrame
        Forces in eV/A; slopes without unit, with the bootstrap 95 % interval over frames (``slope_low``,
        ``slope_high``).
    """
    rows = [row for run in runs for row in _rows(run, levels, seed)]
    names = [*IDENTITY, "grouping", "group", *Scale.__dataclass_fields__, *COVERAGE, "record"]
    return whole_counts(pd.DataFrame(rows, columns=names))


def _rows(run: Run, levels: Mapping[str, str], seed: int) -> Iterator[dict[str, Any]]:
    known = identity(run, levels)
    rest = coverage(run) | {
        "record": f"{merged_records('high_energy', run.model)}#{run.set}" if run.record else ""
    }
    if run.predictions is None:
        yield known | {"grouping": "set", "group": "all", "n_frames": 0, "n_components": 0} | rest
        return
    for grouping, group, atoms in groups(run.predictions):
        measured = asdict(_scale(run.predictions, atoms, seed))
        yield known | {"grouping": grouping, "group": group} | measured | rest


def groups(found: Predictions) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Yield (grouping, group, which atoms): all of a set, each compound, each element, each range of DFT forces.

    A group whose DFT forces all vanish, or a compound with too few components, is left out.
    """
    yield "set", "all", np.ones(len(found.numbers), dtype=bool)
    of_atom = found.materials[found.frame_of_atom]
    size = np.linalg.norm(found.forces_dft_ev_per_ang, axis=1)
    for material in sorted(set(found.materials)) if len(set(found.materials)) > 1 else ():
        atoms = of_atom == material
        if 3 * atoms.sum() >= LEAST_COMPONENTS and size[atoms].any():
            yield "compound", str(material), atoms
    for number in np.unique(found.numbers):
        if size[found.numbers == number].any():
            yield "element", chemical_symbols[number], found.numbers == number
    for low, high in pairwise(FORCE_EDGES):
        atoms = (size >= low) & (size < high)
        if size[atoms].any():
            yield "force_ev_per_ang", f"{low:g}-{high:g}" if np.isfinite(high) else f">{low:g}", atoms


def _scale(found: Predictions, atoms: NDArray[np.bool_], seed: int) -> Scale:
    frame = np.repeat(found.frame_of_atom[atoms], 3)
    model, dft = found.forces_ev_per_ang[atoms].ravel(), found.forces_dft_ev_per_ang[atoms].ravel()
    return scale(model, dft, frame, seed)


def identity(run: Run, levels: Mapping[str, str]) -> dict[str, Any]:
    """Return what every line of every table begins with: set, model, and both levels of theory."""
    found = run.predictions
    labels = " and ".join(sorted({str(level) for level in found.levels})) if found else ""
    values = (run.set, run.model, levels.get(run.model, ""), labels)
    return dict(zip(IDENTITY, values, strict=True))


def coverage(run: Run) -> dict[str, Any]:
    """Return how much of a set the model finished."""
    record = run.record
    values = record.values if record else {}
    message = (record.message or values.get("first_failure", "")) if record else ""
    status = record.status if record else "not_run"
    return dict(zip(COVERAGE, (run.n_listed, values.get("n_failed", 0), status, message), strict=True))


def labels_table(runs: list[Run]) -> pd.DataFrame:
    """Return one line a suspicion about the labels of a set, from the answers of all its models together."""
    answers: dict[str, dict[str, Predictions]] = {}
    for run in runs:
        if run.predictions is not None:
            answers.setdefault(run.set, {})[run.model] = run.predictions
    rows = [
        {
            "set": name,
            "models": " ".join(of_set),
            "kind": finding.kind,
            "n_frames": len(finding.frames) or len(next(iter(of_set.values())).ids),
            "frames": " ".join(finding.frames),
            "evidence": finding.evidence,
        }
        for name, of_set in answers.items()
        for finding in check_labels(of_set)
    ]
    return pd.DataFrame(rows, columns=["set", "models", "kind", "n_frames", "frames", "evidence"])
