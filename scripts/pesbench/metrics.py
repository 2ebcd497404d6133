"""Scores of predicted against reference values, with their coverage and bootstrap intervals (NumPy only)."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Statistic = Callable[[ArrayLike, ArrayLike], float]
STATUSES = ("ok", "failed", "not_converged", "not_run")


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


def share_underestimated(predicted: ArrayLike, reference: ArrayLike) -> float:
    """Share (0 to 1) of rows whose prediction is strictly below the reference."""
    p, r = paired(predicted, reference)
    return float((p < r).mean())


def median_ratio(predicted: ArrayLike, reference: ArrayLike) -> float:
    """Median of predicted over reference (dimensionless)."""
    p, r = paired(predicted, reference)
    return float(np.median(p / r))


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


def error_table(
    scored: pd.DataFrame, computed: str, published: str, reference: str, unit: str, seed: int
) -> pd.DataFrame:
    """Errors of each model against the reference, for its published and for our values, on three sets of rows.

    ``finished``: every row that our run of the model finished. ``common``: those that all models finished.
    ``penalised``: every row that was run, one that failed or did not converge counted as if the model had said zero.

    Parameters
    ----------
    scored
        One line a (row, model) with ``row``, ``model``, ``status`` and the three columns named next.
    computed, published, reference
        Columns of our values, the published ones (empty where the paper has none) and the reference.
    unit
        Suffix of the error columns.

    Returns
    -------
    pandas.DataFrame
        One line a (model, values, set), with bootstrap 95 % bounds and the model's coverage.
    """
    ok = scored[scored["status"] == "ok"]
    finished_by = ok.groupby("row")["model"].nunique()
    common = finished_by[finished_by == scored["model"].nunique()].index
    lines = []
    for model, own in scored.groupby("model", sort=True):
        run, finished = own[own["status"] != "not_run"], own[own["status"] == "ok"]
        # ASSUME: a row that a model cannot finish is as wrong as a prediction of zero.
        zeroed = run.assign(**{computed: run[computed].where(run["status"] == "ok", 0.0)})
        sets = {
            ("published", "all"): (own, published),
            ("published", "finished"): (finished, published),
            ("ours", "finished"): (finished, computed),
            ("ours", "common"): (finished[finished["row"].isin(common)], computed),
            ("ours", "penalised"): (zeroed, computed),
        }
        coverage = {f"n_{s}": int((own["status"] == s).sum()) for s in ("failed", "not_converged", "not_run")}
        for (values, name), (part, column) in sets.items():
            part = part.dropna(subset=[column])
            if not part.empty:
                errors = error_summary(part[column].to_numpy(), part[reference].to_numpy(), unit, seed)
                lines.append({"model": model, "values": values, "set": name, **errors, **coverage})
    return pd.DataFrame(lines)


def error_summary(predicted: ArrayLike, reference: ArrayLike, unit: str, seed: int) -> dict[str, float]:
    """Return n, mean absolute error with bootstrap 95 % bounds, mean signed error, share below the reference.

    Without rows n is 0 and everything else NaN: what cannot be computed is not zero.
    """
    n = np.size(predicted)
    names = (f"mae_{unit}", f"mae_low_{unit}", f"mae_high_{unit}", f"mean_signed_error_{unit}")
    if n == 0:
        return {"n": 0, **dict.fromkeys((*names, "share_underestimated"), float("nan"))}
    interval = bootstrap_interval(mae, predicted, reference, seed=seed)
    return {
        "n": n,
        names[0]: mae(predicted, reference),
        names[1]: interval.low,
        names[2]: interval.high,
        names[3]: mean_signed_error(predicted, reference),
        "share_underestimated": share_underestimated(predicted, reference),
    }


def coverage_of(statuses: pd.Series) -> dict[str, int]:
    """Return how many rows have each status, as ``n_ok``, ``n_failed``, ``n_not_converged``, ``n_not_run``."""
    return {f"n_{status}": int((statuses == status).sum()) for status in STATUSES}


def whole_counts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with its counts (``n``, ``n_...``) as integers that may be missing."""
    return frame.astype({name: "Int64" for name in frame.columns if name == "n" or name.startswith("n_")})


def row_sets(scored: pd.DataFrame, models: Iterable[str]) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Yield (model, set, its rows) for three sets of each model's rows; a set may be empty.

    ``finished``: what the model finished. ``common``: what every compared model finished, a compared model being one
    that finished anything. ``penalised``: every row that was run; the caller says what an unfinished one counts as.

    Parameters
    ----------
    scored
        One line a (row, model) with ``row``, ``model``, ``status``.
    models
        Models to yield, also one without any row.
    """
    ok = scored[scored["status"] == "ok"]
    finished_by = ok.groupby("row")["model"].nunique()
    common = finished_by[finished_by == ok["model"].nunique()].index
    for model in sorted(models):
        own = scored[scored["model"] == model]
        finished = own[own["status"] == "ok"]
        yield model, "finished", finished
        yield model, "common", finished[finished["row"].isin(common)]
        yield model, "penalised", own[own["status"] != "not_run"]


def lookup(values: Mapping[str, Any], path: str) -> float:
    """Return one number of nested mappings by its dotted path; NaN where it, or anything on the way, is missing."""
    found: Any = values
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return float("nan") if found is None else float(found)


def level_warning(level: str, reference_level: str) -> str:
    """Return a warning where a model's level of theory does not name its reference's functional, else nothing."""
    if not reference_level or reference_level in re.findall(r"[\w+-]+", level):
        return ""
    return f"levels of theory differ: {level or 'unknown'} against {reference_level}"
