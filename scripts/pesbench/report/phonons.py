"""The report's section on phonons: summary, parity plots, and band structures of any material of the run."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
from markupsafe import Markup

from pesbench.files import write_atomic
from pesbench.phonon_plots import (
    color_of,
    dashes,
    levels,
    published_ratios,
    ratios,
    table_models,
)
from pesbench.phonon_run import PhononRun, Quantity, model_title, models_in_order, path_ticks, value_of
from pesbench.plots import MODEL_COLORS
from pesbench.published import PHONON_MODELS
from pesbench.report.parts import (
    Cell,
    Figure,
    Section,
    Table,
    dict_table,
    difference_cell,
    frame_table,
    layout_table,
    number_cell,
    status_cell,
)
from pesbench.report.sections import anchor
from pesbench.report.svg import Axis, Point, Scatter, draw
from pesbench.summary import STATUSES
from pesbench.tables import paper_layout
from pesbench.typeset import formula_markdown

TABLE = "deng2025_s3_phonons"
FOLDER = "phonons"  # beside the page: one file a material
MAXIMUM = Quantity(("path", "max_frequency_thz"), "maximum frequency", "THz")
TICKS_THZ = (1, 2, 5, 10, 20, 50, 100)
WITHIN_PERCENT = 1.0
MARKS = (
    "Hollow: as published. Filled: ours. Triangles: beyond the axis. Point at a mark to see which material it is; "
    "click it to see its band structure below."
)
HOW = (
    "Drag a frame to zoom in, double-click (or press 0) for the whole range; + and − zoom, arrow keys move. Point at "
    "a curve for the frequencies of all curves at that wave vector. Imaginary frequencies are negative. The distance "
    "along the path is the database's, or else the first model's."
)


def phonons_section(
    run: PhononRun,
    published: pd.DataFrame,
    table: pd.DataFrame,
    tables: Mapping[str, tuple[str, pd.DataFrame]],
    images: Sequence[Figure],
) -> Section:
    """Return everything about the phonon benchmarks.

    Parameters
    ----------
    published
        The transcribed Supplementary Table III of deng2025.
    table
        Our tidy table of it.
    tables
        (caption, frame) of the other tables by name.
    images
        The journal figures, already embedded.
    """
    others = [frame_table(f"table-{name}", caption, frame) for name, (caption, frame) in tables.items()]
    layout = layout_table(paper_layout(TABLE, published, table))
    children = [
        Section("phonon-parity", "Maximum frequency against DFT", MARKS, parity_figures(published, table)),
        Section("phonon-bands", "Band structures", "", [viewer(run)]),
        Section("phonon-figures", "Figures of phonons for print", figures=images),
        Section("phonon-scores", "Scores", tables=others),
        Section("phonon-rows", "Phonons row by row", tables=[rows_table(run, table), layout]),
    ]
    shown = [child for child in children if child.figures or child.tables]
    title = "Phonons (Deng et al. 2025, Loew et al. 2024)"
    return Section("phonons", title, tables=[summary_table(published, table)], children=shown)


def summary_table(published: pd.DataFrame, table: pd.DataFrame) -> Table:
    """Return one line a model: coverage, errors against DFT, softening, agreement with the paper."""
    models = models_in_order([*PHONON_MODELS, *table_models(table)])
    caption = f"Maximum phonon frequency by model ({len(published)} rows; MAE against DFT)"
    rows = [_summary_row(model, published, table) for model in models]
    return dict_table("phonons-summary", caption, rows)


def _summary_row(model: str, published: pd.DataFrame, table: pd.DataFrame) -> dict[str, Cell]:
    own = table[table["model"] == model]
    counts = {s: int((own["status"] == s).sum()) for s in STATUSES if s != "not_run"}
    ours, theirs = ratios(table, model), published_ratios(published, model)
    dft = published.set_index("row")["dft_thz"].astype(float)
    finished = own[own["status"] == "ok"].set_index("row")
    reference = finished["dft_thz"].astype(float).fillna(finished["dft_published_thz"].astype(float))
    percent = 100 * finished["relative_difference"].astype(float).dropna()
    published_errors = ((theirs - 1) * dft.reindex(theirs.index)).abs()
    return {
        "Model": Cell(model_title(model)),
        "Ok": number_cell(counts["ok"]),
        "Failed": number_cell(counts["failed"]),
        "Not converged": number_cell(counts["not_converged"]),
        "Not run": number_cell(len(published) - sum(counts.values())),
        "MAE published, all rows (THz)": number_cell(float(published_errors.mean()), 3),
        "MAE published, our rows": number_cell(float(published_errors.reindex(ours.index).mean()), 3),
        "MAE ours": number_cell(float((finished["max_freq_thz"] - reference).abs().mean()), 3),
        "Below DFT, published (%)": _share(theirs),
        "Below DFT, ours (%)": _share(ours),
        "Compared rows": number_cell(len(percent)),
        f"Within {WITHIN_PERCENT:g} %": number_cell(int((percent.abs() <= WITHIN_PERCENT).sum())),
        "Worst difference (%)": number_cell(float(percent.abs().max()), 2),
        "Level of theory": Cell(levels(table).get(model, "")),
    }


def _share(ratio: pd.Series) -> Cell:
    return number_cell(100 * float((ratio < 1).mean()), 1) if len(ratio) else Cell("")


def rows_table(run: PhononRun, table: pd.DataFrame) -> Table:
    """Return every row and model that was run, with a link to its record."""
    rows = []
    for line in table[table["status"] != "not_run"].to_dict("records"):
        record = run.records.get(str(line["model"]), {}).get(str(line["mp_id"]))
        rows.append(
            {
                "Row": number_cell(line["row"]),
                "mp-id": Cell(str(line["mp_id"])),
                "Composition": Cell(formula_markdown(str(line["formula"]))),
                "Model": Cell(str(line["model"])),
                "Ours (THz)": number_cell(line["max_freq_thz"]),
                "Published (THz)": number_cell(line["published_thz"]),
                "DFT ours (THz)": number_cell(line["dft_thz"]),
                "DFT published (THz)": number_cell(line["dft_published_thz"]),
                "Difference (%)": difference_cell(100 * float(line["relative_difference"])),
                "Status": status_cell(str(line["status"])),
                "Explanation": number_cell(line.get("explanation")),
                "Record": Cell("record", link=f"#{anchor(record)}") if record else Cell(""),
            }
        )
    return dict_table(
        "phonons-rows", "Every material of Supplementary Table III and model that was run", rows
    )


# --- parity


def parity_figures(published: pd.DataFrame, table: pd.DataFrame) -> list[Figure]:
    """Return the parity plot of each model, published and ours, on logarithmic axes."""
    return [
        Figure(parity_caption(model, published, table), draw(parity_plot(model, published, table)))
        for model in models_in_order([*PHONON_MODELS, *table_models(table)])
    ]


def parity_caption(model: str, published: pd.DataFrame, table: pd.DataFrame) -> str:
    """Return a model's name with the shares of materials that it softens, and their numbers."""
    named = {"published": published_ratios(published, model), "ours": ratios(table, model)}
    told = [
        f"{who} {100 * (r < 1).mean():.1f} % below DFT (n = {len(r)})" for who, r in named.items() if len(r)
    ]
    return f"{model_title(model)}: {', '.join(told) or 'none finished'}"


def parity_plot(model: str, published: pd.DataFrame, table: pd.DataFrame) -> Scatter:
    """Return one model's maximum frequencies against DFT; the axes hold decimal logarithms of THz."""
    own = table[(table["model"] == model) & (table["status"] == "ok")]
    ours = dict(zip(own["row"], own["max_freq_thz"].astype(float), strict=True))
    stem = PHONON_MODELS.get(model, ("", ""))[0]
    points = []
    for row in published.to_dict("records"):
        values = {
            "published": row[f"{stem}_thz"] if stem else math.nan,
            "ours": ours.get(row["row"], math.nan),
        }
        tip = _tip(model, row, values)
        points += [
            Point(math.log10(row["dft_thz"]), math.log10(max(value, 1e-3)), kind, str(row["mp_id"]), tip)
            for kind, value in values.items()
            if not math.isnan(value)
        ]
    points.sort(key=lambda point: point.kind == "ours")
    ends, ticks = (math.log10(0.8), math.log10(130.0)), [(math.log10(t), f"{t}") for t in TICKS_THZ]
    x, y = Axis("DFT, as published (THz)", *ends, ticks), Axis("Model (THz)", *ends, ticks)
    label = f"Maximum frequencies of {model_title(model)} against DFT"
    return Scatter(label, MODEL_COLORS[model], x, y, points, diagonal=True)


def _tip(model: str, row: Mapping[str, Any], values: Mapping[str, float]) -> str:
    texts = [f"{formula_markdown(str(row['formula']))} ({row['mp_id']})", model_title(model)]
    named = {**values, "DFT, published": float(row["dft_thz"])}
    texts += [f"{who} {value:.3f} THz" for who, value in named.items() if not math.isnan(value)]
    if not any(map(math.isnan, values.values())):
        texts.append(f"difference {100 * (values['ours'] / values['published'] - 1):+.2f} %")
    return "\n".join(texts)


# --- band structures


def viewer(run: PhononRun) -> Figure:
    """Return the figure that shows any material of the run; its curves are in the files of `write_materials`."""
    if not run.materials:
        return Figure("No material in this run.", Markup(""))
    option = Markup('<option value="{}" data-file="{}">{}</option>')
    options = Markup("\n").join(
        option.format(material, file_name(material), _option_text(run, material))
        for material in run.materials
    )
    return Figure(HOW, VIEWER.format(folder=FOLDER, options=options), wide=True)


VIEWER = Markup("""<div class="bands" data-folder="{folder}">
<p class="tools"><label>Search <input type="search" placeholder="e.g. MgO or mp-1265"></label>
<label>Material <select>
{options}
</select></label>
<button type="button" data-deed="previous">Previous</button> <button type="button" data-deed="next">Next</button>
<button type="button" data-deed="in" aria-label="Zoom in">+</button>
<button type="button" data-deed="out" aria-label="Zoom out">−</button>
<button type="button" data-deed="whole">Whole range</button></p>
<fieldset class="curves" aria-label="Curves"></fieldset>
<div class="drawing"><noscript>Band structures need JavaScript.</noscript></div>
<output aria-live="polite"></output>
<ul class="notes"></ul>
</div>""")


def _option_text(run: PhononRun, material: str) -> str:
    lost = sum(own[material].status != "ok" for own in run.records.values() if material in own)
    return printed(run, material) + (f", {lost} not finished" if lost else "")


def printed(run: PhononRun, material: str) -> str:
    """Return formula and id, or the id alone where no formula is known."""
    known = run.formulas.get(material)
    return f"{formula_markdown(known)} ({material})" if known else material


def file_name(material: str) -> str:
    """Return the name of a material's file, whatever its id holds."""
    return f"{quote(material, safe='')}.js"


def write_materials(run: PhononRun, folder: Path) -> None:
    """Write one file a material for the page to load, and remove those of materials that are no longer there.

    Frequencies are whole thousandths of a THz; the same records and kept files give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {folder / file_name(material): material for material in run.materials}
    for stale in set(folder.glob("*.js")) - set(wanted):
        stale.unlink()
    for path, material in wanted.items():
        data = json.dumps(material_data(run, material), separators=(",", ":"))
        write_atomic(path, f"pesbenchPhonons({data});\n")


def material_data(run: PhononRun, material: str) -> dict[str, Any]:
    """Return what the page shows of a material: path, curves of databases and models, and who failed why."""
    names = [*run.references("PBEsol"), *run.models]
    kept = {name: found for name in names if (found := run.bands(name, material))}
    first = next(iter(kept.values()), None)
    records = {name: own[material] for name, own in run.records.items() if material in own}
    return {
        "id": material,
        "title": printed(run, material),
        "ticks": [(round(x, 4), label) for x, label in path_ticks(first)] if first else [],
        "x": [np.round(segment["distance"], 4).tolist() for segment in first["segments"]] if first else [],
        "curves": [_curve(run, name, material, found) for name, found in kept.items()],
        "failed": [
            f"{run.title(name)}: {status_cell(records[name].status).text}, {records[name].stage}: "
            f"{records[name].message}"
            for name in [*run.databases, *run.models]
            if name in records and records[name].status != "ok"
        ],
    }


def _curve(run: PhononRun, name: str, material: str, found: Mapping[str, Any]) -> dict[str, Any]:
    maximum = value_of(run.records[name][material], MAXIMUM)
    return {
        "name": name,
        "title": run.title(name),
        "color": color_of(run, name),
        "dash": " ".join(f"{1.6 * length:g}" for length in dashes(run, name)),
        "max": _thousandths(maximum or 0.0),
        "bands": [_thousandths(segment["frequencies_thz"]) for segment in found["segments"]],
        "dos": [
            _thousandths(found["dos"]["frequency_thz"]),
            np.round(found["dos"]["states_per_thz"], 3).tolist(),
        ],
    }


def _thousandths(thz: Any) -> Any:
    return np.rint(1000 * np.asarray(thz)).astype(int).tolist()
