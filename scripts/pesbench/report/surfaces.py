"""The report's section on deng2025's surfaces: summary, parity and reproduction plots, tables."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from pesbench.plots import AXIS_END_EV_PER_ANG2, MODEL_COLORS, display_name
from pesbench.published import PAPER_MODELS
from pesbench.report.parts import (
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
from pesbench.report.svg import Axis, Point, Scatter, draw
from pesbench.summary import (
    TOLERANCES_PERCENT,
    models_that_ran,
    published_values,
    summary,
)
from pesbench.tables import paper_layout
from pesbench.typeset import formula_markdown

UNIT = "eV/Å²"
MARKS = "Hollow: as published. Filled: ours. Crosses: did not converge. Triangles: beyond the axis."
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
    layout = layout_table(paper_layout("deng2025_s1_surfaces", published, runs))
    rows = [tidy_table(runs, anchors)] if runs is not None and len(runs) else []
    hover = "Point at a mark to see which surface it is; the same surface lights up in every plot."
    children = [
        Section("parity", "Against DFT (Fig. 2a)", f"{MARKS} {hover}", parity_figures(published, runs)),
        Section("reproduction", "Against the published values", "", reproduction_figures(published, runs)),
        Section("surface-rows", "Row by row", tables=[*rows, layout]),
        Section("surface-figures", "Figures for print", figures=images),
    ]
    title = "Surface energies (Deng et al. 2025)"
    shown = [child for child in children if child.figures or child.tables]
    return Section("surfaces", title, tables=[summary_table(published, runs)], children=shown)


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
    """Return our tidy table with a link to each row's record; rows that were not run come last."""
    rows, idle = [], runs["status"] == "not_run"
    for line in pd.concat([runs[~idle], runs[idle]]).to_dict("records"):
        cells = {title: number_cell(line[name]) for name, title in TITLES.items()}
        cells["Composition"] = Cell(formula_markdown(str(line["formula"])))
        cells["Difference (%)"] = difference_cell(100 * float(line["relative_difference"]))
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
    anchor = slug("record", "surfaces", str(line["model"]), str(line["mp_id"]))
    hint = f"settings {line.get('settings_digest', '')}, checkpoint {line.get('checkpoint_sha256', '')}"
    return Cell("record", link=f"#{anchor}", hint=hint) if anchor in anchors else Cell("")


def parity_figures(published: pd.DataFrame, runs: pd.DataFrame | None) -> list[Figure]:
    """Return the parity plot of each model: the paper's, and every other that ran."""
    lines = summary(published, runs).set_index("model")
    models = [*PAPER_MODELS, *(m for m in models_that_ran(runs) if m not in PAPER_MODELS)]
    return [
        Figure(parity_caption(model, lines.loc[model]), draw(parity_plot(model, published, runs)))
        for model in models
    ]


def parity_caption(model: str, line: pd.Series) -> str:
    """Return a model's name with its mean absolute errors and counts, as in the printed figure."""
    told = []
    if pd.notna(line["mae_published"]):
        told.append(f"paper {line['mae_published']:.3f} (n = {line['n_rows']})")
    if pd.notna(line["mae_ours"]):
        told.append(f"ours {line['mae_ours']:.3f} (n = {line['n_ok']} of {line['n_rows']})")
    if pd.notna(line["mae_published_same_rows"]) and line["n_ok"] < line["n_rows"]:
        told.append(f"paper on our rows {line['mae_published_same_rows']:.3f}")
    return f"{display_name(model)}: MAE in {UNIT}: {', '.join(told)}"


def reproduction_figures(published: pd.DataFrame, runs: pd.DataFrame | None) -> list[Figure]:
    """Return how far ours are from the published values, for each model of the paper that ran."""
    caption = "{}: (ours - published) / |published|, bands at 2 and 4 %, rows in the paper's order"
    return [
        Figure(caption.format(display_name(model)), draw(reproduction_plot(model, published, runs)), True)
        for model in models_that_ran(runs)
        if model in PAPER_MODELS and runs is not None
    ]


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
    ours = float(line["gamma_ev_per_ang2"]) if line else math.nan
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
        [(t, signed(t)) for t in (-10, -4, -2, 0, 2, 4, 10)],
    )
    label = f"Reproduction of {display_name(model)}"
    return Scatter(label, MODEL_COLORS[model], x, y, points, bands=TOLERANCES_PERCENT, width=1100, height=300)


def signed(value: int) -> str:
    """Return a tick's label with a sign, and a true minus."""
    return f"{value:+d}".replace("-", "−") if value else "0"
