"""The report's section on deng2025's surfaces: summary, parity and reproduction plots, tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pesbench.plots import AXIS_END_EV_PER_ANG2, MODEL_COLORS, display_name
from pesbench.report_parts import (
    Cell,
    Figure,
    Section,
    Table,
    dict_table,
    difference_cell,
    layout_table,
    number_cell,
    slug,
    status_cell,
)
from pesbench.report_svg import Axis, Point, Scatter, draw
from pesbench.summary import (
    PAPER_MODELS,
    TOLERANCES_PERCENT,
    models_that_ran,
    published_values,
    relative_difference_percent,
    summary,
)
from pesbench.tables import paper_layout
from pesbench.typeset import formula_markdown

UNIT = "eV/Å²"
TICKS = [(t / 10, f"{t / 10:g}") for t in range(5)]
REPRODUCTION_END_PERCENT = 10.0
TITLES = {
    "row": "Row",
    "mp_id": "mp-id",
    "formula": "Composition",
    "miller": "Miller index",
    "termination": "Termination",
    "model": "Model",
    "gamma_ev_per_ang2": f"Ours ({UNIT})",
    "published_ev_per_ang2": f"Published ({UNIT})",
    "dft_ev_per_ang2": f"DFT ({UNIT})",
}


def surfaces_section(
    published: pd.DataFrame, runs: pd.DataFrame | None, images: tuple[Figure, ...], anchors: frozenset[str]
) -> Section:
    """Return everything about the surface benchmark.

    Parameters
    ----------
    published
        The transcribed Supplementary Table I.
    runs
        Our tidy table, or None.
    images
        The journal figures of this benchmark, already embedded.
    anchors
        Names of the records that the page shows, which table rows may link to.
    """
    tables = [summary_table(published, runs)]
    if runs is not None and len(runs):
        tables.append(tidy_table(runs, anchors))
    tables.append(layout_table(paper_layout("deng2025_s1_surfaces", published, runs)))
    return Section(
        "surfaces",
        "Surface energies (Deng et al. 2025, Fig. 2a and Supplementary Table I)",
        "Hollow: as published. Filled: ours. Crosses: did not converge. Triangles: beyond the axis. "
        "Point at a mark to see which surface it is; the same surface lights up in every plot.",
        [*interactive_figures(published, runs), *images],
        tables,
    )


def summary_table(published: pd.DataFrame, runs: pd.DataFrame | None) -> Table:
    """Return one line a model: coverage, errors, agreement with the paper."""
    rows = []
    for line in summary(published, runs).to_dict("records"):
        rows.append(
            {
                "Model": Cell(display_name(line["model"])),
                **{
                    title: number_cell(line[f"n_{status}"])
                    for title, status in (
                        ("Ok", "ok"),
                        ("Failed", "failed"),
                        ("Not converged", "not_converged"),
                        ("Not run", "not_run"),
                    )
                },
                f"MAE published, all rows ({UNIT})": number_cell(line["mae_published"], 4),
                "MAE published, our rows": number_cell(line["mae_published_same_rows"], 4),
                "MAE ours": number_cell(line["mae_ours"], 4),
                "Compared rows": number_cell(line["n_compared"]),
                **{
                    f"Within {t:g} %": number_cell(line[f"n_within_{t:g}_percent"])
                    for t in TOLERANCES_PERCENT
                },
                "Median difference (%)": number_cell(line["median_difference_percent"], 2),
                "Worst difference (%)": number_cell(line["worst_difference_percent"], 2),
                "Level of theory": Cell(line["level_of_theory"]),
            }
        )
    return dict_table(
        "surfaces-summary", f"Agreement by model ({len(published)} rows; MAE against DFT)", rows
    )


def tidy_table(runs: pd.DataFrame, anchors: frozenset[str]) -> Table:
    """Return our tidy table, each row with its relative difference, its status and a link to its record."""
    difference = relative_difference_percent(runs["gamma_ev_per_ang2"], runs["published_ev_per_ang2"])
    rows = []
    for line, percent in zip(runs.to_dict("records"), difference, strict=True):
        cells = {title: number_cell(line[name]) for name, title in TITLES.items()}
        cells["Composition"] = Cell(formula_markdown(str(line["formula"])))
        cells["Difference (%)"] = difference_cell(percent)
        cells["Status"] = status_cell(str(line["status"]))
        cells["Explanation"] = number_cell(line.get("explanation"))
        cells["Record"] = _record_cell(line, anchors)
        rows.append(cells)
    close, fair = TOLERANCES_PERCENT
    table = dict_table("surfaces-rows", "Every surface and model", rows)
    marks = f"✓ within {close:g} %, ≈ within {fair:g} %, ✗ beyond"
    note = f"Difference: 100 (ours - published) / |published|; {marks}."
    return Table(table.id, table.caption, table.columns, table.rows, (note,))


def _record_cell(line: dict[str, Any], anchors: frozenset[str]) -> Cell:
    """Return a link to the record; pointing at it tells the digests that the number depends on."""
    anchor = slug("record", str(line["model"]), str(line["mp_id"]))
    hint = f"settings {line.get('settings_digest', '')}, checkpoint {line.get('checkpoint_sha256', '')}"
    return Cell("record", link=f"#{anchor}", hint=hint) if anchor in anchors else Cell("")


def interactive_figures(published: pd.DataFrame, runs: pd.DataFrame | None) -> list[Figure]:
    """Return the parity plot of each model, then how far ours are from the published values."""
    ran = models_that_ran(runs)
    figures = []
    for model in [*PAPER_MODELS, *(m for m in ran if m not in PAPER_MODELS)]:
        figures.append(Figure(display_name(model), draw(parity_plot(model, published, runs))))
    for model in ran:
        if model in PAPER_MODELS and runs is not None:
            caption = (
                f"{display_name(model)}: ours against published, bands at 2 and 4 %, in the paper's order"
            )
            figures.append(Figure(caption, draw(reproduction_plot(model, published, runs)), wide=True))
    return figures


def parity_plot(model: str, published: pd.DataFrame, runs: pd.DataFrame | None) -> Scatter:
    """Return one model's surface energies against DFT, published and ours."""
    theirs, points = published_values(model, published), []
    mine = _by_row(model, runs)
    for row in published.to_dict("records"):
        values = {"published": theirs[row["row"]], **_our_value(mine.get(row["row"]))}
        for kind, value in values.items():
            if pd.notna(value):
                tip = point_tip(model, row, theirs[row["row"]], mine.get(row["row"]))
                points.append(Point(row["dft_ev_per_ang2"], value, kind, str(row["row"]), tip))
    points.sort(key=lambda p: ("published", "ours", "lost").index(p.kind))
    x = Axis(f"DFT, as published ({UNIT})", 0, AXIS_END_EV_PER_ANG2, TICKS)
    y = Axis(f"Model ({UNIT})", 0, AXIS_END_EV_PER_ANG2, TICKS)
    return Scatter(f"Parity plot of {display_name(model)}", MODEL_COLORS[model], x, y, points, diagonal=True)


def _by_row(model: str, runs: pd.DataFrame | None) -> dict[int, dict[str, Any]]:
    if runs is None:
        return {}
    return {int(line["row"]): line for line in runs[runs["model"] == model].to_dict("records")}


def _our_value(line: dict[str, Any] | None) -> dict[str, Any]:
    kind = {"ok": "ours", "not_converged": "lost"}.get(str(line["status"])) if line else None
    return {kind: line["gamma_ev_per_ang2"]} if line and kind else {}


def point_tip(model: str, row: dict[str, Any], theirs: float, line: dict[str, Any] | None) -> str:
    """Return what a point says: material, surface, termination, model, and its values."""
    ours = line["gamma_ev_per_ang2"] if line else None
    termination = line.get("termination") if line else None
    surface = f"{row['miller']} {termination if isinstance(termination, str) else ''}".strip()
    texts = [f"{formula_markdown(str(row['formula']))} ({row['mp_id']}) {surface}", display_name(model)]
    named = {"ours": ours, "published": theirs, "DFT": row["dft_ev_per_ang2"]}
    texts += [f"{name} {value:.6f} {UNIT}" for name, value in named.items() if pd.notna(value)]
    if line and line["status"] != "ok":
        texts.append(status_cell(str(line["status"])).text)
    elif pd.notna(ours) and pd.notna(theirs):
        texts.append(f"difference {100 * (ours - theirs) / abs(theirs):+.2f} %")
    return "\n".join(texts)


def reproduction_plot(model: str, published: pd.DataFrame, runs: pd.DataFrame) -> Scatter:
    """Return the relative difference of each row that both have, grouped by material."""
    theirs, mine, points = published_values(model, published), _by_row(model, runs), []
    for position, row in enumerate(published.to_dict("records")):
        line = mine.get(row["row"])
        if line is None or line["status"] != "ok" or not theirs[row["row"]]:
            continue
        percent = 100 * (line["gamma_ev_per_ang2"] - theirs[row["row"]]) / abs(theirs[row["row"]])
        tip = point_tip(model, row, theirs[row["row"]], line)
        points.append(Point(position, percent, "ours", str(row["row"]), tip))
    end = REPRODUCTION_END_PERCENT
    groups = published.reset_index(drop=True).groupby("mp_id", sort=False)
    ticks = [
        ((rows.index[0] + rows.index[-1]) / 2, formula_markdown(str(rows["formula"].iloc[0])))
        for _, rows in groups
    ]
    x = Axis("", -1, len(published), ticks)
    y = Axis(
        "Ours against published (%)",
        -end,
        end,
        [(t, f"{t:+g}".replace("-", "−")) for t in (-10, -4, -2, 0, 2, 4, 10)],
    )
    label = f"Reproduction of {display_name(model)}"
    return Scatter(label, MODEL_COLORS[model], x, y, points, bands=TOLERANCES_PERCENT, width=1100, height=300)
