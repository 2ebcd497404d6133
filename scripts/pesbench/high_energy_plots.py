"""Figures of the high-energy benchmark after deng2025: force parity, softening scales, errors, corrections."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from pesbench.correction import factor, typical
from pesbench.engine.predictions import Predictions
from pesbench.plots import FULL_WIDTH_IN, GREY, MODEL_COLORS, MODEL_MARKERS, STYLE, display_name
from pesbench.published import PAPER_MODELS
from pesbench.softening import corrected_mae, slope

Array = NDArray[np.float64]
#: Which set stands for the paper's mp-973966, whose trajectory is not published: the first of these that has run.
PREFERRED = ("mlearn-Ge", "mlearn-Li", "mlearn-Si", "mlearn-Mo", "mlearn-Cu", "mlearn-Ni")
MORE_EXAMPLES = 4  # S-Fig. 2
MOST_POINTS = 20_000  # of one panel; evenly spaced ones of more
QUARTILES = (0.25, 0.5, 0.75)
WORDS = {
    "random": "random frames",
    "typical_forces": "frames of typical forces",
}
Answers = Mapping[str, Mapping[str, Predictions]]  # by set, by model


def _order(models: Sequence[str]) -> list[str]:
    return [m for m in PAPER_MODELS if m in models] + sorted(set(models) - set(PAPER_MODELS))


def _empty(message: str) -> Figure:
    """Return a figure that says why there is nothing to see."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(FULL_WIDTH_IN, 1.2), layout="constrained")
        axis = figure.subplots()
        axis.text(0.5, 0.5, message, ha="center", va="center", transform=axis.transAxes)
        axis.set_axis_off()
    return figure


def examples(answers: Answers) -> list[str]:
    """Return the sets to show one by one: `PREFERRED` first, then the others that are of one material."""
    single = [name for name, of in answers.items() if all(len(set(p.materials)) == 1 for p in of.values())]
    return [s for s in PREFERRED if s in single] + [s for s in single if s not in PREFERRED]


def parity_figure(answers: Answers, sets: Sequence[str]) -> Figure:
    """Draw model against DFT force components (eV/A): a panel a model for one set (Fig. 5a), else a row a model."""
    sets = [name for name in sets if name in answers]
    models = _order([model for name in sets for model in answers[name]])
    if not sets:
        return _empty("no set of a single material has run yet")
    shape = (1, len(models)) if len(sets) == 1 else (len(models), len(sets))
    side = FULL_WIDTH_IN / max(3, shape[1])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(side * shape[1], (side + 0.25) * shape[0]), layout="constrained")
        pairs = [(model, name) for model in models for name in sets]
        for axis, (model, name) in zip(figure.subplots(*shape, squeeze=False).flat, pairs, strict=True):
            found = answers[name].get(model)
            if found is None:
                axis.set_axis_off()
                continue
            _parity(axis, found, MODEL_COLORS[model], parity_text(found))
            axis.set_title(f"{display_name(model)}\n{name}")
        _force_labels(figure)
    return figure


def _force_labels(figure: Figure) -> None:
    figure.supxlabel("DFT force component (eV/Å)", fontsize=7.5)
    figure.supylabel("Model force component (eV/Å)", fontsize=7.5)


def parity_text(found: Predictions) -> str:
    """Return the numbers of one parity panel: slope, MAE, cMAE, and how many frames and components."""
    y, x = found.forces_ev_per_ang.ravel(), found.forces_dft_ev_per_ang.ravel()
    return (
        f"slope {slope(y, x):.3f}\nMAE {np.abs(y - x).mean():.3f} eV/Å\ncMAE {corrected_mae(y, x):.3f} eV/Å\n"
        f"{len(found.ids)} frames\nn = {len(x)}"
    )


def _parity(axis: Axes, found: Predictions, color: str, text: str) -> None:
    """Draw one panel: the diagonal, the points, the fitted line."""
    y, x = found.forces_ev_per_ang.ravel(), found.forces_dft_ev_per_ang.ravel()
    end = 1.05 * float(np.abs(x).max())
    axis.plot([-end, end], [-end, end], color="black", linewidth=0.6, zorder=1)
    _points(axis, x, y, color)
    steep = slope(y, x)
    axis.plot([-end, end], [-steep * end, steep * end], color="black", linestyle="--", zorder=3)
    axis.text(0.04, 0.96, text, transform=axis.transAxes, va="top", fontsize=5.6)
    outside = int((np.abs(y) > end).sum())
    if outside:
        axis.text(0.96, 0.03, f"{outside} beyond", transform=axis.transAxes, ha="right", fontsize=5.6)
    axis.set(xlim=(-end, end), ylim=(-end, end), aspect="equal")
    axis.xaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    axis.yaxis.set_major_locator(MaxNLocator(5, symmetric=True))


def _points(axis: Axes, x: Array, y: Array, color: str) -> None:
    step = math.ceil(len(x) / MOST_POINTS)
    axis.scatter(
        x[::step], y[::step], s=1.2, color=color, alpha=0.35, linewidths=0, rasterized=True, zorder=2
    )


def corrected_figure(answers: Answers) -> Figure:
    """Draw Fig. 6a, left: parity after c was fitted on one frame, whose forces are red; the rest is held out.

    The label is the frame that `pesbench.correction.typical` chooses by the model's forces alone.
    """
    name = next(iter(examples(answers)), None)
    if name is None:
        return _empty("no set of a single material has run yet")
    models = _order(list(answers[name]))
    side = min(FULL_WIDTH_IN / max(3, len(models)), 2.4)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(side * len(models) + 0.4, side + 0.5), layout="constrained")
        for axis, model in zip(figure.subplots(1, len(models), squeeze=False)[0], models, strict=True):
            _corrected_panel(axis, answers[name][model], model)
            axis.set_title(f"{display_name(model)}\n{name}")
        figure.supxlabel("DFT force component (eV/Å)", fontsize=7.5)
        figure.supylabel("Corrected force component (eV/Å)", fontsize=7.5)
    return figure


def _corrected_panel(axis: Axes, found: Predictions, model: str) -> None:
    model_forces, dft_forces = found.split(found.forces_ev_per_ang), found.split(found.forces_dft_ev_per_ang)
    [label] = typical(model_forces)
    c = factor(model_forces[label], dft_forces[label])
    rest = [i for i in range(len(model_forces)) if i != label]
    y, x = (np.concatenate([part[i].ravel() for i in rest]) for part in (model_forces, dft_forces))
    before, after = np.abs(y - x).mean(), np.abs(c * y - x).mean()
    end = 1.05 * float(np.abs(np.concatenate([x, dft_forces[label].ravel()])).max())
    axis.plot([-end, end], [-end, end], color="black", linewidth=0.6)
    _points(axis, x, c * y, MODEL_COLORS[model])
    axis.scatter(dft_forces[label].ravel(), c * model_forces[label].ravel(), s=2.5, color="#C00000", zorder=4)
    text = (
        f"c {c:.3f} from frame {found.ids[label]} (red)\nheld out: {len(rest)} frames, n = {len(x)}\n"
        f"slope {slope(y, x):.3f} → {c * slope(y, x):.3f}\nMAE {before:.3f} → {after:.3f} eV/Å"
    )
    axis.text(0.04, 0.96, text, transform=axis.transAxes, va="top", fontsize=5.6)
    axis.set(xlim=(-end, end), ylim=(-end, end), aspect="equal")


def compounds(table: pd.DataFrame, least: int = 2) -> pd.DataFrame:
    """Return the lines that are one material each: compounds of a set, and sets of a single material."""
    finished = table[table["status"] == "ok"]
    of_many = finished[finished["grouping"] == "compound"]
    many = set(of_many["set"])
    single = finished[(finished["grouping"] == "set") & ~finished["set"].isin(many)]
    return pd.concat([of_many, single])[lambda rows: rows["n_frames"] >= least]


def scales_figure(table: pd.DataFrame, models: Sequence[str] | None = None) -> Figure:
    """Draw the distribution of softening scales over materials (Fig. 5b; S-Fig. 6 for all models).

    Parameters
    ----------
    table
        The tidy table of softening scales.
    models
        Only these; None: every model that ran.
    """
    rows = compounds(table)
    names = [m for m in _order(list(rows["model"].unique())) if models is None or m in models]
    if not names:
        return _empty("no model of the figure has run yet")
    edges = np.linspace(0, 1.6, 41)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(FULL_WIDTH_IN / 1.4, 1.3 * len(names) + 0.6), layout="constrained")
        axes = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        for axis, model in zip(axes, names, strict=True):
            values = rows.loc[rows["model"] == model, "slope"].dropna().to_numpy()
            _scales_panel(axis, values, edges, MODEL_COLORS[model])
            axis.set_title(f"{display_name(model)}: {_scale_words(values)}", loc="left")
        axes[-1].set_xlabel(
            f"Softening scale of a material (slope of model against DFT forces)\n{_sources(rows)}"
        )
        figure.supylabel("Materials", fontsize=7.5)
    return figure


def _sources(rows: pd.DataFrame) -> str:
    """Say which sets the materials are from: the paper's own are those of WBM."""
    return f"materials of {', '.join(sorted({name.split('-')[0] for name in rows['set']}))}"


def _scales_panel(axis: Axes, values: Array, edges: Array, color: str) -> None:
    axis.hist(values.clip(edges[0], edges[-1]), bins=list(edges), color=color, alpha=0.8)
    axis.axvline(1.0, color="black", linewidth=0.8)
    axis.axvline(float(np.median(values)), color=GREY, linestyle="--")
    axis.set_xlim(edges[0], edges[-1])


def _scale_words(values: Array) -> str:
    beyond = int(((values < 0) | (values > 1.6)).sum())
    more = f" ({beyond} beyond the axis)" if beyond else ""
    return f"{len(values)} materials, {np.mean(values < 1):.0%} below 1, median {np.median(values):.2f}{more}"


def errors_figure(table: pd.DataFrame, models: Sequence[str] | None = None) -> Figure:
    """Draw the distribution of force MAE and cMAE over materials, quartiles dashed (Fig. 6b; S-Fig. 7)."""
    rows = compounds(table)
    names = [m for m in _order(list(rows["model"].unique())) if models is None or m in models]
    if not names:
        return _empty("no model of the figure has run yet")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(max(3.0, 1.5 * len(names) + 0.6), 2.8), layout="constrained")
        axis = figure.subplots()
        for position, model in enumerate(names):
            own = rows[rows["model"] == model].dropna(subset=["mae_ev_per_ang", "cmae_ev_per_ang"])
            _half_violin(axis, own["mae_ev_per_ang"].to_numpy(), position, "low", "#9A9A9A")
            _half_violin(axis, own["cmae_ev_per_ang"].to_numpy(), position, "high", MODEL_COLORS[model])
        axis.set_xticks(range(len(names)), [_violin_label(rows, model) for model in names])
        axis.set_yscale("log")
        axis.set_ylabel("Force error of a material (eV/Å)")
        axis.set_xlabel(_sources(rows))
        axis.set_title("left halves: MAE, right halves: cMAE; dashed: quartiles", loc="left")
    return figure


def _violin_label(rows: pd.DataFrame, model: str) -> str:
    own = rows[rows["model"] == model].dropna(subset=["mae_ev_per_ang", "cmae_ev_per_ang"])
    before, after = own["mae_ev_per_ang"].median(), own["cmae_ev_per_ang"].median()
    return f"{model}\nn = {len(own)}\nmedian {before:.3f} → {after:.3f}"


def _half_violin(axis: Axes, values: Array, position: float, side: Any, color: str) -> None:
    """Draw one half of a violin of positive values on a logarithmic axis, with its quartiles."""
    from scipy.stats import gaussian_kde

    logs = np.log10(values[values > 0])
    if len(logs) < 3 or np.ptp(logs) == 0:
        axis.scatter([position] * len(values), values, s=6, color=color)
        return
    grid = np.linspace(logs.min(), logs.max(), 200)
    density = gaussian_kde(logs)(grid)
    width = (-0.42 if side == "low" else 0.42) * density / density.max()
    axis.fill_betweenx(10**grid, position, position + width, color=color, alpha=0.8, linewidth=0)
    for quartile in np.quantile(logs, QUARTILES):
        end = position + float(np.interp(quartile, grid, width))
        axis.plot([position, end], [10**quartile] * 2, color="black", linestyle="--", linewidth=0.6)


def curve_figure(table: pd.DataFrame) -> Figure:
    """Draw the held-out force error after a correction against the number of labels, relative to that before.

    A panel a set; bands hold 95 % of the random choices of the labels.
    """
    rows = table[table["method"] == "least_squares"]
    sets = list(dict.fromkeys(rows["set"]))
    if not sets:
        return _empty("no set has run yet")
    columns = min(3, len(sets))
    lines = math.ceil(len(sets) / columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(FULL_WIDTH_IN, 1.9 * lines + 0.5), layout="constrained")
        axes = figure.subplots(lines, columns, sharex=True, squeeze=False)
        for axis, name in zip(axes.flat, sets, strict=False):
            _curve_panel(axis, rows[rows["set"] == name])
            axis.set_title(name)
        for axis in axes.flat[len(sets) :]:
            axis.remove()
        for axis in axes.flat[max(0, len(sets) - columns) : len(sets)]:
            axis.set_xlabel("Labels of each material")
        figure.supylabel("Held-out force MAE, corrected / uncorrected", fontsize=7.5)
        entries = {
            text: line
            for axis in axes.flat
            for line, text in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            list(entries.values()), list(entries), loc="outside lower center", ncols=2, frameon=False
        )
    return figure


def _curve_panel(axis: Axes, rows: pd.DataFrame) -> None:
    axis.axhline(1.0, color="black", linewidth=0.6)
    unit: Callable[[str], str] = "force_mae_after{}_ev_per_ang".format
    for model in _order(list(rows["model"].unique())):
        for choice, look in (("random", "-"), ("typical_forces", ":")):
            own = rows[(rows["model"] == model) & (rows["choice"] == choice)].sort_values("n_labels")
            before = own["force_mae_before_ev_per_ang"]
            color, marker = MODEL_COLORS[model], MODEL_MARKERS[model]
            text = f"{model}, {WORDS[choice]}"
            axis.plot(
                own["n_labels"], own[unit("")] / before, look, color=color, marker=marker, ms=2.5, label=text
            )
            if choice == "random":
                bounds = (own[unit(end)] / before for end in ("_low", "_high"))
                axis.fill_between(
                    own["n_labels"].astype(float), *bounds, color=color, alpha=0.18, linewidth=0
                )
    axis.set_xscale("log")
    # A single unlucky label may do much harm: the axis need not follow it all the way.
    axis.set_ylim(top=min(axis.get_ylim()[1], 1.6))
