"""Which frames a run trains on, which it chooses its epoch by, which it is judged on; and where energies count from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pesbench.correction import typical
from pesbench.failures import Failure
from pesbench.sources.frames import Frame

STAGE = "labels"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """Frames of one run; ``valid`` is ``train`` where there is a single label."""

    train: list[Frame]
    valid: list[Frame]
    test: list[Frame]

    @property
    def labels(self) -> list[Frame]:
        """All frames whose labels the run has seen."""
        return self.train if self.valid == self.train else [*self.train, *self.valid]


def split(
    frames: Sequence[Frame], forces: Sequence[Array], count: int, seed: int, validation_share: float
) -> Split:
    """Choose the labels of a run among the training frames of a set.

    The first label of seed k is the k-th nearest to typical forces (`pesbench.correction.typical`, as for a correction
    from one label), the others are drawn by the seed: ten labels hold the one of the same seed, a hundred the ten.

    Parameters
    ----------
    forces
        Forces (eV/A) on each frame by which the first label is chosen: the published model's.

    Raises
    ------
    Failure
        No test split, or fewer training frames than asked for.
    """
    pool = [i for i, frame in enumerate(frames) if frame.split == "train"]
    test = [frame for frame in frames if frame.split == "test"]
    if not test or not pool:
        raise Failure(
            STAGE, "the set has no split into train and test; state split=train or split=test of each frame"
        )
    if count > len(pool) or seed >= len(pool):
        raise Failure(STAGE, f"the set has {len(pool)} training frames, {count} are asked for (seed {seed})")
    first = pool[typical([forces[i] for i in pool], seed + 1)[seed]]
    rest = np.random.default_rng([seed, len(pool)]).permutation([i for i in pool if i != first])
    chosen = [frames[i] for i in (first, *rest[: count - 1])]
    if count == 1:
        return Split(chosen, chosen, test)
    held = max(1, round(validation_share * count))
    return Split(chosen[:-held], chosen[-held:], test)


def composition(frames: Sequence[Frame]) -> tuple[list[int], Array]:
    """Return the atomic numbers in some frames, and how many atoms of each a frame has (frames, elements)."""
    numbers = sorted({int(n) for frame in frames for n in frame.atoms.numbers})
    return numbers, np.array([[(f.atoms.numbers == n).sum() for n in numbers] for f in frames], dtype=float)


def energy_reference(labels: Sequence[Frame], model_ev: Array) -> dict[int, float]:
    """Return the energy (eV an atom) of each element that DFT counts from and the model does not.

    Fitted on the labels alone: least squares of the differences per atom. One label, or one element: the mean.
    """
    numbers, counts = composition(labels)
    sizes = counts.sum(axis=1)
    apart = (np.array([f.energy_ev for f in labels]) - model_ev) / sizes
    fitted, *_ = np.linalg.lstsq(counts / sizes[:, None], apart, rcond=None)
    return dict(zip(numbers, map(float, fitted), strict=True))


def referred(frame: Frame, reference: dict[int, float]) -> float:
    """Return a frame's labelled energy (eV) counted from where the model counts."""
    return frame.energy_ev - sum(reference.get(int(n), 0.0) for n in frame.atoms.numbers)
