"""How good a correction from few labels is: force errors on frames that it was not fitted on, against their number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pesbench.benchmarks.high_energy.score import Run, identity
from pesbench.correction import METHODS, CorrectionError, factor, typical
from pesbench.engine.predictions import Predictions
from pesbench.metrics import whole_counts

#: Labels of each compound.
COUNTS = (1, 2, 3, 5, 10, 30, 100)
#: Random choices of the labels; fewer in sets of many compounds, where one draw chooses in each.
DRAWS, DRAWS_OF_MANY = 200, 30
#: How the labels are chosen: at random; by the model's own forces, which costs no DFT, those nearest to the root
#: mean square of all (`pesbench.correction.typical`) or the largest.
CHOICES = ("random", "typical_forces", "largest_forces")
Array = NDArray[np.float64]
#: Forces of model and DFT of each frame of a compound, as flat components.
Frames = list[tuple[Array, Array]]


def correction_table(runs: list[Run], levels: Mapping[str, str], seed: int) -> pd.DataFrame:
    """Return one line a (set, model, number of labels, choice, method).

    One draw chooses the labels of every compound, fits its c and takes the error on all its other frames. Errors are
    of a force component, in eV/A; ``_low`` and ``_high`` bound 95 % of the draws. ``share_better`` is the share of
    draws in which the correction helped.
    """
    rows = [row for run in runs if run.predictions is not None for row in _rows(run, levels, seed)]
    names = ["set", "model", "level_of_theory", "labels_level_of_theory", "choice", "method", "n_labels"]
    names += ["n_compounds", "n_draws", "n_without_c", "force_mae_before_ev_per_ang"]
    names += [f"force_mae_after{end}_ev_per_ang" for end in ("", "_low", "_high")]
    names += ["share_better", "c", "c_low", "c_high"]
    return whole_counts(pd.DataFrame(rows, columns=names))


def _rows(run: Run, levels: Mapping[str, str], seed: int) -> Iterator[dict[str, Any]]:
    assert run.predictions is not None
    compounds = compounds_of(run.predictions)
    known = identity(run, levels)
    for count in COUNTS:
        enough = [frames for frames in compounds if len(frames) > count]
        # Half of the compounds at least: otherwise the numbers of labels are compared on different ones.
        if 2 * len(enough) < len(compounds) or not enough:
            continue
        for choice in CHOICES:
            for method in METHODS:
                yield known | _row(enough, count, choice, method, seed)


def compounds_of(found: Predictions) -> list[Frames]:
    """Return the frames of each compound, without those in which DFT has no force."""
    model, dft = found.split(found.forces_ev_per_ang), found.split(found.forces_dft_ev_per_ang)
    compounds: dict[str, Frames] = {}
    for material, y, x in zip(found.materials, model, dft, strict=True):
        if x.any():
            compounds.setdefault(str(material), []).append((y.ravel(), x.ravel()))
    return list(compounds.values())


def _row(compounds: list[Frames], count: int, choice: str, method: str, seed: int) -> dict[str, Any]:
    draws = 1 if choice != "random" else DRAWS if len(compounds) == 1 else DRAWS_OF_MANY
    generator = np.random.default_rng(seed)
    before, after, factors, without = np.empty(draws), np.empty(draws), [], 0
    for draw in range(draws):
        sums = np.zeros(3)
        for frames in compounds:
            labels = _choose(frames, count, choice, generator)
            c, held = _fit_and_hold_out(frames, labels, method)
            without += c is None
            factors.append(1.0 if c is None else c)
            sums += _errors(held, factors[-1])
        before[draw], after[draw] = sums[:2] / sums[2]
    low, high = np.quantile(after, [0.025, 0.975])
    return {
        "choice": choice,
        "method": method,
        "n_labels": count,
        "n_compounds": len(compounds),
        "n_draws": draws,
        "n_without_c": without,
        "force_mae_before_ev_per_ang": float(before.mean()),
        "force_mae_after_ev_per_ang": float(np.median(after)),
        "force_mae_after_low_ev_per_ang": float(low),
        "force_mae_after_high_ev_per_ang": float(high),
        "share_better": float((after < before).mean()),
        "c": float(np.median(factors)),
        "c_low": float(np.quantile(factors, 0.025)),
        "c_high": float(np.quantile(factors, 0.975)),
    }


def _choose(frames: Frames, count: int, choice: str, generator: np.random.Generator) -> set[int]:
    if choice == "random":
        return {int(i) for i in generator.choice(len(frames), count, replace=False)}
    if choice == "typical_forces":
        return set(typical([y for y, _ in frames], count))
    sizes = [float(np.sqrt((y**2).mean())) for y, _ in frames]
    return {int(i) for i in np.argsort(sizes)[-count:]}


def _fit_and_hold_out(frames: Frames, labels: set[int], method: str) -> tuple[float | None, Frames]:
    """Return c of the labelled frames, None where they do not tell, and the frames that it was not fitted on."""
    model, dft = (np.concatenate([frames[i][side] for i in sorted(labels)]) for side in (0, 1))
    held = [frame for i, frame in enumerate(frames) if i not in labels]
    try:
        return factor(model, dft, method), held
    except CorrectionError:
        return None, held


def _errors(frames: Frames, c: float) -> Array:
    """Return the sums of absolute errors before and after, and the number of components."""
    y, x = (np.concatenate([frame[side] for frame in frames]) for side in (0, 1))
    return np.array([np.abs(y - x).sum(), np.abs(c * y - x).sum(), y.size])
