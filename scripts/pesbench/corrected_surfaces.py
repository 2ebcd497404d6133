"""Surface energies after a one-label correction of each material (Deng et al. 2025, Supplementary Fig. 5).

A corrected model has the minima of the uncorrected one, and a surface energy is a difference at equal composition, so
that it is just times c: no slab is relaxed again. Only a relaxation's threshold is that of forces times c.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pesbench.correction import METHODS, CorrectionError, factor, typical
from pesbench.engine.predictions import Predictions
from pesbench.metrics import bootstrap_interval, mae
from pesbench.plots import FULL_WIDTH_IN, MODEL_COLORS, MODEL_MARKERS, STYLE, display_name

#: A frame whose model forces are smaller than this share of the typical frame's is no high-energy label.
LEAST_SIZE = 0.5
COLUMNS = ("row", "mp_id", "formula", "miller", "termination", "model")


def factors(found: Predictions, method: str) -> dict[str, float]:
    """Return c of one label: of the typical frame, and 2.5, 50, 97.5 % over every other frame that could be one.

    That is a frame whose forces, told by the model, are at least half of the typical ones; ``n`` counts them. A crystal
    near rest says nothing about high-energy states.
    """
    pairs = list(
        zip(found.split(found.forces_ev_per_ang), found.split(found.forces_dft_ev_per_ang), strict=True)
    )
    [chosen] = typical([model for model, _ in pairs])
    values = []
    sizes = [float(np.sqrt((model**2).mean())) for model, _ in pairs]
    for (model, dft), size in zip(pairs, sizes, strict=True):
        with contextlib.suppress(CorrectionError):
            if size >= LEAST_SIZE * sizes[chosen]:
                values.append(factor(model, dft, method))
    low, middle, high = np.quantile(values, [0.025, 0.5, 0.975])
    best = factor(*pairs[chosen], method)
    return {
        "c": best,
        "c_low": float(low),
        "c_median": float(middle),
        "c_high": float(high),
        "n": len(values),
    }


def corrected_table(surfaces: pd.DataFrame, labels: Mapping[tuple[str, str], Predictions]) -> pd.DataFrame:
    """Return our surface energies before and after correction beside DFT's, for every material that has labels.

    Parameters
    ----------
    surfaces
        The tidy table of surface energies (eV/angstrom^2).
    labels
        Predictions on labelled bulk frames, by (model, formula).

    Returns
    -------
    pandas.DataFrame
        One line a (published row, model, method); ``low`` and ``high`` bound 95 % of the choices of the one label.
    """
    rows = []
    finished = surfaces[surfaces["status"] == "ok"]
    for (model, formula), of_material in finished.groupby(["model", "formula"], sort=True):
        found = labels.get((str(model), str(formula)))
        for method in METHODS if found is not None else ():
            assert found is not None
            c = factors(found, method)
            for _, line in of_material.sort_values("row").iterrows():
                rows.append({name: line[name] for name in COLUMNS} | _energies(line, c, method, found))
    names = [*COLUMNS, "method", "labels_level_of_theory", "n_labels_tried", "c", "gamma_ev_per_ang2"]
    names += [f"gamma_corrected{end}_ev_per_ang2" for end in ("", "_median", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*names, "dft_ev_per_ang2"])


def _energies(line: pd.Series, c: Mapping[str, float], method: str, found: Predictions) -> dict[str, object]:
    gamma = float(line["gamma_ev_per_ang2"])
    return {
        "method": method,
        "labels_level_of_theory": " and ".join(sorted({str(level) for level in found.levels})),
        "n_labels_tried": c["n"],
        "c": c["c"],
        "gamma_ev_per_ang2": gamma,
        "gamma_corrected_ev_per_ang2": c["c"] * gamma,
        "gamma_corrected_median_ev_per_ang2": c["c_median"] * gamma,
        "gamma_corrected_low_ev_per_ang2": min(c["c_low"], c["c_high"]) * gamma,
        "gamma_corrected_high_ev_per_ang2": max(c["c_low"], c["c_high"]) * gamma,
        "dft_ev_per_ang2": float(line["dft_ev_per_ang2"]),
    }


def corrected_figure(table: pd.DataFrame, seed: int, method: str = "least_squares") -> Figure:
    """Draw model against DFT surface energies before (hollow) and after (filled) the correction, a panel a model.

    Bars hold 95 % of the choices of the label; the point is that of the typical frame.
    """
    rows = table[table["method"] == method]
    models = list(dict.fromkeys(rows["model"]))
    with matplotlib.rc_context(STYLE):
        width = max(1, min(3, len(models))) * FULL_WIDTH_IN / 2.4
        figure = Figure(figsize=(width, FULL_WIDTH_IN / 2.2), layout="constrained")
        axes = figure.subplots(1, max(1, len(models)), squeeze=False)[0]
        for axis, model in zip(axes, models, strict=False):
            own = rows[rows["model"] == model]
            dft, before = own["dft_ev_per_ang2"], own["gamma_ev_per_ang2"]
            after = own["gamma_corrected_ev_per_ang2"]
            end = 1.1 * max(float(dft.max()), float(after.max()))
            axis.plot([0, end], [0, end], color="black")
            look = {
                "color": MODEL_COLORS[model],
                "marker": MODEL_MARKERS[model],
                "linestyle": "none",
                "ms": 3.5,
            }
            text = f"pretrained, MAE {_told(before, dft, seed)}"
            axis.plot(dft, before, mfc="none", label=text, **look)
            spread = [
                (after - own["gamma_corrected_low_ev_per_ang2"]).clip(lower=0),
                (own["gamma_corrected_high_ev_per_ang2"] - after).clip(lower=0),
            ]
            axis.errorbar(dft, after, spread, fmt="none", ecolor="#BBBBBB", elinewidth=0.5, zorder=1)
            axis.plot(dft, after, label=f"one label, MAE {_told(after, dft, seed)}", **look)
            kinds = ", ".join(dict.fromkeys(own["formula"]))
            axis.set(
                xlim=(0, end),
                ylim=(0, end),
                aspect="equal",
                title=f"{display_name(model)}\n{kinds}, n = {len(own)}",
            )
            axis.legend(loc="upper left", frameon=False)
        if not models:
            axes[0].text(0.5, 0.5, "no material has both surfaces and labels", ha="center")
            axes[0].set_axis_off()
        figure.supxlabel("DFT surface energy (eV/Å$^2$), as published", fontsize=7.5)
        figure.supylabel("Model surface energy (eV/Å$^2$)", fontsize=7.5)
    return figure


def _told(values: pd.Series, dft: pd.Series, seed: int) -> str:
    bounds = bootstrap_interval(mae, values.to_numpy(), dft.to_numpy(), seed=seed)
    return f"{mae(values.to_numpy(), dft.to_numpy()):.4f} ({bounds.low:.4f} to {bounds.high:.4f})"


def labels_by_formula(runs: Iterable[tuple[str, Predictions]]) -> dict[tuple[str, str], Predictions]:
    """Return predictions by (model, material) for sets of a single material, of (model, predictions)."""
    return {
        (model, str(found.materials[0])): found for model, found in runs if len(set(found.materials)) == 1
    }
