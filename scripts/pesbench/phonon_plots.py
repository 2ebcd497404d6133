"""Figures of the phonon benchmark after deng2025: its Fig. 4, and our maxima against the published ones."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from pesbench.phonon_run import PhononRun, model_title, models_in_order, path_ticks
from pesbench.plots import FULL_WIDTH_IN, GREY, MODEL_COLORS, MODEL_MARKERS, STYLE
from pesbench.published import PHONON_MODELS
from pesbench.typeset import formula_latex

REFERENCE_COLOR = "#000000"
DASHES = ((4, 1.6), (1.2, 1.2), (6, 1.5, 1.2, 1.5), (2.4, 1.0), (8, 2), (4, 1, 1, 1, 1, 1))
#: Fig. 4a's material, and which to draw where it is not in the run: CsF, MgO, NaCl, CaF2, Si.
PREFERRED = ("mp-1784", "mp-1265", "mp-22862", "mp-2741", "mp-149")
FEW = 5  # fewer values are drawn as points, more as a violin
DEVIATION_END_PERCENT = 5.0


def color_of(run: PhononRun, name: str) -> str:
    """Return a model's color, the same in every figure; black is kept for the databases."""
    return REFERENCE_COLOR if name in run.databases else MODEL_COLORS[name]


def band_material(run: PhononRun) -> str | None:
    """Return the material of Fig. 4a: the paper's, else the first of `PREFERRED`, else the first with bands."""
    for material in [*(m for m in PREFERRED if m in run.materials), *run.materials]:
        if any(run.bands(model, material) for model in run.models):
            return material
    return None


def bands_figure(run: PhononRun, table: pd.DataFrame) -> Figure:
    """Draw Fig. 4a: band structures of DFT (solid) and of the models (dashed) on one path, in THz.

    The distance along the path is DFT's, or else the first model's: a relaxed cell has its own, a little
    different. Imaginary frequencies are negative.
    """
    material = band_material(run)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(FULL_WIDTH_IN, 3.1 if material else 1.5), layout="constrained")
        axis = figure.subplots()
        if material is None:
            nothing(axis, "no band structure in this run")
            return figure
        _draw_bands(axis, run, material)
        axis.set_title(_bands_title(run, material, levels(table)), loc="left")
        figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return figure


def levels(table: pd.DataFrame) -> dict[str, str]:
    """Return the level of theory of each model's training data, as the tidy table states it."""
    stated = table.dropna(subset=["level_of_theory"])
    return dict(zip(stated["model"], stated["level_of_theory"], strict=True))


def _draw_bands(axis: Axes, run: PhononRun, material: str) -> None:
    drawn = {m: run.bands(m, material) for m in [*band_reference(run, material), *run.models]}
    bands = {model: found for model, found in drawn.items() if found}
    first = next(iter(bands.values()))
    for model, found in bands.items():
        style = (0, dashes(run, model)) if dashes(run, model) else "solid"
        look: Any = {"color": color_of(run, model), "linestyle": style, "linewidth": 0.9}
        for i, (segment, ruler) in enumerate(zip(found["segments"], first["segments"], strict=True)):
            lines = axis.plot(ruler["distance"], segment["frequencies_thz"], zorder=3, **look)
            lines[0].set_label(run.title(model) if i == 0 else "_")
            for line in lines:
                line.set_gid(f"{model} bands {i}")
    ticks = path_ticks(first)
    axis.set_xticks([x for x, _ in ticks], [label for _, label in ticks])
    for x, _ in ticks:
        axis.axvline(x, color="#BBBBBB", linewidth=0.4, zorder=0)
    axis.axhline(0, color=GREY, linewidth=0.6, zorder=1)
    axis.set(xlim=(ticks[0][0], ticks[-1][0]), ylabel="Frequency (THz), imaginary as negative")


def dashes(run: PhononRun, name: str) -> tuple[float, ...]:
    """Return the dashes of a model's curves; a database's are solid."""
    return () if name in run.databases else DASHES[run.models.index(name) % len(DASHES)]


def band_reference(run: PhononRun, material: str) -> list[str]:
    """Return the database to overlay, if any: the paper's is PBEsol."""
    return [d for d in run.references("PBEsol") if run.bands(d, material)][:1]


def _bands_title(run: PhononRun, material: str, levels: Mapping[str, str]) -> str:
    dft = ", ".join(map(run.title, band_reference(run, material))) or "not at hand"
    shown = [m for m in run.models if run.bands(m, material)]
    trained = ", ".join(sorted({levels[m] for m in shown if levels.get(m)})) or "a level not stated"
    formula = formula_latex(run.formula(material))
    line = f"{formula} ({material}), without LO-TO splitting. DFT (solid): {dft}; models (dashed), trained on {trained}"
    return textwrap.fill(line, 110)


# --- Fig. 4b of deng2025, and its reproduction


def ratios(table: pd.DataFrame, model: str) -> pd.Series:
    """Return our maxima over DFT's by row: DFT by our code where its forces are at hand, else as published."""
    own = table[(table["model"] == model) & (table["status"] == "ok")].set_index("row")
    dft = own["dft_thz"].astype(float).fillna(own["dft_published_thz"].astype(float))
    return (own["max_freq_thz"].astype(float) / dft).dropna()


def published_ratios(published: pd.DataFrame, model: str) -> pd.Series:
    """Return a model's published maxima over the published DFT ones; empty where the paper has no such model."""
    if model not in PHONON_MODELS:
        return pd.Series(dtype=float)
    own = published.set_index("row")
    return (own[f"{PHONON_MODELS[model][0]}_thz"] / own["dft_thz"]).dropna()


def ratio_figure(published: pd.DataFrame, table: pd.DataFrame) -> Figure:
    """Draw Fig. 4b: distribution of maximum frequency over DFT's a model, published above, ours below.

    Lines are the quartiles; the share of materials below 1 and their number stand at the right.
    """
    models = table_models(table)
    rows: list[Row] = []
    for model in [*PHONON_MODELS, *(m for m in models if m not in PHONON_MODELS)]:
        theirs, ours = published_ratios(published, model), ratios(table, model)
        look = {"title": model_title(model).replace(" (", "\n("), "color": MODEL_COLORS[model], "key": model}
        if len(theirs):
            rows.append(Row(theirs.to_numpy(), _below(theirs, "published"), "high", **look))
        if len(ours) or model in models:
            rows.append(Row(ours.to_numpy(), _below(ours, "ours"), "low", **look))
    with matplotlib.rc_context(STYLE):
        height = 0.75 + 0.62 * len({row.key for row in rows})
        figure = Figure(figsize=(FULL_WIDTH_IN * 0.8, height), layout="constrained")
        axis = figure.subplots()
        violins(axis, rows, marked=1.0)
        axis.set_xlabel("Maximum frequency, model / DFT (PBEsol, PhononDB)")
    return figure


def _below(values: pd.Series, who: str) -> str:
    if values.empty:
        return f"{who}: none finished"
    return f"{who}: {100 * (values < 1).mean():.1f} % below 1, n = {len(values)}"


def table_models(table: pd.DataFrame) -> list[str]:
    """Return the models of the tidy table with a row that was run: the paper's first."""
    return models_in_order(map(str, table.loc[table["status"] != "not_run", "model"]))


def reproduction_phonons(table: pd.DataFrame) -> Figure:
    """Plot our maximum frequencies against the published ones of the same model, and the relative deviations.

    Relaxations that did not converge are drawn too, hollow: the paper took them where they stood.
    """
    models = [m for m in table_models(table) if m in PHONON_MODELS]
    with matplotlib.rc_context(STYLE):
        if not models:
            figure = Figure(figsize=(FULL_WIDTH_IN, 1.5), layout="constrained")
            nothing(figure.subplots(), "no model of the paper has run yet")
            return figure
        side = min(3.3, FULL_WIDTH_IN / len(models))
        figure = Figure(figsize=(side * len(models), side + 1.8), layout="constrained")
        axes = figure.subplots(2, len(models), squeeze=False, height_ratios=(side, 1.2))
        for top, bottom, model in zip(*axes, models, strict=True):
            rows = table[table["model"] == model].astype({"max_freq_thz": float, "published_thz": float})
            drawn = rows[rows[["max_freq_thz", "published_thz"]].notna().all(axis=1)]
            own, left = (drawn[drawn["status"] == status] for status in ("ok", "not_converged"))
            lost = int(rows["status"].isin(["failed", "not_converged"]).sum()) - len(left)
            told = f"\n{len(left)} of them not converged (hollow)" if len(left) else ""
            told += f"\n{lost} failed or not converged" if lost else ""
            top.set_title(f"{model_title(model)}\n{len(own) + len(left)} of {len(rows)} materials{told}")
            _parity(top, model, own, left)
            _deviations(bottom, model, own, left)
    return figure


def _parity(axis: Axes, model: str, own: pd.DataFrame, left: pd.DataFrame) -> None:
    both = pd.concat([own, left])[["published_thz", "max_freq_thz"]].to_numpy()
    ends = (0.8 * both.min(), 1.25 * both.max()) if len(both) else (1.0, 100.0)
    look: Any = {"marker": MODEL_MARKERS[model], "s": 11}
    filled: Any = {"color": MODEL_COLORS[model], "linewidths": 0.2, "edgecolors": "white"}
    hollow: Any = {"facecolors": "none", "linewidths": 0.6, "edgecolors": MODEL_COLORS[model]}
    for rows, face, name in ((left, hollow, "left"), (own, filled, "maxima")):
        axis.scatter(rows["published_thz"], rows["max_freq_thz"], **look, **face).set_gid(f"{model} {name}")
    axis.plot(ends, ends, color="black", zorder=0)
    axis.set(xlabel="Published maximum (THz)", ylabel="Our maximum (THz)", xscale="log", yscale="log")
    axis.set(xlim=ends, ylim=ends, aspect="equal")
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        side.set_major_formatter(lambda value, _: f"{value:g}")
        side.set_minor_formatter(NullFormatter())


def _deviations(axis: Axes, model: str, own: pd.DataFrame, left: pd.DataFrame) -> None:
    end = DEVIATION_END_PERCENT
    parts = [100 * (rows["max_freq_thz"] / rows["published_thz"] - 1) for rows in (own, left)]
    percent = pd.concat(parts)
    bins = np.linspace(-end, end, 41).tolist()
    color = MODEL_COLORS[model]
    look: Any = {"color": [color, "white"], "edgecolor": color, "linewidth": 0.6, "gid": f"{model} bars"}
    counts, _, _ = axis.hist(parts, bins=bins, stacked=True, **look)
    within = ", ".join(f"{int((percent.abs() <= t).sum())} within {t:g} %" for t in (1, 2))
    axis.set_title(f"{within}, {int((percent.abs() > end).sum())} beyond {end:g} %", fontsize=6.5)
    axis.set(xlabel="(ours − published) / published (%)", ylabel="Materials", xlim=(-end, end))
    axis.set_ylim(0, 1.08 * max(1.0, float(np.max(counts))))
    axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))


# --- parts


@dataclass(frozen=True)
class Row:
    """One distribution: its values, the text at its right, which half of the violin, and whose it is."""

    values: NDArray[np.float64]
    text: str
    side: str
    title: str
    color: str
    key: str


def violins(axis: Axes, rows: Sequence[Row], marked: float | None = None) -> None:
    """Draw distributions, one line a key, with quartiles; few values as points, far tails cut and counted."""
    keys = list(dict.fromkeys(row.key for row in rows))
    low, high = _range(np.concatenate([row.values for row in rows]))
    if marked is not None:
        low, high = min(low, marked), max(high, marked)
        axis.axvline(marked, color="black", linewidth=0.6, zorder=0)
    for row in rows:
        # The axis runs downwards.
        y = keys.index(row.key) + {"high": -0.2, "low": 0.2, "both": 0.0}[row.side]
        if len(row.values) >= FEW:
            _violin(axis, row, float(keys.index(row.key)), hollow=row.side == "high")
        elif len(row.values):
            face = "none" if row.side == "high" else row.color
            spots = axis.scatter(row.values, np.full(len(row.values), y), s=12, c=face, edgecolors=row.color)
            spots.set_gid(f"{row.key} {row.side} values")
        beyond = int(((row.values < low) | (row.values > high)).sum())
        text = f"{row.text}, {beyond} beyond" if beyond else row.text
        where = ("axes fraction", "data")
        axis.annotate(text, (1.01, y), xycoords=where, va="center", fontsize=6, annotation_clip=False)
    titles = {row.key: row.title for row in rows}
    axis.set_yticks(range(len(keys)), [titles[key] for key in keys])
    axis.set(ylim=(len(keys) - 0.45, -0.55), xlim=(low, high))
    axis.grid(axis="x", color="#E5E5E5", linewidth=0.4)
    axis.set_axisbelow(True)


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the ends of an axis: all values, or where the outermost hundredths go far, 98 % of them."""
    if not len(values):
        return 0.0, 1.0
    low, inner_low, inner_high, high = np.quantile(values, [0, 0.01, 0.99, 1])
    room = 0.1 * (inner_high - inner_low) or 0.1 * abs(high) or 1.0
    return max(low - room, inner_low - 3 * room), min(high + room, inner_high + 3 * room)


def _violin(axis: Axes, row: Row, y: float, hollow: bool) -> None:
    """Draw one violin, or half of one, with its quartiles."""
    # The axis runs downwards, so that what is drawn as low on it is the upper half on the page.
    side: Any = {"high": "low", "low": "high", "both": "both"}[row.side]
    drawn = axis.violinplot(
        row.values, [y], orientation="horizontal", widths=0.85, side=side, showextrema=False, points=200
    )
    bodies: Any = drawn["bodies"]
    for body in bodies:
        body.set(
            facecolor="white" if hollow else row.color, edgecolor=row.color, alpha=1.0 if hollow else 0.55
        )
        body.set(linewidth=0.7, gid=f"{row.key} {row.side} violin")
    low, high = {"high": (-0.25, 0), "low": (0, 0.25), "both": (-0.2, 0.2)}[row.side]
    quartiles = np.quantile(row.values, [0.25, 0.5, 0.75])
    lines = axis.vlines(quartiles, y + low, y + high, color="black", linewidths=(0.5, 1.1, 0.5))
    lines.set_gid(f"{row.key} {row.side} quartiles")


def nothing(axis: Axes, text: str) -> None:
    """Say in a panel why it is empty."""
    axis.text(0.5, 0.5, text, ha="center", va="center", transform=axis.transAxes)
    axis.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
