"""Scores of predicted against reference values, with their coverage and bootstrap intervals (NumPy only)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Statistic = Callable[[ArrayLike, ArrayLike], float]


def paired(predicted: ArrayLike, reference: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both as float arrays of one shape ``(n,)``.

    Raises
    ------
    ValueError
        When the shapes differ, when there is nothing to score, or when a value is NaN or infinite: a metric
        never drops a row by itself, the caller does and states the coverage.
    """
    p = np.asarray(predicted, dtype=np.float64)
    r = np.asarray(reference, dtype=np.float64)
    if p.shape != r.shape or p.ndim != 1:
        raise ValueError(f"predicted {p.shape} and reference {r.shape} must be flat and equally long")
    if p.size == 0:
        raise ValueError("nothing to score: no rows")
    if not (np.isfinite(p).all() and np.isfinite(r).all()):
        raise ValueError("a predicted or reference value is not finite: select the scored rows first")
    return p, r


def mae(predicted: ArrayLike, reference: ArrayLike) -> float:
    """Mean absolute error, in the unit of the values."""
    p, r = paired(predicted, reference)
    return float(np.abs(p - r).mean())


def mean_signed_error(predicted: ArrayLike, reference: ArrayLike) -> float:
    """Mean of predicted minus reference, in the unit of the values; negative when the model is too low."""
    p, r = paired(predicted, reference)
    return float((p - r).mean())


def rmse(predicted: ArrayLike, reference: ArrayLike) -> float:
    """Root mean square error, in the unit of the values."""
    p, r = paired(predicted, reference)
    return float(np.sqrt(((p - r) ** 2).mean()))


def share_underestimated(predicted: ArrayLike, reference: ArrayLike) -> float:
    """Share (0 to 1) of rows whose prediction is strictly below the reference."""
    p, r = paired(predicted, reference)
    return float((p < r).mean())


def share_within(predicted: ArrayLike, reference: ArrayLike, relative_tolerance: float) -> float:
    """Share (0 to 1) of rows with ``|predicted - reference| <= relative_tolerance * |reference|``."""
    p, r = paired(predicted, reference)
    return float((np.abs(p - r) <= relative_tolerance * np.abs(r)).mean())


def slope_through_origin(predicted: ArrayLike, reference: ArrayLike) -> float:
    """Slope ``a`` of the least-squares line ``predicted = a * reference`` (dimensionless).

    Minimizing ``sum (p - a r)^2`` gives ``a = sum(p r) / sum(r r)``.

    Raises
    ------
    ValueError
        When every reference value is zero.
    """
    p, r = paired(predicted, reference)
    norm = float(r @ r)
    if norm == 0.0:
        raise ValueError("the slope through the origin is undefined: every reference value is zero")
    return float(p @ r) / norm


@dataclass(frozen=True)
class Interval:
    """A percentile bootstrap interval: bounds in the unit of the statistic, and how it was drawn."""

    low: float
    high: float
    level: float
    n: int
    n_resamples: int
    seed: int


def bootstrap_interval(
    statistic: Statistic,
    predicted: ArrayLike,
    reference: ArrayLike,
    *,
    seed: int,
    level: float = 0.95,
    n_resamples: int = 2000,
) -> Interval:
    """Percentile bootstrap interval of a statistic, rows drawn as pairs (Efron & Tibshirani 1993, ch. 13).

    Parameters
    ----------
    statistic
        Any of the metrics of this module.
    predicted, reference
        Arrays of shape ``(n,)`` in one unit.
    seed
        Seed of the generator; the same seed gives the same bounds.
    level
        Nominal coverage, 0 to 1.
    n_resamples
        Number of bootstrap samples.

    Raises
    ------
    ValueError
        When the rows cannot be paired or ``level`` is not between 0 and 1.
    """
    p, r = paired(predicted, reference)
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    rows = np.random.default_rng(seed).integers(0, p.size, size=(n_resamples, p.size))
    draws = np.array([statistic(p[i], r[i]) for i in rows])
    low, high = np.quantile(draws, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(float(low), float(high), level, int(p.size), n_resamples, seed)


@dataclass(frozen=True)
class Metric:
    """A score that states its coverage: how many rows were scored, failed, did not converge, never ran."""

    name: str
    value: float | None
    unit: str
    n_scored: int
    n_failed: int = 0
    n_not_converged: int = 0
    n_missing: int = 0
    interval: Interval | None = None

    def __post_init__(self) -> None:
        """Refuse a value without rows, rows without a value, and negative counts."""
        counts = (self.n_scored, self.n_failed, self.n_not_converged, self.n_missing)
        if min(counts) < 0:
            raise ValueError(f"{self.name}: a count is negative: {counts}")
        if (self.value is None) != (self.n_scored == 0):
            raise ValueError(f"{self.name}: value {self.value} does not go with {self.n_scored} scored rows")

    @property
    def n_total(self) -> int:
        """Number of rows that should have been scored."""
        return self.n_scored + self.n_failed + self.n_not_converged + self.n_missing

    @property
    def complete(self) -> bool:
        """Whether every row was scored."""
        return self.n_scored == self.n_total > 0
