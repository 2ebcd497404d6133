"""A model's answers on files of labelled frames, brought together as predictions."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pesbench.engine.predictions import Predictions, predict
from pesbench.sources.labelled import read_labels

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


def answers(calculator: Calculator, files: Iterable[Path]) -> Predictions:
    """Return the model's answers on every frame of some files; a frame that it refuses is kept as failed.

    Raises
    ------
    LabelError
        A file cannot be read, or its labels are refused.
    """
    return predict([frame for path in files for frame in read_labels(path)], calculator)


def as_text(found: Predictions) -> str:
    """Return what was done, for a log."""
    lines = [f"{len(found.ids)} frames of {len(set(found.materials))} materials"]
    pairs = zip(found.failed_ids, found.failures, strict=True)
    return "\n".join([*lines, *(f"{name}: failed ({why})" for name, why in pairs)])
