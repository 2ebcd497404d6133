"""Does ten-label fine-tuning beat the one-label correction, and that the published model? With intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pesbench.benchmarks.fine_tuning.settings import PARTS

if TYPE_CHECKING:
    from pesbench.benchmarks.fine_tuning.answers import Row

RESAMPLES = 2000
#: Labels of the fine-tuned model in the paper's comparison (Fig. 6a).
FEW = 10
Array = NDArray[np.float64]


def verdict_table(rows: list[Row], seed: int) -> pd.DataFrame:
    """Return one line a (set, model, comparison): the difference of force errors and its paired interval.

    Two methods answer for the same frames. The interval holds 95 % of the resamples of frames and, where there are
    several, of the choices of labels; ``holds`` where it lies below zero, ``does not hold`` where above, else
    ``undecided``. The one-label correction is that of the typical frame (seed 0).
    """
    found = [line for group in _groups(rows).values() for line in _lines(group, seed)]
    names = ["set", "model", "better", "worse", "n_frames", "n_choices", "mae_better_ev_per_ang"]
    names += ["mae_worse_ev_per_ang", "difference_ev_per_ang", "difference_low_ev_per_ang"]
    return pd.DataFrame(found, columns=[*names, "difference_high_ev_per_ang", "verdict"])


def _groups(rows: list[Row]) -> dict[tuple[str, str], list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.answers is not None:
            groups.setdefault((row.known["set"], row.known["model"]), []).append(row)
    return groups


def _lines(rows: list[Row], seed: int) -> list[dict[str, Any]]:
    known = {key: rows[0].known[key] for key in ("set", "model")}
    of: dict[tuple[str, int], list[Array]] = {}
    for row in rows:
        name, count = row.known["method"], row.known["n_labels"]
        if name == "correction" and count == 1 and row.known["seed"]:
            continue
        assert row.answers is not None
        of.setdefault((name, count), []).append(row.answers.frame_errors)
    counts = sorted({count for _, count in of if count})
    pairs = [(("correction", 1), ("pretrained", 0))]
    pairs += [((part, n), ("correction", 1)) for part in PARTS for n in counts]
    pairs += [((part, n), ("pretrained", 0)) for part in PARTS for n in counts]
    pairs += [((part, FEW), ("correction", FEW)) for part in PARTS]
    return [known | _compare(a, b, of[a], of[b], seed) for a, b in pairs if a in of and b in of]


def _compare(
    better: tuple[str, int], worse: tuple[str, int], first: list[Array], second: list[Array], seed: int
) -> dict[str, Any]:
    one, two = (np.array([errors[:, 0] for errors in side]) for side in (first, second))
    sizes = first[0][:, 1]
    generator = np.random.default_rng(seed)
    draws = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        frames = generator.integers(0, len(sizes), len(sizes))
        chosen = [side[generator.integers(0, len(side), len(side))].mean(axis=0) for side in (one, two)]
        draws[i] = (chosen[0][frames].sum() - chosen[1][frames].sum()) / sizes[frames].sum()
    low, high = np.quantile(draws, [0.025, 0.975])
    means = [float(side.mean(axis=0).sum() / sizes.sum()) for side in (one, two)]
    return {
        "better": name_of(*better),
        "worse": name_of(*worse),
        "n_frames": len(sizes),
        "n_choices": len(first),
        "mae_better_ev_per_ang": means[0],
        "mae_worse_ev_per_ang": means[1],
        "difference_ev_per_ang": means[0] - means[1],
        "difference_low_ev_per_ang": float(low),
        "difference_high_ev_per_ang": float(high),
        "verdict": "holds" if high < 0 else "does not hold" if low > 0 else "undecided",
    }


def name_of(method: str, count: int) -> str:
    """Return what a method is called: ``readout, 10 labels``."""
    return method if not count else f"{method}, {count} label{'s' if count > 1 else ''}"
