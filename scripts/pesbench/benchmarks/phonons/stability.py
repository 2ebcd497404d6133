"""Dynamical stability of one spectrum under each definition in use, and how the verdicts compare.

The same force constants are "stable" or "unstable" by where one looks (commensurate points, band path, Gamma) and by
how far below zero a frequency may lie; published confusion matrices differ for that alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import constants, stats

from pesbench import metrics

if TYPE_CHECKING:
    from pesbench.records import Record

#: h/k_B, CODATA as in SciPy: 47.9924 K/THz.
KELVIN_PER_THZ = constants.h * 1e12 / constants.k
LOEW_TEXT_KELVIN = -50.0
LOEW_CODE_KELVIN = -35.0
PATH_THZ = -0.05
LOOSE_THZ = -0.01
TIGHT_THZ = -1e-5
# ASSUME: closer to zero than this is zero. Gamma's acoustic modes come out as +-2e-7 THz, and where a soft optical mode
# takes one of the script's three places, their sign, which is rounding noise, would decide.
NOISE_THZ = 1e-6
COUNTS = ("true_stable", "false_unstable", "true_unstable", "false_stable")
COLUMNS = (
    *("model", "definition", "set", "n", "n_ok", "n_failed", "n_not_converged", "n_not_run"),
    *("n_stable", "n_unstable", "n_changed_vs_loew_text", "n_not_same_under_all"),
    *("reference", "n_reference_stable", "n_reference_unstable", *(f"n_{name}" for name in COUNTS)),
    *(f"{name}_percent" for name in COUNTS),
    *("true_stable_low_percent", "true_stable_high_percent"),
    *("true_unstable_low_percent", "true_unstable_high_percent"),
    *("unfinished_counts_as", "level_of_theory", "reference_level_of_theory", "warning", "threshold"),
)


def loew_text(values: Mapping[str, Any]) -> bool:
    """Loew et al. 2024, section II.B: real at every commensurate point, the acoustic modes at Gamma >= -50 K."""
    gamma = np.array(values["commensurate"]["gamma_thz"], dtype=float)
    # ASSUME: the acoustic modes are the three nearest to zero, where the sum rule puts them.
    order = np.argsort(np.abs(gamma), kind="stable")
    return _gamma_and_beyond(gamma[order[:3]], gamma[order[3:]], LOEW_TEXT_KELVIN, values)


def loew_code(values: Mapping[str, Any]) -> bool:
    """Loew et al.'s script (hyllios/utils, benchmark_ph/postprocess.py): Gamma's three lowest bands >= -35 K."""
    gamma = np.sort(np.array(values["commensurate"]["gamma_thz"], dtype=float))
    return _gamma_and_beyond(gamma[:3], gamma[3:], LOEW_CODE_KELVIN, values)


def _gamma_and_beyond(
    allowed: np.ndarray, others: np.ndarray, threshold_kelvin: float, values: Mapping[str, Any]
) -> bool:
    beyond = values["commensurate"]["min_beyond_gamma_thz"]
    real = bool((others >= -NOISE_THZ).all()) and (beyond is None or beyond >= -NOISE_THZ)
    return real and bool((allowed * KELVIN_PER_THZ >= threshold_kelvin).all())


def commensurate_loose(values: Mapping[str, Any]) -> bool:
    """Every commensurate frequency >= -0.01 THz (pymatgen's default tolerance)."""
    return bool(values["commensurate"]["min_frequency_thz"] >= LOOSE_THZ)


def commensurate_tight(values: Mapping[str, Any]) -> bool:
    """Every commensurate frequency >= -1e-5 THz (atomate2's default tolerance, there on the band path)."""
    return bool(values["commensurate"]["min_frequency_thz"] >= TIGHT_THZ)


def band_path(values: Mapping[str, Any]) -> bool:
    """Smallest frequency of the band path >= -0.05 THz, a threshold in use for interpolated bands."""
    # ASSUME: -0.05 THz; no paper at hand fixes one for the path.
    return bool(values["path"]["min_frequency_thz"] >= PATH_THZ)


def gamma_only(values: Mapping[str, Any]) -> bool:
    """Every frequency at Gamma >= -0.01 THz."""
    return bool(min(values["commensurate"]["gamma_thz"]) >= LOOSE_THZ)


#: Definition -> (verdict, what it asks).
DEFINITIONS: Mapping[str, tuple[Callable[[Mapping[str, Any]], bool], str]] = {
    "loew_text": (loew_text, "commensurate; Gamma's acoustic >= -50 K, all else >= 0"),
    "loew_code": (loew_code, "commensurate; Gamma's three lowest >= -35 K, all else >= 0"),
    "commensurate_0.01": (commensurate_loose, "commensurate; all >= -0.01 THz"),
    "commensurate_1e-5": (commensurate_tight, "commensurate; all >= -1e-5 THz"),
    "band_path": (band_path, "band path; all >= -0.05 THz"),
    "gamma_only": (gamma_only, "Gamma; all >= -0.01 THz"),
}


def verdicts(values: Mapping[str, Any]) -> dict[str, bool]:
    """Return whether one spectrum is stable under each of ``DEFINITIONS``.

    Parameters
    ----------
    values
        A record's values: ``commensurate`` (``gamma_thz``, ``min_beyond_gamma_thz``, ``min_frequency_thz``) and
        ``path`` (``min_frequency_thz``), in THz, imaginary frequencies negative.
    """
    return {name: verdict(values) for name, (verdict, _) in DEFINITIONS.items()}


def table(
    records: Mapping[str, list[Record]],
    references: Mapping[str, list[Record]],
    levels: Mapping[str, str],
) -> pd.DataFrame:
    """Count the verdicts of each model and reference under each definition, and compare them with each reference's.

    Percentages are of the materials that the reference finds stable (true stable, false unstable) or unstable (true
    unstable, false stable) under the same definition, with 95 % bootstrap bounds. Sets as in
    `pesbench.metrics.row_sets`.

    Returns
    -------
    pandas.DataFrame
        ``COLUMNS``: one line a (model or reference, definition, set, reference).
    """
    everything = {**records, **references}
    ruled = {
        name: {r.id: verdicts(r.values) for r in rs if r.status == "ok"} for name, rs in everything.items()
    }
    lines = []
    for model, name, part in metrics.row_sets(status_frame(everything), everything):
        own = status_frame(everything, [model])
        level = levels.get(model, "")
        about = {"model": model, "set": name, **metrics.coverage_of(own["status"]), "level_of_theory": level}
        if name == "penalised":
            about["unfinished_counts_as"] = "the wrong verdict"
        materials = [str(row) for row in part["row"]]
        for reference in [r for r in references if r != model] or [""]:
            known = levels.get(reference, "")
            warning = metrics.level_warning(level, known)
            against = {"reference": reference, "reference_level_of_theory": known, "warning": warning}
            for definition in DEFINITIONS:
                counted = _counts(definition, materials, ruled[model])
                compared = confusion(definition, materials, ruled[model], ruled.get(reference, {}))
                lines.append(about | against | counted | compared)
    return metrics.whole_counts(pd.DataFrame(lines, columns=list(COLUMNS)))


def status_frame(everything: Mapping[str, list[Record]], models: list[str] | None = None) -> pd.DataFrame:
    """Return ``row`` (material), ``model``, ``status`` for every material of any; absent ones are ``not_run``."""
    materials = sorted({record.id for records in everything.values() for record in records})
    lines = []
    for model in everything if models is None else models:
        status = {record.id: record.status for record in everything[model]}
        lines += [(material, model, status.get(material, "not_run")) for material in materials]
    return pd.DataFrame(lines, columns=["row", "model", "status"])


def _counts(definition: str, materials: list[str], ruled: Mapping[str, dict[str, bool]]) -> dict[str, Any]:
    """Return how many of the materials are stable, and how many verdicts hang on the definition."""
    own = [ruled[material] for material in materials if material in ruled]
    stable = sum(verdict[definition] for verdict in own)
    return {
        "definition": definition,
        "threshold": DEFINITIONS[definition][1],
        "n": len(materials),
        "n_stable": stable,
        "n_unstable": len(own) - stable,
        "n_changed_vs_loew_text": sum(verdict[definition] != verdict["loew_text"] for verdict in own),
        "n_not_same_under_all": sum(len(set(verdict.values())) > 1 for verdict in own),
    }


def confusion(
    definition: str,
    materials: list[str],
    ruled: Mapping[str, dict[str, bool]],
    reference: Mapping[str, dict[str, bool]],
) -> dict[str, float]:
    """Return the confusion matrix against a reference under one definition, as counts and as %.

    Materials without a verdict of the reference do not count; one without a verdict of the model counts as wrong.
    """
    if not reference:
        return {}
    counts = dict.fromkeys(COUNTS, 0)
    for material in materials:
        if material in reference:
            truth = reference[material][definition]
            # ASSUME: a spectrum that a model cannot finish is a wrong verdict.
            right = material in ruled and ruled[material][definition] == truth
            counts[_outcome(truth, right)] += 1
    stable, unstable = (counts[a] + counts[b] for a, b in (COUNTS[:2], COUNTS[2:]))
    of = dict(zip(COUNTS, (stable, stable, unstable, unstable), strict=True))
    return {
        "n_reference_stable": stable,
        "n_reference_unstable": unstable,
        **{f"n_{name}": count for name, count in counts.items()},
        **{f"{name}_percent": _percent(count, of[name]) for name, count in counts.items()},
        **_bounds("true_stable", counts["true_stable"], stable),
        **_bounds("true_unstable", counts["true_unstable"], unstable),
    }


def _outcome(truth: bool, right: bool) -> str:
    if truth:
        return "true_stable" if right else "false_unstable"
    return "true_unstable" if right else "false_stable"


def _percent(count: float, n: int) -> float:
    return 100.0 * count / n if n else math.nan


def _bounds(name: str, count: int, n: int) -> dict[str, float]:
    """Return 95 % bounds of a share: its bootstrap distribution is binomial, so that nothing need be drawn."""
    if not n:
        return {}
    low, high = stats.binom.ppf([0.025, 0.975], n, count / n)
    return {f"{name}_low_percent": _percent(low, n), f"{name}_high_percent": _percent(high, n)}
