"""Figures of the phonon benchmark after loew2024: the data set (Figs. 1, 2), errors (3, 4), frequencies (5)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from pesbench.phonon_plots import Row, color_of, nothing, violins
from pesbench.phonon_run import (
    CRYSTAL_SYSTEMS,
    FREQUENCY,
    THERMAL,
    VOLUME,
    PhononRun,
    Quantity,
    crystal_system,
    elements_of,
    errors,
    space_groups,
    values_of,
)
from pesbench.plots import FULL_WIDTH_IN, GREY, STYLE

BAR_COLOR = "#0072B2"


def dataset_figure(run: PhononRun) -> Figure:
    """Draw Fig. 1 of loew2024 for the materials of this run: elements per cell, and crystal systems."""
    sizes = Counter(len(elements_of(run.formulas[m])) for m in run.materials if m in run.formulas)
    systems = Counter(map(crystal_system, space_groups(run).values()))
    ordered = {str(n): sizes[n] for n in range(min(sizes, default=0), max(sizes, default=0) + 1)}
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(FULL_WIDTH_IN, 2.5), layout="constrained")
        left, right = figure.subplots(1, 2)
        _bars(left, ordered if sizes else {}, "Different elements in a cell")
        _bars(right, {s: systems[s] for s in CRYSTAL_SYSTEMS} if systems else {}, "Crystal system")
        right.tick_params(axis="x", rotation=30)
    return figure


def _bars(axis: Axes, counts: Mapping[str, int], title: str) -> None:
    if not counts:
        nothing(axis, "no material in this run")
        return
    bars = axis.bar(list(counts), list(counts.values()), color=BAR_COLOR, width=0.75)
    axis.bar_label(bars, fontsize=6, padding=1)
    axis.set(xlabel=title, ylabel="Materials", ylim=(0, 1.12 * max(counts.values())))
    axis.set_title(f"n = {sum(counts.values())}", loc="left")
    axis.set_xlim(-0.6, max(3, len(counts)) - 0.4)
    axis.yaxis.set_major_locator(MaxNLocator(6, integer=True))


def elements_figure(run: PhononRun) -> Figure:
    """Draw Fig. 2 of loew2024 for the materials of this run: in how many of them each element is."""
    from pymatgen.core import Element

    known = [run.formulas[m] for m in run.materials if m in run.formulas]
    counts = Counter(element for formula in known for element in elements_of(formula))
    norm, colors = LogNorm(1, max(2, *counts.values(), 2)), matplotlib.colormaps["cividis"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(FULL_WIDTH_IN, 3.9), layout="constrained")
        axis = figure.subplots()
        for element in (Element.from_Z(z) for z in range(1, 104)):
            n, column, row = counts[element.symbol], *_place(element.Z, element.row, element.group)
            face = colors(norm(n)) if n else (0.88, 0.88, 0.88, 1.0)
            axis.add_patch(Rectangle((column, row), 0.94, 0.94, facecolor=face, gid=element.symbol))
            ink = "white" if n and norm(n) < 0.5 else "black" if n else GREY
            axis.text(
                column + 0.47, row + 0.36, element.symbol, ha="center", va="center", color=ink, fontsize=7
            )
            if n:
                axis.text(column + 0.47, row + 0.73, f"{n}", ha="center", va="center", color=ink, fontsize=5)
        axis.set(xlim=(0.9, 19.05), ylim=(10.2, 0.9), aspect="equal")
        axis.set_axis_off()
        axis.set_title(f"Materials with each element, n = {len(known)}; gray: in none")
        _color_bar(figure, axis, ScalarMappable(norm, colors))
    return figure


def _color_bar(figure: Figure, axis: Axes, scale: ScalarMappable) -> None:
    bar = figure.colorbar(scale, ax=axis, shrink=0.6, pad=0.01, label="Materials")
    bar.ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    bar.ax.yaxis.set_minor_locator(NullLocator())


def _place(number: int, row: int, group: int) -> tuple[float, float]:
    """Return column and row of an element on the page: lanthanides and actinides in two rows of their own."""
    for first, last, line in ((57, 71, 8.2), (89, 103, 9.2)):
        if first <= number <= last:
            return 3.0 + number - first, line
    return float(group), float(row)


def volume_figure(run: PhononRun) -> Figure:
    """Draw Fig. 3 of loew2024: errors in the relaxed volume."""
    return _error_figure(run, (VOLUME,))


def thermal_figure(run: PhononRun) -> Figure:
    """Draw Fig. 4 of loew2024: errors in maximum frequency, entropy, free energy and heat capacity at 300 K."""
    return _error_figure(run, (FREQUENCY, *THERMAL))


def _error_figure(run: PhononRun, quantities: Sequence[Quantity]) -> Figure:
    """Draw the errors of each model in a panel a quantity; without a database, say so in its place."""
    columns = min(2, len(quantities))
    lines, n = -(-len(quantities) // columns), max(2, len(run.models) + len(run.references("")) - 1)
    with matplotlib.rc_context(STYLE):
        size = (FULL_WIDTH_IN * (1.0 if columns > 1 else 0.75), lines * (0.75 + 0.4 * n))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(lines, columns, squeeze=False, sharey=True)
        for axis, quantity in zip(axes.flat, quantities, strict=True):
            _error_panel(axis, run, quantity)
    return figure


def _error_panel(axis: Axes, run: PhononRun, quantity: Quantity) -> None:
    """Draw one quantity's errors against a database: against PBE where there is one, as in the paper."""
    reference = next(iter(run.references("PBE")), "")
    found = errors(run, quantity, reference) if reference else {}
    if not any(map(len, found.values())):
        nothing(axis, f"Error in {quantity.title}: no reference at hand")
        return
    violins(axis, [_row(run, name, own, _mae_text(own)) for name, own in found.items()], marked=0.0)
    axis.set_xlabel(f"Error in {quantity.title} ({quantity.unit})\nagainst {run.title(reference)}")


def _mae_text(own: NDArray[np.float64]) -> str:
    return f"MAE {np.abs(own).mean():.3g}\nn = {len(own)}" if len(own) else "n = 0"


def _row(run: PhononRun, name: str, own: NDArray[np.float64], text: str) -> Row:
    return Row(own, text, "both", run.title(name).replace(" (", "\n("), color_of(run, name), name)


def frequency_figure(run: PhononRun) -> Figure:
    """Draw Fig. 5 of loew2024: distribution of the maximum frequency, databases first, then the models."""
    values = {m: values_of(run, m, FREQUENCY).to_numpy() for m in [*run.references("PBE"), *run.models]}
    told = {m: f"median {np.median(v):.0f}\nn = {len(v)}" if len(v) else "n = 0" for m, v in values.items()}
    with matplotlib.rc_context(STYLE):
        size = (FULL_WIDTH_IN * 0.75, 0.75 + 0.45 * max(2, len(values)))
        figure = Figure(figsize=size, layout="constrained")
        axis = figure.subplots()
        if not any(map(len, values.values())):
            nothing(axis, "no finished phonon material in this run")
            return figure
        violins(axis, [_row(run, name, own, told[name]) for name, own in values.items()])
        axis.set_xlabel("Maximum frequency at the commensurate q-points (K)")
    return figure
