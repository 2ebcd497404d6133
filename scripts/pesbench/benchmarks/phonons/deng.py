"""Deng et al. (2025), Supplementary Table III: the largest phonon frequency of 229 materials, and its scores.

The reference is PhononDB (PBEsol), the models were trained on PBE: ratios to the DFT carry that difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pesbench import metrics
from pesbench.benchmarks.phonons.settings import SADDLE_THZ
from pesbench.naming import merged_records
from pesbench.published import PHONON_MODELS, Explanations, explain

if TYPE_CHECKING:
    from pesbench.records import Record

MAX_FREQUENCY, FREE_MAX_FREQUENCY = "path.max_frequency_thz", "free.max_frequency_thz"
MIN_FREQUENCY = "path.min_frequency_thz"
FREE, KEPT = "without symmetry, as published", "space group kept"
REFERENCE, REFERENCE_LEVEL = "phonondb-2018", "PBEsol"
#: The set of every row with a value: the paper, too, took relaxations that did not converge where they stood.
AS_LEFT = "converged or not"
#: A row whose value differs by more than this share from the published one carries an explanation.
EXPLAIN_BEYOND = 0.01
TOLERANCES_PERCENT = (0.1, 1.0, 2.0)
TABLE_COLUMNS = (
    *("row", "mp_id", "formula", "model", "max_freq_thz", "published_thz", "dft_thz", "dft_published_thz"),
    *("status", "relative_difference", "ratio_to_dft", "explanation", "level_of_theory"),
    *(
        "relaxation",
        "symmetric_max_freq_thz",
        "space_group",
        "free_space_group",
        "dft_status",
        "dft_level_of_theory",
        "settings_digest",
        "checkpoint_sha256",
        "record",
    ),
)
METRIC_COLUMNS = (
    *("model", "values", "set", "n", "n_ok", "n_failed", "n_not_converged", "n_not_run", "mae_thz"),
    *("mae_low_thz", "mae_high_thz", "mean_signed_error_thz", "share_underestimated", "ratio_q25"),
    *("ratio_median", "ratio_median_low", "ratio_median_high", "ratio_q75", "n_compared"),
    *(f"n_within_{tolerance:g}_percent" for tolerance in TOLERANCES_PERCENT),
    *("largest_relative_difference", "against", "unfinished_counts_as", "level_of_theory", "warning"),
)


def papers_own(references: Iterable[str], levels: Mapping[str, str]) -> str:
    """Return the paper's database or, without it, the first of its level by name; empty where there is none."""
    same = [name for name in references if levels.get(name) == REFERENCE_LEVEL]
    return min(same, key=lambda name: (name != REFERENCE, name), default="")


def table(
    records: Mapping[str, list[Record]],
    references: Mapping[str, list[Record]],
    levels: Mapping[str, str],
    explanations: Explanations,
    published: pd.DataFrame,
) -> pd.DataFrame:
    """Set each model's largest frequency beside the published one: one line a (model, published row).

    The paper relaxed without symmetry; ``relaxation`` says whether our value is of that, or of the relaxation with the
    space group kept, whose value always stands beside (``symmetric_max_freq_thz``).

    Parameters
    ----------
    records, references
        Records of each model and of each database; the PBEsol one is the DFT.
    levels
        Level of theory of each model and reference.
    explanations
        By material and model: why a row is off.
    published
        ``data/published/deng2025_s3_phonons.csv``.

    Returns
    -------
    pandas.DataFrame
        ``TABLE_COLUMNS``: all 229 rows for each model, frequencies in THz, missing ones NaN.
    """
    name = papers_own(references, levels)
    dft = {record.id: record for record in references.get(name, [])}
    lines = []
    for model in sorted(records):
        of_model = {record.id: record for record in records[model]}
        for given in published.to_dict("records"):
            material = str(given["mp_id"])
            line = _line(given, model, of_model.get(material), dft.get(material))
            line["explanation"] = _explanation(
                line, of_model.get(material), explain(explanations, material, model)
            )
            lines.append(line | {"level_of_theory": levels.get(model, "")})
    return pd.DataFrame(lines, columns=list(TABLE_COLUMNS))


def _line(given: dict[str, Any], model: str, record: Record | None, dft: Record | None) -> dict[str, Any]:
    free = bool(record and record.values.get("free"))
    ours, own_dft = (
        _number(record, FREE_MAX_FREQUENCY if free else MAX_FREQUENCY),
        _number(dft, MAX_FREQUENCY),
    )
    dft_status = dft.status if dft else "not_run"
    own_dft = own_dft if dft_status == "ok" else math.nan
    theirs = float(given[f"{PHONON_MODELS[model][0]}_thz"]) if model in PHONON_MODELS else math.nan
    reference = float(given["dft_thz"]) if math.isnan(own_dft) else own_dft
    return {
        "row": int(given["row"]),
        "mp_id": given["mp_id"],
        "formula": given["formula"],
        "model": model,
        "max_freq_thz": ours,
        "published_thz": theirs,
        "dft_thz": own_dft,
        "dft_published_thz": float(given["dft_thz"]),
        "status": _status(record),
        "relative_difference": _ratio(ours, theirs) - 1.0,
        "ratio_to_dft": _ratio(ours, reference),
        "relaxation": FREE if free else KEPT if record and record.status == "ok" else "",
        "symmetric_max_freq_thz": _number(record, MAX_FREQUENCY),
        "space_group": _group(record, "space_group"),
        "free_space_group": _group(record, "free.space_group"),
        "dft_status": dft_status,
        "dft_level_of_theory": REFERENCE_LEVEL,
        "settings_digest": record.digests["settings"] if record else "",
        "checkpoint_sha256": record.digests["checkpoint"] if record else "",
        "record": f"{merged_records('phonons', model)}#{record.id}" if record else "",
    }


def _ratio(value: float, reference: float) -> float:
    return value / reference if reference > 0 else math.nan


def _number(record: Record | None, path: str) -> float:
    return metrics.lookup(record.values, path) if record else math.nan


def _group(record: Record | None, path: str) -> int | None:
    number = _number(record, path)
    return None if math.isnan(number) else int(number)


def _status(record: Record | None) -> str:
    """Return the status of the relaxation without symmetry, and where there was none the material's."""
    if record is None:
        return "not_run"
    return str((record.values.get("free") or {}).get("status", record.status))


def _explanation(line: Mapping[str, Any], record: Record | None, reason: str) -> str:
    """Return why a row was not finished, or why it is off; nothing where it meets the published value."""
    off = abs(line["relative_difference"]) > EXPLAIN_BEYOND
    if record and line["status"] != "ok":
        free = record.values.get("free") or {}
        message = free.get("message") or f"{record.stage}: {record.message}"
        return f"{message}; {reason}" if off and reason else message
    if not off:
        return ""
    return reason or _found(line, record) or "unexplained"


def _found(line: Mapping[str, Any], record: Record | None) -> str:
    """Return what the record itself says of a row that is off."""
    if record and line["relaxation"] == KEPT:
        thz = metrics.lookup(record.values, MIN_FREQUENCY)
        saddle = f", and the symmetric crystal is a saddle point ({thz:.2f} THz)" if thz < SADDLE_THZ else ""
        return f"space group kept here, not in the paper{saddle}"
    free = record.values["free"] if record else {"goal_met": True}
    if free["goal_met"]:
        return ""
    left = f"{free['fmax_ev_per_ang']:.1e} eV/A after {free['steps']} steps"
    return f"the relaxation without symmetry was still at {left}: where it stands depends on rounding"


def metrics_table(scored: pd.DataFrame, levels: Mapping[str, str], seed: int) -> pd.DataFrame:
    """Score each model's largest frequencies against the DFT, for our and for the published values.

    Sets as in `pesbench.metrics.row_sets`, and for the published values ``all`` of the paper's rows too. How many of
    our values meet the published ones is counted once more over `AS_LEFT`. The DFT is ours where there is one, else
    the published one; the line ``DFT`` sets ours against the published.

    Parameters
    ----------
    scored
        From `table`.
    levels
        Level of theory of each model.

    Returns
    -------
    pandas.DataFrame
        ``METRIC_COLUMNS``; what cannot be computed is NaN.
    """
    frame = scored.assign(reference_thz=scored["dft_thz"].fillna(scored["dft_published_thz"]))
    lines = [_dft_line(frame, seed)]
    for model, name, part in metrics.row_sets(frame, frame["model"].unique()):
        own = frame[frame["model"] == model]
        level = levels.get(model, "")
        about = {
            "model": model,
            "set": name,
            **metrics.coverage_of(own["status"]),
            "against": "DFT",
            "level_of_theory": level,
            "warning": metrics.level_warning(level, REFERENCE_LEVEL),
        }
        # ASSUME: a material that a model cannot finish is as wrong as a prediction of zero.
        ours = part["max_freq_thz"].where(part["status"] == "ok", 0.0)
        zero = {"unfinished_counts_as": "0 THz"} if name == "penalised" else {}
        met = agreement(part["max_freq_thz"].where(part["status"] == "ok"), part["published_thz"])
        lines.append(about | zero | _scores(ours, part["reference_thz"], seed) | met | {"values": "ours"})
        theirs = _scores(part["published_thz"], part["reference_thz"], seed)
        lines.append(about | theirs | {"values": "published"})
        if name == "finished":
            theirs = _scores(own["published_thz"], own["reference_thz"], seed)
            lines.append(about | theirs | {"values": "published", "set": "all"})
            met = agreement(own["max_freq_thz"], own["published_thz"])
            lines.append(about | met | {"values": "ours", "set": AS_LEFT, "against": "published"})
    return metrics.whole_counts(pd.DataFrame(lines, columns=list(METRIC_COLUMNS)))


def _dft_line(frame: pd.DataFrame, seed: int) -> dict[str, Any]:
    """Return how our DFT frequencies compare with the published ones."""
    rows = frame.drop_duplicates("row")
    return {
        "model": "DFT",
        "values": "ours",
        "set": "finished",
        **metrics.coverage_of(rows["dft_status"]),
        **_scores(rows["dft_thz"], rows["dft_published_thz"], seed),
        **agreement(rows["dft_thz"], rows["dft_published_thz"]),
        "against": "published DFT",
        "level_of_theory": REFERENCE_LEVEL,
    }


def _scores(predicted: pd.Series, reference: pd.Series, seed: int) -> dict[str, float]:
    """Return errors (THz) and the quartiles of predicted over reference; rows without both do not count."""
    both = predicted.notna() & reference.notna()
    p, r = predicted[both].to_numpy(float), reference[both].to_numpy(float)
    scores = metrics.error_summary(p, r, "thz", seed)
    p, r = p[r > 0], r[r > 0]
    if not len(p):
        return scores
    interval = metrics.bootstrap_interval(metrics.median_ratio, p, r, seed=seed)
    quartiles = np.quantile(p / r, [0.25, 0.5, 0.75])
    names = ("ratio_q25", "ratio_median", "ratio_q75")
    bounds = {"ratio_median_low": interval.low, "ratio_median_high": interval.high}
    return scores | bounds | dict(zip(names, map(float, quartiles), strict=True))


def agreement(ours: pd.Series, published: pd.Series) -> dict[str, float]:
    """Return how many values were compared with published ones, how many meet them, the largest difference."""
    difference = (ours.astype(float) / published.astype(float) - 1.0).abs().dropna()
    within = {f"n_within_{t:g}_percent": int((difference <= t / 100).sum()) for t in TOLERANCES_PERCENT}
    largest = float(difference.max()) if len(difference) else math.nan
    return {"n_compared": len(difference), **within, "largest_relative_difference": largest}
