"""The loop around a package's trainer: epochs, the state that survives a kill, the best epoch, explosions.

Before each epoch the random numbers are seeded anew by run and epoch, so that what follows an epoch depends on the
saved state alone: a training that was killed ends with the numbers of one that was not.
"""

from __future__ import annotations

import io
import math
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pesbench.errors import RecordError
from pesbench.failures import Failure
from pesbench.files import write_atomic

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

STAGE = "training"
#: What ``torch.load`` raises on bytes that are no state, or a part of one.
UNREADABLE = (OSError, RuntimeError, EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError)
#: A mean force error beyond this has left physics (eV/A).
EXPLODED_EV_PER_ANG = 1000.0
#: ``last_layer``: the last linear maps before the energy; ``readout``: the whole readout; ``all`` weights; ``scratch``:
#: all, from random ones.
PARTS = ("last_layer", "readout", "all", "scratch")
GPA_PER_EV_PER_ANG3 = 160.21766208


@dataclass(frozen=True)
class Example:
    """A labelled structure to train on: energy (eV, of the cell, aligned), forces (eV/A), stress (eV/A^3, 3 x 3)."""

    atoms: Atoms
    energy_ev: float
    forces_ev_per_ang: NDArray[Any]
    stress_ev_per_ang3: NDArray[Any] | None


@dataclass(frozen=True)
class Plan:
    """How a model is trained.

    Attributes
    ----------
    part
        Which weights: one of `PARTS`.
    energy_weight, force_weight, stress_weight
        Of the mean squared errors of the energy (eV/atom), forces (eV/A) and stress (GPa) in the loss.
    learning_rate, final_learning_rate
        Adam's, from the first to the second along half a cosine over all epochs.
    """

    part: str
    epochs: int
    batch_size: int
    learning_rate: float
    final_learning_rate: float
    energy_weight: float
    force_weight: float
    stress_weight: float
    seed: int
    device: str = "cpu"
    mace_channels: int = 16


@dataclass
class Session:
    """A network, and what its package trains it with.

    Attributes
    ----------
    run_epoch
        Trains and validates once; returns what the trainer reports, ``valid_force_mae_ev_per_ang`` among it.
    files
        The network as the family's loader reads it: content by file name.
    """

    network: Any
    optimizer: Any
    scheduler: Any
    run_epoch: Callable[[], dict[str, float]]
    files: Callable[[], dict[str, bytes]]

    @property
    def trained(self) -> int:
        """Number of weights that are trained."""
        return sum(
            p.numel() for group in self.optimizer.param_groups for p in group["params"] if p.requires_grad
        )

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(p.numel() for p in self.network.parameters())


@dataclass
class Progress:
    """What a training has come to.

    Attributes
    ----------
    history
        What each epoch reported.
    best, best_epoch
        Weights of the epoch with the smallest force error on the validation frames, or of the last one.
    seconds
        Time in all epochs, those before a kill included.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    best_epoch: int = -1
    seconds: float = 0.0


def choose(network: Any, trained: list[Any], part: str) -> None:
    """Let only the weights of a part be trained; all of them for ``all`` and ``scratch``."""
    if part in ("all", "scratch"):
        return
    network.requires_grad_(False)
    for module in trained:
        module.requires_grad_(True)


def train(session: Session, plan: Plan, key: str, restart: Path, keep_best: bool = True) -> Progress:
    """Train to the last epoch, going on from ``restart`` where an earlier attempt was killed.

    Parameters
    ----------
    key
        Digest of all that the training depends on: the state of another one is not gone on from.
    keep_best
        End with the weights of the epoch with the best validation; otherwise with those of the last one.

    Raises
    ------
    Failure
        When a number is not finite any more, or the forces are off beyond reason; the message names the epoch.
    """
    import torch

    progress = _load(restart, key, session) or Progress()
    for epoch in range(len(progress.history), plan.epochs):
        torch.manual_seed(plan.seed * 100_003 + epoch)
        started = time.monotonic()
        report = session.run_epoch()
        progress.seconds += time.monotonic() - started
        _check(report, epoch, plan.epochs)
        progress.history.append(report)
        error = [h["valid_force_mae_ev_per_ang"] for h in progress.history]
        if not keep_best or error[-1] < min(error[:-1], default=math.inf):
            weights = session.network.state_dict()
            progress.best = {name: value.detach().clone() for name, value in weights.items()}
            progress.best_epoch = epoch
        _save(restart, key, session, progress)
        print(
            f"epoch {epoch + 1} of {plan.epochs}: " + ", ".join(f"{k} {v:.4f}" for k, v in report.items()),
            flush=True,
        )
    session.network.load_state_dict(progress.best)
    return progress


def _check(report: Mapping[str, float], epoch: int, epochs: int) -> None:
    where = f"in epoch {epoch + 1} of {epochs}"
    wrong = [name for name, value in report.items() if not math.isfinite(value)]
    if wrong:
        raise Failure(STAGE, f"exploded: {wrong[0]} is not finite {where}; try a smaller learning_rate")
    error = report["valid_force_mae_ev_per_ang"]
    if error > EXPLODED_EV_PER_ANG:
        raise Failure(
            STAGE, f"exploded: forces are {error:.0f} eV/A off {where}; try a smaller learning_rate"
        )


def _save(path: Path, key: str, session: Session, progress: Progress) -> None:
    import torch

    buffer = io.BytesIO()
    state = {
        "key": key,
        "network": session.network.state_dict(),
        "optimizer": session.optimizer.state_dict(),
        "scheduler": session.scheduler.state_dict(),
        **{name: getattr(progress, name) for name in Progress.__dataclass_fields__},
    }
    torch.save(state, buffer)
    write_atomic(path, buffer.getvalue())


def _load(path: Path, key: str, session: Session) -> Progress | None:
    """Put the session where a killed attempt at the same training was, or return None."""
    import torch

    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise RecordError(f"{path}: cannot be read; delete it, the training then starts anew") from error
    if state.pop("key") != key:
        return None
    session.network.load_state_dict(state.pop("network"))
    session.optimizer.load_state_dict(state.pop("optimizer"))
    session.scheduler.load_state_dict(state.pop("scheduler"))
    return Progress(**state)


def saved(value: Any) -> bytes:
    """Return what ``torch.save`` writes."""
    import torch

    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()
