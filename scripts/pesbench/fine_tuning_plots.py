"""Figures of fine-tuning: learning curves; after deng2025's S-Figs. 3 and 4 and focassio2024's Figs. S6 and S7."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from pesbench.engine.predictions import Predictions
from pesbench.fine_tuning_layout import WORDS
from pesbench.plots import FULL_WIDTH_IN, GREY, STYLE, display_name
from pesbench.softening import slope

COLORS = {
    "correction": "#767676",
    "last_layer": "#56B4E9",
    "readout": "#0072B2",
    "all": "#D98200",
    "scratch": "#B0468E",
}
TEST, TRAIN = "#E69F00", "#C00000"
#: Which set stands for the paper's mp-973966, whose trajectory is not published: the first of these that has run.
PREFERRED = ("mlearn-Ge", "mlearn-Si", "mlearn-Mo", "mlearn-Li", "mlearn-Cu", "mlearn-Ni")


@dataclass(frozen=True)
class Run:
    """One run's answers: for the test frames and for its own labels."""

    set: str
    model: str
    method: str
    n_labels: int
    seed: int
    test: Predictions
    labels: Predictions


def _empty(message: str) -> Figure:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(FULL_WIDTH_IN, 1.2), layout="constrained")
        axis = figure.subplots()
        axis.text(0.5, 0.5, message, ha="center", va="center", transform=axis.transAxes)
        axis.set_axis_off()
    return figure


def curves_figure(table: pd.DataFrame) -> Figure:
    """Draw the force error on held-out frames against the number of labels: a panel a (set, model).

    Points are the runs, lines their means; dashed: the published model with its 95 % interval over frames.
    """
    done = table[table["status"] == "ok"]
    panels = list(done.groupby(["set", "model"], sort=True))
    if not panels:
        return _empty("no run has finished yet")
    columns = min(3, len(panels))
    lines = math.ceil(len(panels) / columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(FULL_WIDTH_IN, 2.1 * lines + 0.5), layout="constrained")
        axes = figure.subplots(lines, columns, squeeze=False)
        for axis, ((name, model), own) in zip(axes.flat, panels, strict=False):
            _curve_panel(axis, own, "force_mae_ev_per_ang")
            axis.set_title(f"{display_name(model)}\n{name}, {int(own['n_frames'].iloc[0])} held-out frames")
        for axis in axes.flat[len(panels) :]:
            axis.remove()
        figure.supxlabel("Labels (of these 10 % choose the epoch)", fontsize=7.5)
        figure.supylabel("Force MAE (eV/Å)", fontsize=7.5)
        _legend(figure, axes)
    return figure


def _curve_panel(axis: Axes, own: pd.DataFrame, value: str) -> None:
    start = own[own["method"] == "pretrained"]
    if not start.empty:
        axis.axhline(start[value].iloc[0], color="black", linestyle="--", label="as published")
    bounds = [value.replace("_mae", f"_mae_{end}") for end in ("low", "high")]
    if not start.empty and set(bounds) <= set(own.columns):
        axis.axhspan(*start[bounds].iloc[0], color=GREY, alpha=0.15, linewidth=0)
    for method, color in COLORS.items():
        of = own[own["method"] == method].dropna(subset=[value])
        if of.empty:
            continue
        axis.scatter(of["n_labels"].astype(float), of[value], s=6, color=color, alpha=0.5, linewidths=0)
        mean = of.groupby("n_labels")[value].mean()
        axis.plot(mean.index.astype(float), mean, color=color, marker="o", markersize=3, label=WORDS[method])
    axis.set_xscale("log")
    axis.set_ylim(bottom=0.0)
    _plain_counts(axis, own["n_labels"])


def _plain_counts(axis: Axes, counts: pd.Series) -> None:
    """Mark the numbers of labels that were run, and no others."""
    ticks = sorted({int(n) for n in counts if n > 0})
    axis.set_xticks(ticks, [str(n) for n in ticks])
    axis.xaxis.set_minor_locator(NullLocator())


def _legend(figure: Figure, axes: np.ndarray) -> None:
    entries = {
        text: line
        for axis in axes.flat
        if axis.figure is not None
        for line, text in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(entries.values()), list(entries), loc="outside upper center", ncols=6, frameon=False)


def shown_set(runs: Sequence[Run], wanted: Sequence[tuple[str, int]]) -> tuple[str, str]:
    """Return the (set, model) that has most of the wanted (method, labels), the preferred one among equals."""
    have: dict[tuple[str, str], set[tuple[str, int]]] = {}
    for run in runs:
        have.setdefault((run.set, run.model), set()).add((run.method, run.n_labels))
    order = {name: number for number, name in enumerate(PREFERRED)}
    return min(
        have,
        key=lambda key: (-len(have[key] & set(wanted)), order.get(key[0], 99), key[1] != "chgnet-0.3.0", key),
    )


def parity_figure(runs: Sequence[Run], wanted: Sequence[tuple[str, int]], differs: str) -> Figure:
    """Draw forces after fine-tuning against DFT: held-out frames orange, labels red (S-Fig. 3; S-Fig. 4).

    Parameters
    ----------
    wanted
        (method, number of labels) of each panel; one that has not run says so.
    differs
        What is not as in the paper, printed below.
    """
    if not runs:
        return _empty("no run has finished yet")
    name, model = shown_set(runs, wanted)
    own = {(r.method, r.n_labels): r for r in reversed(runs) if (r.set, r.model) == (name, model)}
    side = FULL_WIDTH_IN / max(3, len(wanted))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(side * len(wanted), side + 0.9), layout="constrained")
        for axis, key in zip(figure.subplots(1, len(wanted), squeeze=False)[0], wanted, strict=True):
            labels = f"{key[1]} label{'s' if key[1] > 1 else ''}"
            axis.set_title(f"{WORDS[key[0]]}, {labels}")
            if key in own:
                _parity(axis, own[key])
            else:
                axis.text(0.5, 0.5, "not run", ha="center", transform=axis.transAxes)
                axis.set(box_aspect=1, xticks=[], yticks=[])
        figure.suptitle(f"{display_name(model)}, {name}", fontsize=7.5)
        told = textwrap.fill(differs, 45 * len(wanted))
        figure.supxlabel(f"DFT force component (eV/Å)\n{told}", fontsize=6.5)
        figure.supylabel("Model force component (eV/Å)", fontsize=7.5)
    return figure


def _parity(axis: Axes, run: Run) -> None:
    sides = [
        (found.forces_dft_ev_per_ang.ravel(), found.forces_ev_per_ang.ravel())
        for found in (run.test, run.labels)
    ]
    end = 1.05 * max(float(np.abs(x).max()) for x, _ in sides)
    axis.plot([-end, end], [-end, end], color="black", linewidth=0.6)
    for (x, y), color in zip(sides, (TEST, TRAIN), strict=True):
        axis.scatter(x, y, s=1.5, color=color, alpha=0.5, linewidths=0, rasterized=True)
    (x, y), (x_own, y_own) = sides
    text = (
        f"held out: MAE {np.abs(y - x).mean():.3f} eV/Å, slope {slope(y, x):.3f}\n"
        f"({len(run.test.ids)} frames, n = {len(x)})\nlabels: MAE {np.abs(y_own - x_own).mean():.3f} eV/Å"
    )
    axis.text(0.04, 0.96, text, transform=axis.transAxes, va="top", fontsize=5.6)
    axis.set(xlim=(-end, end), ylim=(-end, end), aspect="equal")


def volume_figure(table: pd.DataFrame, costs: pd.DataFrame, by_size: bool = False) -> Figure:
    """Draw error and training time against the number of labels, pooled over elements (S6; S7: by model size).

    S7 takes the labels times the number of weights as the size of the task.
    """
    keys = ["set", "model", "method", "n_labels", "seed"]
    both = table[table["status"] == "ok"].merge(costs.drop(columns="status"), on=keys, suffixes=("", "_cost"))
    if both.empty:
        return _empty("no run has finished yet")
    scale = both["parameters"].astype(float) / 1e6 if by_size else 1.0
    both = both.assign(size=both["n_labels"].astype(float) * scale)
    shown = (
        ("energy_rmse_ev_per_atom", "Energy RMSE (eV/atom)"),
        ("force_mae_ev_per_ang", "Force MAE (eV/Å)"),
        ("train_seconds", "Training (s)"),
    )
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(FULL_WIDTH_IN, 2.8), layout="constrained")
        axes = figure.subplots(1, 3, squeeze=False)
        for axis, (value, title) in zip(axes[0], shown, strict=True):
            _volume_panel(axis, both, value)
            axis.set(xscale="log", ylabel=title)
            axis.set_ylim(bottom=0.0)
            if not by_size:
                _plain_counts(axis, both["n_labels"])
        sets, devices = " ".join(sorted(set(both["set"]))), " ".join(sorted(set(both["device"].astype(str))))
        size = "Labels × million weights" if by_size else "Labels"
        told = f"means over runs and sets ({sets}) on {devices}; held-out frames of Zuo et al."
        figure.supxlabel(f"{size}\n{told}", fontsize=6.5)
        _legend(figure, axes)
    return figure


def _volume_panel(axis: Axes, both: pd.DataFrame, value: str) -> None:
    for (model, method), own in both.groupby(["model", "method"], sort=True):
        mean = own.dropna(subset=[value]).groupby("size")[value].mean()
        style = {"chgnet-0.3.0": "-", "m3gnet-matgl-pes": "--"}.get(str(model), ":")
        axis.plot(
            mean.index,
            mean,
            linestyle=style,
            color=COLORS[str(method)],
            marker="o",
            markersize=3,
            label=f"{model}, {WORDS[str(method)]}",
        )


def figures(table: pd.DataFrame, costs: pd.DataFrame, runs: Sequence[Run]) -> Mapping[str, Figure]:
    """Return every figure by its name."""
    differs = (
        "The paper: Li6Zn2In2(IO3)16 (mp-973966), whose labels are not published; here a set of Zuo et al. (PBE), "
        "and the epochs of the configuration"
    )
    parts = [("last_layer", 1), ("readout", 1), ("all", 1)]
    return {
        "fine_tuning_curves": curves_figure(table),
        "deng2025_sfig3": parity_figure(runs, parts, differs),
        "deng2025_sfig4": parity_figure(runs, [("scratch", 100), ("scratch", 1000)], differs),
        "focassio2024_s6": volume_figure(table, costs),
        "focassio2024_s7": volume_figure(table, costs, by_size=True),
    }
