"""How our surface energies compare with the published ones and with DFT: one line a model."""

from __future__ import annotations

import math

import pandas as pd

from pesbench.published import PAPER_MODELS

STATUSES = ("ok", "failed", "not_converged", "not_run")
STATUS_WORDS = {"ok": "ok", "failed": "failed", "not_converged": "not converged", "not_run": "not run"}
TOLERANCES_PERCENT = (2.0, 4.0)


def is_missing(value: object) -> bool:
    """Return whether a cell is empty (None, NaN or NA)."""
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def relative_difference_percent(ours: pd.Series, published: pd.Series) -> pd.Series:
    """Return 100 (ours - published) / |published| in %; empty where either is empty or published is zero."""
    scale = published.astype(float).abs()
    return 100.0 * (ours.astype(float) - published.astype(float)) / scale.where(scale > 0)


def status_counts(runs: pd.DataFrame, n_rows: int) -> dict[str, dict[str, int]]:
    """Return for each model how many of a table's rows have each status; absent rows are ``not_run``."""
    counts = {}
    for model, rows in runs.groupby("model", sort=False):
        known = {s: int((rows["status"] == s).sum()) for s in STATUSES if s != "not_run"}
        counts[str(model)] = {**known, "not_run": n_rows - sum(known.values())}
    return counts


def levels_of_theory(runs: pd.DataFrame) -> dict[str, str]:
    """Return the level of theory of each model's training data, as its rows state it."""
    levels = runs.groupby("model", sort=False)["level_of_theory"]
    return {str(model): ", ".join(sorted(set(rows.dropna()))) for model, rows in levels}


def models_that_ran(runs: pd.DataFrame | None) -> list[str]:
    """Return the models with a row that is not ``not_run``: the paper's first, then the others by name."""
    if runs is None or runs.empty:
        return []
    found = {str(m) for m in runs.loc[runs["status"] != "not_run", "model"]}
    return [m for m in PAPER_MODELS if m in found] + sorted(found - set(PAPER_MODELS))


def summary(published: pd.DataFrame, runs: pd.DataFrame | None = None) -> pd.DataFrame:
    """Return one line a model: coverage, mean absolute errors against DFT, agreement with the paper.

    Parameters
    ----------
    published
        The transcribed surface table.
    runs
        Our tidy surface table, or None.

    Returns
    -------
    pandas.DataFrame
        Errors in eV/Å^2. ``mae_published`` covers every row of the paper, ``mae_published_same_rows`` only
        those that we converged, to be compared with ``mae_ours``. ``n_compared`` rows have both values.
    """
    own = set() if runs is None else {str(m) for m in runs["model"]}
    models = [*PAPER_MODELS, *sorted(own - set(PAPER_MODELS))]
    return pd.DataFrame([_summary_row(model, published, runs) for model in models])


def _summary_row(model: str, published: pd.DataFrame, runs: pd.DataFrame | None) -> dict[str, object]:
    mine = None if runs is None else runs[runs["model"] == model]
    unrun = {**dict.fromkeys(STATUSES, 0), "not_run": len(published)}
    states = unrun if mine is None else status_counts(mine, len(published)).get(model, unrun)
    dft = published.set_index("row")["dft_ev_per_ang2"].astype(float)
    theirs = published_values(model, published)
    gamma = ok_values(mine, "gamma_ev_per_ang2").reindex(dft.index)
    difference = relative_difference_percent(gamma, theirs).abs().dropna()
    return {
        "model": model,
        "level_of_theory": "" if mine is None else levels_of_theory(mine).get(model, ""),
        "n_rows": len(published),
        **{f"n_{status}": states[status] for status in STATUSES},
        "mae_published": (theirs - dft).abs().mean(),
        "mae_published_same_rows": (theirs - dft).where(gamma.notna()).abs().mean(),
        "mae_ours": (gamma - dft).abs().mean(),
        "n_compared": len(difference),
        **{f"n_within_{t:g}_percent": int((difference <= t).sum()) for t in TOLERANCES_PERCENT},
        "median_difference_percent": difference.median(),
        "worst_difference_percent": difference.max(),
    }


def published_values(model: str, published: pd.DataFrame) -> pd.Series:
    """Return a model's published surface energies in eV/Å^2 by row; empty where the paper did not run it."""
    stem = PAPER_MODELS.get(model, ("", ""))[0]
    values = published[f"{stem}_ev_per_ang2"] if stem else pd.Series(math.nan, index=published.index)
    return values.astype(float).set_axis(published["row"].to_list())


def ok_values(rows: pd.DataFrame | None, column: str, status: str = "ok") -> pd.Series:
    """Return one model's numbers by row of the paper, only those of one status."""
    if rows is None:
        return pd.Series(dtype=float)
    return rows[rows["status"] == status].set_index("row")[column].astype(float).dropna()
