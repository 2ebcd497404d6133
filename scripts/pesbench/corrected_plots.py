"""Figure of the one-label correction of surface energies, after Supplementary Fig. 5 of deng2025."""

from __future__ import annotations

from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pesbench.plots import FULL_WIDTH_IN, GREY, MODEL_COLORS, MODEL_MARKERS, STYLE, display_name
from pesbench.typeset import formula_latex

PANEL_IN = 3.1


def corrected_figure(table: pd.DataFrame, metrics: pd.DataFrame, method: str = "least_squares") -> Figure:
    """Draw a row for each model and collection of labels: parity with DFT, and each material's error before and after.

    Hollow: pretrained, filled: corrected with the typical label; bars hold 95 % of the choices of the label.

    Parameters
    ----------
    table, metrics
        Of `pesbench.corrected_surfaces`, energies in eV/angstrom^2.
    """
    rows, errors = (
        (frame[frame["method"] == method] for frame in (table, metrics)) if len(table) else (table, metrics)
    )
    pairs = list(dict.fromkeys(zip(rows["model"], rows["collection"], strict=True)))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(FULL_WIDTH_IN, PANEL_IN * max(1, len(pairs))), layout="constrained")
        axes = figure.subplots(max(1, len(pairs)), 2, squeeze=False)
        for (left, right), (model, collection) in zip(axes, pairs, strict=False):
            own = rows[(rows["model"] == model) & (rows["collection"] == collection)]
            of_own = errors[(errors["model"] == model) & (errors["collection"] == collection)]
            _parity(left, own, of_own[of_own["mp_id"] == "all"].iloc[0], model, collection)
            _by_material(right, of_own[of_own["mp_id"] != "all"], model)
        if not pairs:
            axes[0, 0].text(0.5, 0.5, "no material has both surfaces and labels", ha="center")
            for axis in axes[0]:
                axis.set_axis_off()
    return figure


def _parity(axis: Axes, own: pd.DataFrame, line: pd.Series, model: str, collection: str) -> None:
    """Draw model against DFT surface energies before and after."""
    dft, before = own["dft_ev_per_ang2"], own["gamma_ev_per_ang2"]
    after, low, high = (own[f"gamma_corrected{end}_ev_per_ang2"] for end in ("", "_low", "_high"))
    end = 1.2 * max(float(dft.max()), float(after.max()))
    axis.plot([0, end], [0, end], color="black")
    look: dict[str, Any] = {
        "color": MODEL_COLORS[model],
        "marker": MODEL_MARKERS[model],
        "linestyle": "none",
        "ms": 3.5,
    }
    axis.plot(dft, before, mfc="none", label=f"pretrained, MAE {_told(line, 'mae_before')}", **look)
    axis.vlines(dft, low, high, color="#BBBBBB", linewidth=0.5, zorder=1)
    axis.plot(dft, after, label=f"one label, MAE {_told(line, 'mae_after')}", **look)
    if pd.notna(line["mae_others_c_ev_per_ang2"]):
        told = f"mean $c$ of the others instead, MAE {line['mae_others_c_ev_per_ang2']:.4f}"
        axis.plot([], [], linestyle="none", label=told)
    counts = f"{line['n_surfaces']} surfaces of {line['n_materials']} materials"
    theory = ", ".join(sorted(set(own["labels_level_of_theory"])))
    axis.set(
        xlim=(0, end),
        ylim=(0, end),
        aspect="equal",
        title=f"{display_name(model)}: {counts}\nlabels: {collection}, {theory}",
        xlabel="DFT surface energy (eV/Å$^2$), as published",
        ylabel="Model surface energy (eV/Å$^2$)",
    )
    axis.legend(loc="upper left", frameon=False)


def _look(model: str) -> dict[str, Any]:
    return {"color": MODEL_COLORS[model], "marker": MODEL_MARKERS[model], "linestyle": "none", "ms": 3.5}


def _told(line: pd.Series, name: str) -> str:
    low, high = (line[f"{name}_{end}_ev_per_ang2"] for end in ("low", "high"))
    value = f"{line[f'{name}_ev_per_ang2']:.4f}"
    return value if pd.isna(low) else f"{value} ({low:.4f} to {high:.4f})"


def _by_material(axis: Axes, lines: pd.DataFrame, model: str) -> None:
    """Draw each material's mean absolute error before (hollow) and after (filled), joined by a line."""
    lines = lines.sort_values("mae_before_ev_per_ang2", kind="stable")
    places = range(len(lines))
    before, after = (lines[f"mae_{name}_ev_per_ang2"] for name in ("before", "after"))
    axis.hlines(places, before, after, color=GREY, linewidth=0.8, zorder=1)
    look: dict[str, Any] = {
        "color": MODEL_COLORS[model],
        "marker": MODEL_MARKERS[model],
        "linestyle": "none",
        "ms": 4,
    }
    axis.plot(before, places, mfc="none", **look)
    axis.plot(after, places, **look)
    axis.set_yticks(
        places,
        [
            f"{formula_latex(line['formula'])} ($n$ = {line['n_surfaces']}, $c$ = {line['c']:.2f})"
            for _, line in lines.iterrows()
        ],
    )
    axis.set(
        xlim=(0, None),
        ylim=(-0.6, len(lines) - 0.4),
        xlabel="MAE (eV/Å$^2$): hollow before, filled after",
        title="by material",
    )
