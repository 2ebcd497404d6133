"""Mean absolute errors of numbers in phonon records against a database: for each model, on three sets of materials."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pesbench import metrics

if TYPE_CHECKING:
    from pesbench.records import Record

ABOUT = (
    *("model", "published_as", "reference", "level_of_theory", "reference_level_of_theory", "set"),
    *("n_ok", "n_failed", "n_not_converged", "n_not_run"),
)


@dataclass(frozen=True)
class Quantity:
    """One number of a record (dotted path), the stem of its columns, its unit and the factor to it."""

    path: str
    stem: str
    unit: str
    scale: float = 1.0

    @property
    def published(self) -> str:
        """Column of the published error."""
        return f"mae_published_{self.stem}_{self.unit}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns: n, error, its bounds, what an unfinished material counts as, the published error."""
        own = (f"mae{bound}_{self.stem}_{self.unit}" for bound in ("", "_low", "_high"))
        return f"n_{self.stem}", *own, f"unfinished_counts_as_{self.stem}_{self.unit}", self.published


def score(
    records: Mapping[str, list[Record]],
    references: Mapping[str, list[Record]],
    levels: Mapping[str, str],
    quantities: tuple[Quantity, ...],
    seed: int,
) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Yield the line of each (model or other reference, reference, set) with its errors, and all rows of the model.

    Without any reference the lines state coverage only. Sets as in `pesbench.metrics.row_sets`.
    """
    everything = {**records, **references}
    for reference in sorted(references) or [""]:
        models = {name: everything[name] for name in everything if name != reference}
        scored = error_frame(models, references.get(reference, []), quantities)
        worst = {q: float(scored[q.stem].max()) if len(scored) else math.nan for q in quantities}
        for model, name, part in metrics.row_sets(scored, models):
            rows = scored[scored["model"] == model]
            line = about(model, reference, levels) | {"set": name} | metrics.coverage_of(rows["status"])
            for quantity in quantities:
                line |= _errors(part, quantity, worst[quantity], seed)
                if name == "penalised":
                    line[quantity.columns[4]] = worst[quantity]
            yield line, rows


def error_frame(
    models: Mapping[str, list[Record]], reference: list[Record], quantities: tuple[Quantity, ...]
) -> pd.DataFrame:
    """Return one line a (material, model) with each quantity's absolute error against the reference, in its unit.

    The materials are the reference's finished ones, or without a reference every one of any model.
    """
    known = {record.id: record.values for record in reference if record.status == "ok"}
    materials = sorted(known) or sorted({r.id for records in models.values() for r in records})
    lines = []
    for model, records in models.items():
        found = {record.id: record for record in records}
        for material in materials:
            record = found.get(material)
            values = record.values if record and record.status == "ok" else {}
            line = {"row": material, "model": model, "status": record.status if record else "not_run"}
            lines.append(line | {q.stem: _error(q, values, known.get(material, {})) for q in quantities})
    return pd.DataFrame(lines, columns=["row", "model", "status", *(q.stem for q in quantities)])


def _error(quantity: Quantity, values: Mapping[str, Any], reference: Mapping[str, Any]) -> float:
    """Return the absolute error, NaN where either side has no value."""
    difference = metrics.lookup(values, quantity.path) - metrics.lookup(reference, quantity.path)
    return abs(quantity.scale * difference)


def _errors(part: pd.DataFrame, quantity: Quantity, worst: float, seed: int) -> dict[str, float]:
    """Return n, mean absolute error and its bounds."""
    # ASSUME: a material that a model cannot finish is as wrong as the worst finished one of any model in the table.
    errors = part[quantity.stem].where(part["status"] == "ok", worst).dropna().to_numpy(float)
    found = metrics.error_summary(errors, np.zeros_like(errors), "x", seed)
    values = (found[name] for name in ("n", "mae_x", "mae_low_x", "mae_high_x"))
    return dict(zip(quantity.columns[:4], values, strict=True))


def about(model: str, reference: str, levels: Mapping[str, str]) -> dict[str, Any]:
    """Return who is compared with whom, and their levels of theory."""
    return {
        "model": model,
        "reference": reference,
        "level_of_theory": levels.get(model, ""),
        "reference_level_of_theory": levels.get(reference, ""),
    }


def not_run(model: str, levels: Mapping[str, str]) -> dict[str, Any]:
    """Return the line of a published model that nothing of ours stands for."""
    return about(model, "", levels) | {"set": "not_run", "n_ok": 0, "n_failed": 0, "n_not_converged": 0}


def published_number(published: pd.DataFrame, name: str, column: str) -> float:
    """Return one published value of a model, NaN where the paper has none."""
    found = published.loc[published["model"] == name, column]
    return float(found.iloc[0]) if len(found) else math.nan
