"""A corrected model in one call, for scripts of a user's own: weights verified, forces times c."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from pesbench.correction import CorrectionError, load
from pesbench.models.loaders import load_model
from pesbench.models.registry import load_registry

if TYPE_CHECKING:
    from pesbench.correction import CorrectedCalculator

#: Folder in which the registry and fetched weights lie: this file is scripts/pesbench/corrected.py below it.
ROOT = Path(__file__).resolve().parents[2]


def calculator(path: str | Path, device: str = "cpu") -> CorrectedCalculator:
    """Return the ASE calculator of a saved correction, around the registered model that it was fitted for.

    To be called in that model's environment (``.venvs/<environment>/bin/python``), from any folder.

    Raises
    ------
    CorrectionError
        The file is no correction, or does not say of which model.
    CheckpointError
        The model's weights are not here, or not the pinned ones.
    """
    correction = load(path)
    if not correction.model:
        raise CorrectionError(
            f"{path}: does not name its model; use pesbench.correction.load(...).wrap(calculator)"
        )
    with contextlib.chdir(ROOT):
        model = load_model(load_registry(Path("data/models.yaml")).get(correction.model), device)
    return correction.wrap(model.calculator)
