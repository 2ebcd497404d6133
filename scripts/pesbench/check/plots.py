"""Figures of a check: slope by size of force, error against the number of labels. Parity is the benchmark's own."""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from pesbench.check.verdict import LEAST_FRAMES, widened
from pesbench.plots import FULL_WIDTH_IN, GREY, MODEL_COLORS, MODEL_MARKERS, STYLE

#: Slopes beyond these are drawn on the edge: a range with hardly a force can have any.
AXIS = (0.0, 2.0)


def ranges(softening: pd.DataFrame) -> pd.DataFrame:
    """Return the lines of the ranges of force, their intervals made as wide as their frames ask for."""
    rows = softening[softening["grouping"] == "force_ev_per_ang"].copy()
    wide = [
        widened(r["slope"], r["slope_low"], r["slope_high"], int(r["n_frames"])) for _, r in rows.iterrows()
    ]
    return rows.assign(slope_low=[w.low for w in wide], slope_high=[w.high for w in wide])


def force_figure(softening: pd.DataFrame) -> Figure:
    """Draw the slope of every model in every range of the size of DFT's force, with 95 % intervals."""
    rows = ranges(softening)
    models, groups = list(dict.fromkeys(rows["model"])), list(dict.fromkeys(rows["group"]))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(FULL_WIDTH_IN / 1.6, 2.3), layout="constrained")
        axis = figure.subplots()
        axis.axhline(1.0, color="black", linewidth=0.6)
        for number, model in enumerate(models):
            own = rows[(rows["model"] == model) & (rows["n_frames"] >= LEAST_FRAMES)]
            place = np.array([groups.index(g) for g in own["group"]], dtype=float)
            place += 0.12 * (number - (len(models) - 1) / 2)
            slope = own["slope"].clip(*AXIS)
            bars = [(slope - own["slope_low"]).clip(lower=0), (own["slope_high"] - slope).clip(lower=0)]
            look: dict[str, Any] = {"color": MODEL_COLORS[model], "marker": MODEL_MARKERS[model]}
            axis.errorbar(place, slope, np.nan_to_num(np.array(bars)), ms=3.5, capsize=2, label=model, **look)
        axis.set_xticks(range(len(groups)), [f"{g}\n{_count(rows, g)}" for g in groups])
        shown = rows.loc[rows["n_frames"] >= LEAST_FRAMES, "slope"]
        axis.set_ylim(max(AXIS[0], min(0.5, shown.min() - 0.1)), min(AXIS[1], max(1.2, shown.max() + 0.1)))
        axis.set_xlabel("Size of the DFT force on an atom (eV/Å); atoms in this range")
        axis.set_ylabel("Slope of the model's forces")
        axis.grid(axis="y", color=GREY, alpha=0.2, linewidth=0.4)
        axis.legend(frameon=False)
    return figure


def _count(rows: pd.DataFrame, group: str) -> str:
    components = int(rows.loc[rows["group"] == group, "n_components"].max())
    return f"n = {components // 3}"


def curve_figure(curve: pd.DataFrame) -> Figure:
    """Draw the force error on held-out frames after a correction against the number of labels, a panel a model."""
    rows = curve[curve["method"] == "least_squares"]
    models = list(dict.fromkeys(rows["model"]))
    columns = min(3, len(models))
    lines = math.ceil(len(models) / columns)
    with matplotlib.rc_context(STYLE):
        size = (2.6 * columns + 0.3, 2.3 * lines)
        figure = Figure(figsize=size, layout="constrained")
        for axis, model in zip(figure.subplots(lines, columns, squeeze=False).flat, models, strict=False):
            _curve(axis, rows[rows["model"] == model], model)
        for axis in figure.axes[len(models) :]:
            axis.remove()
    return figure


def _curve(axis: Axes, rows: pd.DataFrame, model: str) -> None:
    color, unit = MODEL_COLORS[model], "force_mae_after{}_ev_per_ang".format
    before = rows["force_mae_before_ev_per_ang"].median()
    axis.axhline(before, color="black", linewidth=0.6, label="uncorrected")
    for choice, look, text in (
        ("random", "-o", "random labels"),
        ("typical_forces", ":s", "of typical forces"),
    ):
        own = rows[rows["choice"] == choice].sort_values("n_labels")
        x = own["n_labels"].astype(float)
        axis.plot(x, own[unit("")], look, color=color, ms=2.5, label=text)
        if choice == "random":
            axis.fill_between(x, own[unit("_low")], own[unit("_high")], color=color, alpha=0.18, linewidth=0)
    counts = sorted(set(rows["n_labels"]))
    axis.set_xscale("log")
    axis.set_xticks(counts, [str(n) for n in counts])
    axis.xaxis.set_minor_locator(NullLocator())
    # One unlucky label may do much harm: the axis need not follow it all the way.
    top = rows.loc[rows["choice"] == "random", unit("")].max()
    axis.set_ylim(top=min(axis.get_ylim()[1], 1.6 * max(before, top)))
    axis.set(title=model, xlabel="Labels", ylabel="Force MAE on held-out frames (eV/Å)")
    axis.legend(frameon=False)
