"""Figures: the paper's parity plot rebuilt, and how far our numbers are from the published ones."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from pesbench.files import write_atomic
from pesbench.published import PAPER_MODELS
from pesbench.summary import (
    TOLERANCES_PERCENT,
    models_that_ran,
    ok_values,
    published_values,
    relative_difference_percent,
    summary,
)
from pesbench.typeset import formula_latex

# After Okabe and Ito (color-blind safe), with the paper's blue, orange and green for its own models.
_KNOWN = {
    "m3gnet-mp-2021.2.8-efs": ("#0072B2", "s"),
    "chgnet-0.3.0": ("#D98200", "o"),
    "mace-mp-0-medium": ("#009E73", "^"),
    "sevennet-0": ("#B0468E", "D"),
    "m3gnet-matgl-pes": ("#56B4E9", "v"),
}
# Paul Tol's muted set, for every other model.
_OTHERS = ("#332288", "#117733", "#44AA99", "#88CCEE", "#999933", "#CC6677", "#882255", "#AA4499", "#661100")
_MARKERS = "ovs^D<>pP"
STYLE: Any = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same bytes on every machine
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 5.8,
    "legend.labelspacing": 0.3,
    "lines.linewidth": 0.8,
    "mathtext.default": "regular",
    "pdf.fonttype": 42,
    "svg.hashsalt": "pesbench",
}
GREY = "#767676"
FULL_WIDTH_IN = 7.09  # 180 mm, two columns of a journal page
AXIS_END_EV_PER_ANG2 = 0.4  # the paper's axes
LINEAR_TO_PERCENT = 5.0


class _Looks(dict[str, str]):
    """A model's color or marker: fixed for the models we know, derived from the name for every other."""

    def __init__(self, known: dict[str, str], others: tuple[str, ...]) -> None:
        super().__init__(known)
        self.others = others

    def __missing__(self, model: str) -> str:
        return self.others[int(hashlib.sha256(model.encode()).hexdigest(), 16) % len(self.others)]


MODEL_COLORS = _Looks({model: color for model, (color, _) in _KNOWN.items()}, _OTHERS)
MODEL_MARKERS = _Looks({model: marker for model, (_, marker) in _KNOWN.items()}, tuple(_MARKERS))


def display_name(model: str) -> str:
    """Return what a panel is called: the paper's name beside ours where the paper has the model."""
    return f"{PAPER_MODELS[model][1]} ({model})" if model in PAPER_MODELS else model


def _panel_models(runs: pd.DataFrame | None) -> list[str]:
    return [*PAPER_MODELS, *(m for m in models_that_ran(runs) if m not in PAPER_MODELS)]


def parity_surfaces(published: pd.DataFrame, runs: pd.DataFrame | None = None) -> Figure:
    """Rebuild Fig. 2a of deng2025: surface energies of the models against DFT, one panel a model.

    Published values are hollow, ours filled, those that did not converge crosses; a value beyond the axes is
    a triangle on the edge. Errors are mean absolute errors in eV/Å^2.

    Parameters
    ----------
    published
        The transcribed Supplementary Table I.
    runs
        Our tidy table, or None where nothing has run yet.
    """
    models, lines = _panel_models(runs), summary(published, runs).set_index("model")
    n_columns = 2 if len(models) in (2, 4) else min(3, len(models))
    n_rows = math.ceil(len(models) / n_columns)
    side = FULL_WIDTH_IN / n_columns
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(FULL_WIDTH_IN, n_rows * side), layout="constrained")
        axes = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
        for axis, model in zip(axes.flat, models, strict=False):
            _parity_panel(axis, model, published, runs, lines.loc[model])
        for axis in axes.flat[len(models) :]:
            axis.remove()
        for axis in axes.flat[max(0, len(models) - n_columns) : len(models)]:
            axis.tick_params(labelbottom=True)
        figure.supxlabel("DFT surface energy (eV/Å$^2$), as published", fontsize=7.5)
        figure.supylabel("Model surface energy (eV/Å$^2$)", fontsize=7.5)
    return figure


def _parity_panel(
    axis: Axes, model: str, published: pd.DataFrame, runs: pd.DataFrame | None, line: pd.Series
) -> None:
    """Draw one model: the parity line, its points, and the legend with errors and counts."""
    dft = published.set_index("row")["dft_ev_per_ang2"].astype(float)
    end = AXIS_END_EV_PER_ANG2
    axis.plot([0, end], [0, end], color="black", zorder=1)
    values = parity_values(model, published, runs)
    beyond = 0
    for order, (kind, y) in enumerate(values.items(), start=2):
        x, look = dft.reindex(y.index), _look(model, kind)
        inside = x.between(0, end) & y.between(0, end)
        points = axis.scatter(x[inside], y[inside], zorder=order, **look)
        points.set_gid(f"{model} {kind}")
        outside = x[~inside].clip(0, end), y[~inside].clip(0, end)
        axis.scatter(*outside, zorder=order, **{**look, "marker": (3, 0, -45), "clip_on": False})
        beyond = max(beyond, int((~inside).sum()))
    axis.set(xlim=(0, end), ylim=(0, end), aspect="equal", title=display_name(model))
    axis.set_xticks(np.linspace(0, end, 5))
    axis.set_yticks(np.linspace(0, end, 5))
    handles = [
        Line2D([], [], linestyle="none", label=text, **_legend_look(model, kind))
        for kind, text in _legend(line, {kind: len(y) for kind, y in values.items()}, beyond)
    ]
    legend = axis.legend(
        handles=handles,
        loc="upper left",
        frameon=False,
        handletextpad=0.1,
        borderaxespad=0.2,
        title="MAE (eV/Å$^2$)",
        alignment="left",
    )
    legend.get_title().set_fontsize(STYLE["legend.fontsize"])


def parity_values(model: str, published: pd.DataFrame, runs: pd.DataFrame | None) -> dict[str, pd.Series]:
    """Return what is plotted for a model, in eV/Å^2 by row of the paper: published, ours, not converged."""
    mine = None if runs is None else runs[runs["model"] == model]
    return {
        "published": published_values(model, published).dropna(),
        "ours": ok_values(mine, "gamma_ev_per_ang2"),
        "not converged": ok_values(mine, "gamma_ev_per_ang2", "not_converged"),
    }


def _look(model: str, kind: str) -> dict[str, Any]:
    color, marker = MODEL_COLORS[model], MODEL_MARKERS[model]
    looks: dict[str, dict[str, Any]] = {
        "published": {"facecolors": "none", "edgecolors": color, "linewidths": 0.6, "s": 15},
        "ours": {"facecolors": color, "edgecolors": "white", "linewidths": 0.2, "s": 9},
        "not converged": {"marker": "x", "color": "black", "linewidths": 0.8, "s": 14},
        "beyond": {"marker": (3, 0, -45), "facecolors": "none", "edgecolors": color},
    }
    return {"marker": marker, **looks[kind]}


def _legend_look(model: str, kind: str) -> dict[str, Any]:
    look = _look(model, kind) if kind else {"marker": ""}
    face = look.get("facecolors", look.get("color", "none"))
    edge = look.get("edgecolors", look.get("color", "none"))
    return {"marker": look["marker"], "markerfacecolor": face, "markeredgecolor": edge, "markersize": 3.5}


def _legend(line: pd.Series, counts: Mapping[str, int], beyond: int) -> list[tuple[str, str]]:
    """Return the legend's lines: which points (empty: none), and how many there are with what error."""
    n_rows, n_ours, entries = line["n_rows"], counts["ours"], []
    if counts["published"]:
        entries.append(("published", f"paper {line['mae_published']:.3f} (n = {counts['published']})"))
    if n_ours:
        entries.append(("ours", f"ours {line['mae_ours']:.3f} (n = {n_ours} of {n_rows})"))
    if n_ours and counts["published"] and n_ours < n_rows:
        entries.append(("", f"paper, our rows {line['mae_published_same_rows']:.3f}"))
    if line["n_not_converged"]:
        shown = "not converged" if counts["not converged"] else ""
        entries.append((shown, f"not converged: {line['n_not_converged']}"))
    if line["n_failed"]:
        entries.append(("", f"failed: {line['n_failed']}"))
    if beyond:
        entries.append(("beyond", f"beyond the axes: {beyond}"))
    return entries


def reproduction_surfaces(published: pd.DataFrame, runs: pd.DataFrame | None = None) -> Figure:
    """Plot how far our surface energies are from the same model's published ones, row by row, in percent.

    One panel a model that both ran; rows in the paper's order, grouped by material; bands at 2 and 4 %. The
    axis is linear to 5 %, logarithmic beyond. Rows that failed or did not converge are crosses at the bottom.
    """
    models = [m for m in models_that_ran(runs) if m in PAPER_MODELS]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(FULL_WIDTH_IN, 0.6 + 1.9 * max(1, len(models))), layout="constrained")
        axes = list(figure.subplots(max(1, len(models)), 1, sharex=True, squeeze=False)[:, 0])
        for axis, model in zip(axes, models, strict=False):
            assert runs is not None  # a model that ran has rows
            _reproduction_panel(axis, model, published, runs)
        if not models:
            axes[0].text(
                0.5, 0.5, "no model of the paper has run yet", ha="center", transform=axes[0].transAxes
            )
            axes[0].set_yticks([])
        _material_axis(axes, published)
        figure.supylabel("Ours against published (%)", fontsize=7.5)
    return figure


def _reproduction_panel(axis: Axes, model: str, published: pd.DataFrame, runs: pd.DataFrame) -> None:
    mine = runs[runs["model"] == model].set_index("row")
    positions = pd.Series(range(len(published)), index=published["row"])
    gamma = ok_values(mine.reset_index(), "gamma_ev_per_ang2")
    difference = relative_difference_percent(gamma, published_values(model, published).reindex(gamma.index))
    for tolerance, shade in zip(TOLERANCES_PERCENT, ("#BFD9EC", "#E4EEF6"), strict=True):
        axis.axhspan(-tolerance, tolerance, color=shade, linewidth=0, zorder=-tolerance)
    axis.axhline(0, color=GREY, linewidth=0.5)
    points = axis.scatter(positions[difference.index], difference, zorder=3, **_look(model, "ours"))
    points.set_gid(f"{model} difference")
    end = max(20.0, 1.5 * float(difference.abs().max())) if len(difference) else 20.0
    axis.set_yscale("symlog", linthresh=LINEAR_TO_PERCENT, linscale=1.6)
    ticks = [t for t in (4, 10, 100, 1000) if t < end]
    axis.set_yticks(sorted({0, -2, 2, *ticks, *(-t for t in ticks)}), minor=False)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")
    axis.yaxis.set_minor_locator(NullLocator())
    axis.set_ylim(-end, end)
    lost = positions[mine.index[mine["status"].isin(["failed", "not_converged"])]]
    at_bottom = axis.get_xaxis_transform()
    axis.scatter(
        lost, [0.04] * len(lost), transform=at_bottom, marker="x", color="black", s=12, linewidths=0.8
    )
    axis.set_title(_reproduction_title(model, difference, len(lost), len(published)), loc="left")


def _reproduction_title(model: str, difference: pd.Series, n_lost: int, n_rows: int) -> str:
    within = ", ".join(f"{(difference.abs() <= t).sum()} within {t:g} %" for t in TOLERANCES_PERCENT)
    lost = f"; {n_lost} failed or not converged (crosses)" if n_lost else ""
    return f"{display_name(model)}: {len(difference)} of {n_rows} rows, of these {within}{lost}"


def _material_axis(axes: Sequence[Axes], published: pd.DataFrame) -> None:
    """Label each material once, over its rows, and separate it from its neighbors."""
    groups = published.reset_index(drop=True).groupby("mp_id", sort=False)
    middles = [(rows.index[0] + rows.index[-1]) / 2 for _, rows in groups]
    for axis in axes:
        for _, rows in list(groups)[1:]:
            axis.axvline(rows.index[0] - 0.5, color="#DDDDDD", linewidth=0.4, zorder=0)
        axis.set_xlim(-0.8, len(published) - 0.2)
        axis.tick_params(axis="x", length=0)
    labels = [formula_latex(str(rows["formula"].iloc[0])) for _, rows in groups]
    axes[-1].set_xticks(middles, labels, rotation=90)


def save(figure: Figure, *paths: Path) -> None:
    """Write a figure to each path (pdf, svg, 300 dpi png): whole, and the same bytes for the same input."""
    for path in paths:
        suffix, buffer = path.suffix.lstrip("."), io.BytesIO()
        metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(suffix, {})
        with matplotlib.rc_context(STYLE):
            figure.savefig(buffer, format=suffix, dpi=300, metadata=metadata)
        write_atomic(path, buffer.getvalue())
