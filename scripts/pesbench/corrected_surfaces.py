"""Surface energies after a one-label correction of each material (Deng et al. 2025, Supplementary Fig. 5).

A corrected model has the minima of the uncorrected one, and a surface energy is a difference at equal composition, so
that it is just times c: no slab is relaxed again. Only a relaxation's threshold is that of forces times c.

The one label is a frame of the bulk far from equilibrium, of a public set or of a DFT job of one's own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pesbench.correction import METHODS, CorrectionError, factor, fit, typical
from pesbench.engine.predictions import Predictions
from pesbench.metrics import whole_counts

#: A frame whose model forces are smaller than this share of the typical frame's is no high-energy label.
LEAST_SIZE = 0.5
#: Labels of DFT jobs, those shipped among them, in the column ``collection``.
OWN = "hot snapshots"
COLUMNS = ("row", "mp_id", "formula", "miller", "termination", "model")
GROUP = ("model", "collection", "method")
RESAMPLES = 2000


@dataclass(frozen=True)
class BulkLabels:
    """A model's answers on the labelled frames of one bulk material.

    Attributes
    ----------
    material
        Materials Project id, or the formula where the set says no more.
    collection
        Publication of the set, or `OWN`.
    source
        File or set that the labels are from.
    """

    model: str
    material: str
    collection: str
    source: str
    predictions: Predictions


def per_material(
    model: str, found: Predictions, collection: str, sources: Mapping[str, str]
) -> list[BulkLabels]:
    """Return predictions cut by material; ``sources`` says of each which file its labels are from."""
    return [
        BulkLabels(model, m, collection, sources[m], found.take(np.flatnonzero(found.materials == m)))
        for m in sorted(set(map(str, found.materials)))
    ]


def _pairs(found: Predictions) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    return list(
        zip(found.split(found.forces_ev_per_ang), found.split(found.forces_dft_ev_per_ang), strict=True)
    )


def candidates(found: Predictions, method: str) -> NDArray[np.float64]:
    """Return c of every frame that could be the one label.

    That is a frame whose forces, told by the model, are at least half of the typical ones. A crystal near rest says
    nothing about high-energy states.
    """
    pairs = _pairs(found)
    sizes = [float(np.sqrt((model**2).mean())) for model, _ in pairs]
    [chosen] = typical([model for model, _ in pairs])
    values = []
    for (model, dft), size in zip(pairs, sizes, strict=True):
        with contextlib.suppress(CorrectionError):
            if size >= LEAST_SIZE * sizes[chosen]:
                values.append(factor(model, dft, method))
    return np.array(values)


def factors(found: Predictions, method: str, seed: int = 0) -> dict[str, float | str]:
    """Return c of the typical frame with its interval over atoms, and c over every other frame that could be the label.

    Returns
    -------
    dict
        ``c``, ``c_low``, ``c_high`` (bootstrap 95 %) of frame ``label``; ``choice_low``, ``choice_median``,
        ``choice_high`` (2.5, 50, 97.5 %) over the ``n`` frames of `candidates`.
    """
    pairs = _pairs(found)
    [chosen] = typical([model for model, _ in pairs])
    model, dft = pairs[chosen]
    best = fit([model], [dft], method, seed)
    values = candidates(found, method)
    low, middle, high = np.quantile(values, [0.025, 0.5, 0.975])
    return {
        "label": str(found.ids[chosen]),
        "c": best.c,
        "c_low": best.c_low,
        "c_high": best.c_high,
        "choice_low": float(low),
        "choice_median": float(middle),
        "choice_high": float(high),
        "n": len(values),
    }


def _matched(
    surfaces: pd.DataFrame, labels: Sequence[BulkLabels]
) -> Iterator[tuple[BulkLabels, pd.DataFrame]]:
    """Yield labels with the finished surfaces of their model and material; labels without surfaces are left out."""
    finished = surfaces[surfaces["status"] == "ok"]
    for one in sorted(labels, key=lambda found: (found.model, found.collection, found.material)):
        same = (finished["mp_id"] == one.material) | (finished["formula"] == one.material)
        rows = finished[same & (finished["model"] == one.model)].sort_values("row")
        if not rows.empty:
            yield one, rows


def corrected_table(surfaces: pd.DataFrame, labels: Sequence[BulkLabels], seed: int = 0) -> pd.DataFrame:
    """Return our surface energies before and after correction beside DFT's, for every material that has labels.

    Parameters
    ----------
    surfaces
        The tidy table of surface energies (eV/angstrom^2).
    labels
        Labelled bulk frames; what has no surface is left out.

    Returns
    -------
    pandas.DataFrame
        One line a (published row, model, collection, method), with the frame that was the label, where it is from and
        its level of theory; ``low`` and ``high`` bound 95 % of the choices of the one label.
    """
    lines = [
        {name: line[name] for name in COLUMNS}
        | _energies(line, factors(one.predictions, method, seed), method, one)
        for one, rows in _matched(surfaces, labels)
        for method in METHODS
        for _, line in rows.iterrows()
    ]
    names = [*COLUMNS, "collection", "method", "label", "labels_source", "labels_level_of_theory"]
    names += ["n_labels_tried", "c", "c_low", "c_high", "gamma_ev_per_ang2"]
    names += [f"gamma_corrected{end}_ev_per_ang2" for end in ("", "_median", "_low", "_high")]
    return pd.DataFrame(lines, columns=[*names, "dft_ev_per_ang2"])


def _energies(
    line: pd.Series, c: Mapping[str, float | str], method: str, one: BulkLabels
) -> dict[str, object]:
    gamma = float(line["gamma_ev_per_ang2"])
    bounds = sorted((float(c["choice_low"]) * gamma, float(c["choice_high"]) * gamma))
    return {
        "collection": one.collection,
        "method": method,
        "label": c["label"],
        "labels_source": one.source,
        "labels_level_of_theory": " and ".join(sorted({str(level) for level in one.predictions.levels})),
        "n_labels_tried": c["n"],
        **{name: c[name] for name in ("c", "c_low", "c_high")},
        "gamma_ev_per_ang2": gamma,
        "gamma_corrected_ev_per_ang2": float(c["c"]) * gamma,
        "gamma_corrected_median_ev_per_ang2": float(c["choice_median"]) * gamma,
        "gamma_corrected_low_ev_per_ang2": bounds[0],
        "gamma_corrected_high_ev_per_ang2": bounds[1],
        "dft_ev_per_ang2": float(line["dft_ev_per_ang2"]),
    }


def metrics_table(table: pd.DataFrame, labels: Sequence[BulkLabels], seed: int) -> pd.DataFrame:
    """Return the errors before and after, of each material and of all together.

    Parameters
    ----------
    table
        Of `corrected_table`, made from the same labels.

    Returns
    -------
    pandas.DataFrame
        One line a (model, collection, method, material), and one with ``mp_id`` ``all``. Intervals are bootstrap 95 %:
        rows of one material are drawn; of all together whole materials, for the surfaces of one share their c.
        ``random``: mean absolute errors when each material's label is drawn at random among those that could be one.
        ``others_c``: each material takes the mean c of the others, and no label of its own. ``best_c``: the c that
        suits its surfaces best, known in hindsight; no factor does better.
    """
    choices = {(one.model, one.collection, one.material): one.predictions for one in labels}
    lines = []
    for group, own in table.groupby(list(GROUP), sort=True):
        known = dict(zip(GROUP, group, strict=True))
        parts = [part for _, part in own.groupby("mp_id", sort=True)]
        tried = [candidates(_labels_of(part, choices), known["method"]) for part in parts]
        for part, values in zip(parts, tried, strict=True):
            one = _of_one(part) | _errors([part], seed) | _random([part], [values], seed) | _controls([part])
            lines.append(known | one)
        whole = {"mp_id": "all", "formula": "", "label": "", "c": float("nan")}
        lines.append(known | whole | _errors(parts, seed) | _random(parts, tried, seed) | _controls(parts))
    return whole_counts(pd.DataFrame(lines, columns=list(lines[0]) if lines else [*GROUP, "mp_id"]))


def _labels_of(part: pd.DataFrame, choices: Mapping[tuple[str, str, str], Predictions]) -> Predictions:
    first = part.iloc[0]
    known = first["model"], first["collection"]
    by_id = choices.get((*known, first["mp_id"]))
    return by_id if by_id is not None else choices[(*known, first["formula"])]


def _of_one(part: pd.DataFrame) -> dict[str, object]:
    return {name: part[name].iloc[0] for name in ("mp_id", "formula", "label", "c")}


def _errors(parts: Sequence[pd.DataFrame], seed: int) -> dict[str, float]:
    """Return the errors before and after of some materials, the change, and their bootstrap intervals."""
    rows = pd.concat(parts)
    dft = rows["dft_ev_per_ang2"].to_numpy()
    before, after = (np.abs(rows[f"gamma{end}_ev_per_ang2"].to_numpy() - dft) for end in ("", "_corrected"))
    blocks = [len(part) for part in parts] if len(parts) > 1 else [1] * len(rows)
    values = {"mae_before": before, "mae_after": after, "mae_change": after - before}
    found: dict[str, float] = {"n_surfaces": len(rows), "n_materials": len(parts)}
    for name, errors in values.items():
        low, high = _interval(errors, blocks, seed)
        found |= {
            f"{name}{end}_ev_per_ang2": v for end, v in (("", errors.mean()), ("_low", low), ("_high", high))
        }
    return found | {"share_improved": float((after < before).mean())}


def _interval(errors: NDArray[np.float64], blocks: Sequence[int], seed: int) -> tuple[float, float]:
    """Return the percentile bootstrap 95 % interval of a mean, whole blocks being drawn; NaN for a single one."""
    if len(blocks) < 2:
        return float("nan"), float("nan")
    sums = np.array([part.sum() for part in np.split(errors, np.cumsum(blocks)[:-1])])
    drawn = np.random.default_rng(seed).integers(0, len(blocks), size=(RESAMPLES, len(blocks)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / np.array(blocks)[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _random(
    parts: Sequence[pd.DataFrame], tried: Sequence[NDArray[np.float64]], seed: int
) -> dict[str, float]:
    """Return 2.5, 50 and 97.5 % of the error after, each material's label being drawn at random."""
    generator = np.random.default_rng(seed)
    rows = pd.concat(parts)
    drawn = np.concatenate(
        [np.tile(generator.choice(c, RESAMPLES), (len(p), 1)) for p, c in zip(parts, tried, strict=True)]
    )
    gamma, dft = (rows[f"{name}_ev_per_ang2"].to_numpy()[:, None] for name in ("gamma", "dft"))
    low, middle, high = np.quantile(np.abs(drawn * gamma - dft).mean(axis=0), [0.025, 0.5, 0.975])
    return {
        "n_labels_tried": sum(map(len, tried)),
        "mae_random_median_ev_per_ang2": float(middle),
        "mae_random_low_ev_per_ang2": float(low),
        "mae_random_high_ev_per_ang2": float(high),
    }


def _controls(parts: Sequence[pd.DataFrame]) -> dict[str, float]:
    """Return the errors without any label of the material itself, and with the best factor there is."""
    c = np.array([float(part["c"].iloc[0]) for part in parts])
    others = (c.sum() - c) / (len(c) - 1) if len(c) > 1 else np.full(1, np.nan)
    return {
        "mae_others_c_ev_per_ang2": _scaled_error(parts, others),
        "mae_best_c_ev_per_ang2": _scaled_error(parts, [_best(part) for part in parts]),
    }


def _scaled_error(parts: Sequence[pd.DataFrame], factors_of: Sequence[float] | NDArray[np.float64]) -> float:
    errors = [
        np.abs(c * part["gamma_ev_per_ang2"] - part["dft_ev_per_ang2"])
        for part, c in zip(parts, factors_of, strict=True)
    ]
    return float(np.concatenate(errors).mean())


def _best(part: pd.DataFrame) -> float:
    """Return the factor of least mean absolute error: a median of DFT over model, weighted by the model's energies."""
    gamma, dft = (part[f"{name}_ev_per_ang2"].to_numpy() for name in ("gamma", "dft"))
    order = np.argsort(dft / gamma)
    total = np.cumsum(gamma[order])
    return float((dft / gamma)[order][np.searchsorted(total, total[-1] / 2)])
