"""What a run of fine-tuning is called, and how it is trained (standard library only)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pesbench.naming import RESULTS

PARTS = ("last_layer", "readout", "all", "scratch")
RUN = re.compile(r"(last_layer|readout|all|scratch)-(\d+)-(.+)-(\d+)")


@dataclass(frozen=True)
class Settings:
    """How a model is trained; the defaults are for a CPU, the paper's are in config.yaml.

    Attributes
    ----------
    epochs
        Passes over the training frames.
    most_frame_passes
        Fewer epochs where that many frames (times epochs) have been shown; two epochs at least. 0: no bound.
    validation_share
        Of the labels; they are not trained on, and the epoch with their smallest force error is kept. One label is
        both trained on and kept to the last epoch.
    energy_weight, force_weight, stress_weight
        Of the mean squared errors of energy (eV/atom), forces (eV/A) and stress (GPa).
    mace_channels
        Channels of MACE from scratch.
    """

    epochs: int = 50
    most_frame_passes: int = 100
    batch_size: int = 1  # ASSUME: not in the paper
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    energy_weight: float = 0.1
    force_weight: float = 100.0
    stress_weight: float = 0.1
    validation_share: float = 0.1
    mace_channels: int = 16

    def __post_init__(self) -> None:
        for name, low, high, unit in (
            ("epochs", 1, 100_000, "epochs"),
            ("most_frame_passes", 0, 10**9, "frames"),
            ("batch_size", 1, 10_000, "frames"),
            ("learning_rate", 1e-8, 10.0, ""),
            ("final_learning_rate", 0.0, self.learning_rate, ""),
            ("energy_weight", 0.0, 1e6, ""),
            ("force_weight", 0.0, 1e6, ""),
            ("stress_weight", 0.0, 1e6, ""),
            ("validation_share", 0.01, 0.5, ""),
            ("mace_channels", 1, 1024, "channels"),
        ):
            if not low <= getattr(self, name) <= high:
                reach = f"from {low} to {high} {unit}".rstrip()
                raise ValueError(f"{name} is {getattr(self, name)!r}, must be {reach}")

    def epochs_for(self, trained: int) -> int:
        """Return how many epochs so many frames are trained for."""
        if not self.most_frame_passes:
            return self.epochs
        return max(min(self.epochs, 2), min(self.epochs, self.most_frame_passes // trained))


def run_id(part: str, count: int, labels: str, seed: int) -> str:
    """Return the name of one run."""
    return f"{part}-{count}-{labels}-{seed}"


def parse(name: str) -> dict[str, Any]:
    """Return ``part``, ``count``, ``set``, ``seed`` of a run's name."""
    found = RUN.fullmatch(name)
    assert found is not None, name
    return {"part": found[1], "count": int(found[2]), "set": found[3], "seed": int(found[4])}


def restart_file(model: str, name: str) -> Path:
    """Return where the state of an unfinished training lies."""
    return Path(RESULTS, "fine_tuning", model, "restart", f"{name}.pt")
