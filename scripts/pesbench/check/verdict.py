"""How soft a model is on one material, how sure that is, and whether a number mends it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pesbench.correction import CorrectionError, factor
from pesbench.engine.predictions import Predictions

Array = NDArray[np.float64]
#: A slope nearer to 1 than this is fine where the interval stays within `FINE_INTERVAL` of 1.
FINE, FINE_INTERVAL = 0.05, 0.10
#: Forces that follow DFT's less than this are wrong in direction, not in size: there is no softness to state.
LEAST_CORRELATION = 0.7
#: With fewer frames nothing is said at all.
LEAST_FRAMES = 3
#: Ranges of force count for evenness from so many components and frames on, and are uneven by this much.
RANGE_COMPONENTS, UNEVEN = 30, 0.15
#: A correction that takes off less than this share of the error is not worth the trouble.
WORTH = 0.05
FOLDS = 10
#: Share of random choices of n labels that have to help before n is called enough, and how near to the best.
SHARE_BETTER, NEAR_BEST = 0.95, 1.05
#: Kinds of doubtful labels that forbid a verdict where they concern the whole set.
FORBID = ("sign", "unit", "levels")


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float

    def words(self, digits: int = 2) -> str:
        """Return value and interval for people."""
        if math.isnan(self.low):
            return f"{self.value:.{digits}f}"
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


@dataclass(frozen=True)
class Advice:
    """Whether a correction helps.

    Attributes
    ----------
    word
        ``helps``, ``hardly``, ``does not help``, ``cannot say``.
    ratio
        Error after over before on frames that c was not fitted on (cross-validated).
    n_labels
        Random labels that are enough; 0: unknown, or none.
    one_typical
        Error after over before with the one label whose forces are typical, chosen by the model alone; NaN: unknown.
    reason
        In words.
    """

    word: str
    ratio: Interval
    n_labels: int
    one_typical: float
    reason: str


@dataclass(frozen=True)
class Verdict:
    """One model on the material.

    Attributes
    ----------
    word
        ``soft``, ``fine``, ``stiff``, ``cannot say``.
    slope
        Of its force components against DFT's, with an interval that is wider where frames are few.
    uneven
        Range of force and slope where it is least and where it is largest, if they differ for sure; else empty.
    reason
        Why nothing can be said; else empty.
    """

    model: str
    word: str
    slope: Interval
    n_frames: int
    n_failed: int
    n_components: int
    correlation: float
    mae_ev_per_ang: float
    cmae_ev_per_ang: float
    uneven: tuple[tuple[str, float], ...]
    reason: str
    advice: Advice


NONE = Interval(math.nan, math.nan, math.nan)


def widened(value: float, low: float, high: float, n_frames: int) -> Interval:
    """Return a bootstrap interval made as wide as few frames ask for.

    The bootstrap of n frames has a standard error too small by sqrt((n-1)/n), and takes it for known: Student's t with
    n - 1 degrees of freedom over the normal deviate.
    """
    from scipy.stats import t

    if n_frames < 2 or not math.isfinite(low):
        return Interval(value, math.nan, math.nan)
    more = float(t.ppf(0.975, n_frames - 1)) / 1.959964 * math.sqrt(n_frames / (n_frames - 1))
    return Interval(value, value - more * (value - low), value + more * (high - value))


def word_of(slope: Interval) -> str:
    """Return the verdict that a slope allows."""
    if math.isnan(slope.low):
        return "cannot say"
    if slope.high < 1 and slope.value < 1 - FINE:
        return "soft"
    if slope.low > 1 and slope.value > 1 + FINE:
        return "stiff"
    within = slope.low > 1 - FINE_INTERVAL and slope.high < 1 + FINE_INTERVAL
    return "fine" if within and abs(slope.value - 1) <= FINE else "cannot say"


def judge(
    model: str,
    found: Predictions | None,
    message: str,
    softening: pd.DataFrame,
    curve: pd.DataFrame,
    doubts: list[str],
    seed: int,
) -> Verdict:
    """Judge one model.

    Parameters
    ----------
    found, message
        Its answers; None where it finished nothing, and why.
    softening, curve
        Its lines of the tables of slopes and of corrections.
    doubts
        What forbids a verdict whatever the numbers are.
    """
    whole = softening[softening["grouping"] == "set"]
    if found is None or not len(whole) or not whole["n_components"].iloc[0]:
        nothing = Advice("cannot say", NONE, 0, math.nan, "there are no forces to fit it to")
        reason = message or "the labels have no forces"
        none = math.nan
        return Verdict(model, "cannot say", NONE, 0, 0, 0, none, none, none, (), reason, nothing)
    line: dict[str, Any] = whole.iloc[0].to_dict()
    n = int(line["n_frames"])
    slope = widened(line["slope"], line["slope_low"], line["slope_high"], n)
    uneven = uneven_ranges(softening)
    reason = _why_not(slope, n, float(line["correlation"]), doubts)
    return Verdict(
        model=model,
        word="cannot say" if reason else word_of(slope),
        slope=slope,
        n_frames=n,
        n_failed=len(found.failed_ids),
        n_components=int(line["n_components"]),
        correlation=float(line["correlation"]),
        mae_ev_per_ang=float(line["mae_ev_per_ang"]),
        cmae_ev_per_ang=float(line["cmae_ev_per_ang"]),
        uneven=uneven,
        reason=reason,
        advice=advise(found, slope, uneven, curve, doubts, seed),
    )


def _why_not(slope: Interval, n_frames: int, correlation: float, doubts: list[str]) -> str:
    """Return why nothing can be said, or nothing."""
    if doubts:
        return f"the labels look wrong ({doubts[0]}); if they are right after all, the slope stands"
    if n_frames < LEAST_FRAMES:
        return f"{n_frames} frame{'s' * (n_frames != 1)} cannot tell; at least {LEAST_FRAMES} are needed, better ten"
    if correlation < LEAST_CORRELATION:
        return (
            f"its forces do not follow DFT's (correlation {correlation:.2f}): wrong in direction, not in size"
        )
    if word_of(slope) == "cannot say":
        return "the interval is too wide: more labels"
    return ""


def uneven_ranges(softening: pd.DataFrame) -> tuple[tuple[str, float], ...]:
    """Return the ranges of force with the least and the largest slope, if these differ beyond their intervals."""
    ranges = softening[softening["grouping"] == "force_ev_per_ang"]
    enough = (ranges["n_components"] >= RANGE_COMPONENTS) & (ranges["n_frames"] >= LEAST_FRAMES)
    ranges = ranges[enough]
    if len(ranges) < 2:
        return ()
    least, most = (ranges.loc[i] for i in (ranges["slope"].idxmin(), ranges["slope"].idxmax()))
    low, high = (
        widened(r["slope"], r["slope_low"], r["slope_high"], int(r["n_frames"])) for r in (least, most)
    )
    if high.value - low.value < UNEVEN or not low.high < high.low:
        return ()
    return (str(least["group"]), low.value), (str(most["group"]), high.value)


def held_out(found: Predictions, seed: int) -> Interval:
    """Return the force error after a correction over that before, each frame being judged by a c from other frames.

    Cross-validation in ten parts (fewer frames: leave one out); interval from drawing frames, on the logarithm.
    """
    pairs = [
        (m.ravel(), d.ravel())
        for m, d in zip(
            found.split(found.forces_ev_per_ang), found.split(found.forces_dft_ev_per_ang), strict=True
        )
        if d.any()
    ]
    if len(pairs) < LEAST_FRAMES:
        return NONE
    generator = np.random.default_rng(seed)
    part = generator.permutation(len(pairs)) % min(FOLDS, len(pairs))
    before, after = np.empty(len(pairs)), np.empty(len(pairs))
    for fold in np.unique(part):
        rest = [pairs[i] for i in np.flatnonzero(part != fold)]
        try:
            c = factor(np.concatenate([m for m, _ in rest]), np.concatenate([d for _, d in rest]))
        except CorrectionError:
            c = 1.0
        for i in np.flatnonzero(part == fold):
            model, dft = pairs[i]
            before[i], after[i] = np.abs(model - dft).sum(), np.abs(c * model - dft).sum()
    if not before.sum() or not after.sum():  # no error at all, before or after
        return Interval(1.0, 1.0, 1.0) if not before.sum() else Interval(0.0, 0.0, 0.0)
    drawn = generator.integers(0, len(pairs), size=(1000, len(pairs)))
    sums = after[drawn].sum(axis=1), before[drawn].sum(axis=1)
    usable = (sums[0] > 0) & (sums[1] > 0)
    ratios = np.log(sums[0][usable] / sums[1][usable])
    middle = math.log(after.sum() / before.sum())
    low, high = np.quantile(ratios, [0.025, 0.975])
    wide = widened(middle, float(low), float(high), len(pairs))
    return Interval(*(math.exp(v) for v in (wide.value, wide.low, wide.high)))


def enough_labels(curve: pd.DataFrame) -> int:
    """Return the smallest number of random labels that helps nearly always and nearly as much as any; 0: none does."""
    own = curve[(curve["choice"] == "random") & (curve["method"] == "least_squares")].sort_values("n_labels")
    if not len(own):
        return 0
    after = own["force_mae_after_ev_per_ang"]
    good = own[(own["share_better"] >= SHARE_BETTER) & (after <= NEAR_BEST * after.min())]
    return int(good["n_labels"].iloc[0]) if len(good) else 0


def one_typical(curve: pd.DataFrame) -> float:
    """Return the error after over before with one label of typical forces; NaN where it was not tried."""
    chosen = (curve["choice"] == "typical_forces") & (curve["method"] == "least_squares")
    own = curve[chosen & (curve["n_labels"] == 1)]
    if not len(own) or not own["force_mae_before_ev_per_ang"].iloc[0]:
        return math.nan
    return float(own["force_mae_after_ev_per_ang"].iloc[0] / own["force_mae_before_ev_per_ang"].iloc[0])


def advise(
    found: Predictions,
    slope: Interval,
    uneven: tuple[tuple[str, float], ...],
    curve: pd.DataFrame,
    doubts: list[str],
    seed: int,
) -> Advice:
    """Say whether a correction helps on frames that it was not fitted on, and how many labels it needs."""
    ratio, n, one = held_out(found, seed), enough_labels(curve), one_typical(curve)
    if doubts:
        return Advice("cannot say", ratio, 0, one, "the labels look wrong: mend them first")
    if math.isnan(ratio.value):
        return Advice("cannot say", ratio, 0, one, f"fewer than {LEAST_FRAMES} frames with forces")
    change = (
        f"the error of forces falls to {ratio.words()} of what it was, on frames that it was not fitted on"
    )
    if ratio.high < 1 - WORTH or (ratio.high < 1 and ratio.value < 1 - WORTH):
        return Advice("helps", ratio, n, one, change)
    if ratio.high < 1:
        return Advice("hardly", ratio, n, one, f"hardly worth it: {change}")
    told = f"error after over before {ratio.words()}"
    return Advice("does not help", ratio, 0, one, f"{_why_no_help(found, slope, uneven)} ({told})")


def _why_no_help(found: Predictions, slope: Interval, uneven: tuple[tuple[str, float], ...]) -> str:
    if uneven:
        (small, low), (large, high) = uneven
        return (
            f"softness depends on the force, slope {low:.2f} at {small} eV/Å and {high:.2f} at {large} eV/Å, which one "
            "number cannot mend"
        )
    if word_of(slope) == "fine":
        return "the model is not soft here: there is nothing to scale"
    model, dft = found.forces_ev_per_ang.ravel(), found.forces_dft_ev_per_ang.ravel()
    size = float(np.sqrt((model @ model) * (dft @ dft)))
    follows = float(model @ dft) / size if size else 0.0
    if follows < 0.9:
        return f"its errors are scatter, not scale (correlation {follows:.2f})"
    return "too few labels, or errors that no scale mends"
