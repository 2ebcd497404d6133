"""Which family is trained by what, and in which environment."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pesbench.config import suggest
from pesbench.errors import ConfigError

if TYPE_CHECKING:
    from pesbench.engine.training.loop import Example, Plan, Session
    from pesbench.models.registry import ModelEntry

#: Family -> its module here, and the environment that it is trained in (the model's own, but for matgl's).
TRAINERS = {
    "chgnet": ("chgnet", "chgnet"),
    "mace": ("mace", "mace"),
    "matgl-dgl": ("matgl", "matgl-train"),
}


def training_environment(entry: ModelEntry) -> str:
    """Return the environment in which a model is trained.

    Raises
    ------
    ConfigError
        Its family has no trainer here.
    """
    family = entry.family.name
    if family not in TRAINERS:
        raise ConfigError(
            f"config.yaml, fine_tuning: {entry.name} is of family {family}, {suggest(family, TRAINERS)}"
        )
    return TRAINERS[family][1]


def needs_checkpoint(entry: ModelEntry, part: str) -> bool:
    """Return whether the published weights are opened: not for MACE from scratch."""
    return not (part == "scratch" and entry.family.name == "mace")


def open_session(
    entry: ModelEntry, train: Sequence[Example], valid: Sequence[Example], plan: Plan
) -> Session:
    """Verify the published weights and return the model ready to be trained."""
    from pesbench.models.loaders import verified_checkpoint

    checkpoint: Path | None = verified_checkpoint(entry) if needs_checkpoint(entry, plan.part) else None
    module = importlib.import_module(f"pesbench.engine.training.{TRAINERS[entry.family.name][0]}")
    session: Session = module.session(entry, checkpoint, train, valid, plan)
    return session
