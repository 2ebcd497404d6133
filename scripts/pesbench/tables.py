"""Tables: tidy CSV, and the papers' own layout with our columns beside theirs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from pesbench.errors import PesbenchError
from pesbench.files import write_atomic
from pesbench.fine_tuning_layout import LAYOUTS as FINE_TUNING_LAYOUTS
from pesbench.high_energy_layout import LAYOUTS as HIGH_ENERGY_LAYOUTS
from pesbench.published import PAPER_MODELS, PHONON_MODELS
from pesbench.summary import (
    STATUS_WORDS,
    is_missing,
    levels_of_theory,
    models_that_ran,
    relative_difference_percent,
    status_counts,
)
from pesbench.typeset import Column, Layout, latex, markdown

LAYOUTS = {**HIGH_ENERGY_LAYOUTS, **FINE_TUNING_LAYOUTS}
DECIMALS = 6  # as many as the paper's supplement prints


@dataclass(frozen=True)
class PaperTable:
    """One supplementary table of deng2025: which columns it prints and how.

    Attributes
    ----------
    keys
        (column, printed title, kind) with kind ``text``, ``formula`` or ``miller``.
    unit
        Suffix of the published columns.
    reference
        What the column DFT is.
    value
        Column of the tidy table of our runs that holds our number.
    models
        Our model names and what the table calls them: (stem of the published column, printed name).
    own_reference
        Column of the tidy table that holds the reference as we computed it, if any.
    """

    name: str
    caption: str
    keys: tuple[tuple[str, str, str], ...]
    unit: str
    reference: str
    value: str
    models: Mapping[str, tuple[str, str]] = field(default_factory=lambda: PAPER_MODELS)
    own_reference: str = ""


PAPER_TABLES = {
    table.name: table
    for table in (
        PaperTable(
            "deng2025_s1_surfaces",
            "Surface energies (eV/Å²), after Supplementary Table I of Deng et al. 2025",
            (
                ("mp_id", "mp-id", "text"),
                ("formula", "Composition", "formula"),
                ("miller", "Miller index", "miller"),
            ),
            "ev_per_ang2",
            "values of the paper (VASP, Materials Project relaxation settings)",
            "gamma_ev_per_ang2",
        ),
        PaperTable(
            "deng2025_s2_defects",
            "Defect energies (eV), after Supplementary Table II of Deng et al. 2025",
            (("formula", "Composition", "formula"), ("defect", "Defect type", "text")),
            "ev",
            "values of the paper (VASP, Materials Project relaxation settings)",
            "formation_energy_ev",
        ),
        PaperTable(
            "deng2025_s3_phonons",
            "Maximum phonon frequencies (THz), after Supplementary Table III of Deng et al. 2025",
            (("mp_id", "mp-id", "text"), ("formula", "Composition", "formula")),
            "thz",
            "values of the paper (PhononDB, PBEsol)",
            "max_freq_thz",
            PHONON_MODELS,
            "dft_thz",
        ),
    )
}


def cell(value: object, decimals: int = DECIMALS) -> str:
    """Return one value as text with fixed decimals: the same value gives the same text everywhere."""
    if is_missing(value):
        return ""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value)
    if isinstance(value, float):
        text = f"{value:.{decimals}f}"
        return text.lstrip("-") if float(text) == 0 else text
    return str(value)


def tidy_csv(frame: pd.DataFrame, decimals: int = DECIMALS) -> str:
    """Return a frame as CSV with fixed decimals, Unix line ends and empty cells for missing values."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(frame.columns)
    for row in frame.astype(object).itertuples(index=False):
        writer.writerow([cell(value, decimals) for value in row])
    return out.getvalue()


def read_published(path: Path) -> pd.DataFrame:
    """Read a transcribed table of ``data/published`` (its first lines, ``# ...``, say where it is from)."""
    try:
        return pd.read_csv(path, comment="#")
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise PesbenchError(f"{path}: not a table ({error}); transcribe it again") from error


def paper_layout(name: str, published: pd.DataFrame, runs: pd.DataFrame | None = None) -> Layout:
    """Lay one supplementary table out as the paper prints it, with our numbers beside the published ones.

    Parameters
    ----------
    name
        Key of ``PAPER_TABLES``.
    published
        The transcribed table, one row a row of the paper.
    runs
        Our tidy table (``row``, ``model``, ``status``, the value, ``level_of_theory``), or None.
    """
    table, ran = PAPER_TABLES[name], models_that_ran(runs)
    columns = [Column("", title, kind) for _, title, kind in table.keys]
    cells = [[cell(value) for value in published[key]] for key, _, _ in table.keys]
    for model in [*table.models, *(m for m in ran if m not in table.models)]:
        stem, label = table.models.get(model, ("", model))
        theirs = published[f"{stem}_{table.unit}"] if stem else None
        if theirs is not None:
            columns.append(Column(label, "published", "number"))
            cells.append(_published_cells(theirs, published.get("note")))
        if runs is not None and model in ran:
            added = _our_cells(table, published["row"], theirs, runs[runs["model"] == model])
            columns += [Column(label, title, "number") for title in added]
            cells += added.values()
    columns.append(Column("", "DFT", "number"))
    cells.append([cell(value) for value in published[f"dft_{table.unit}"].astype(float)])
    notes = [f"DFT: {table.reference}."]
    if own := _own_reference(table, published["row"], runs):
        columns.append(Column("", "DFT ours", "number"))
        cells.append(own)
        notes.append("DFT ours: from the forces of the database, by the same code as the models.")
    rows = tuple(zip(*cells, strict=True))
    return Layout(name, table.caption, tuple(columns), rows, (*notes, *run_notes(runs, len(published))))


def _own_reference(table: PaperTable, rows: pd.Series, runs: pd.DataFrame | None) -> list[str]:
    """Return the reference as we computed it, row by row; nothing where there is none."""
    if not table.own_reference or runs is None or table.own_reference not in runs.columns:
        return []
    known = runs.dropna(subset=[table.own_reference]).drop_duplicates("row").set_index("row")
    own = known[table.own_reference].reindex(rows.to_list())
    return [cell(float(value)) for value in own] if own.notna().any() else []


def _published_cells(values: pd.Series, notes: pd.Series | None) -> list[str]:
    """Return one model's published numbers; a cell that the paper calls Failed says so."""
    said = [""] * len(values) if notes is None else [cell(note) for note in notes]
    empty = ["Failed" if "fail" in note.lower() else "" for note in said]
    return [cell(float(value)) or word for value, word in zip(values, empty, strict=True)]


def _our_cells(
    table: PaperTable, rows: pd.Series, theirs: pd.Series | None, ours: pd.DataFrame
) -> dict[str, list[str]]:
    """Return our column, and the relative difference where there is a published one, by printed title."""
    mine = ours.set_index("row").reindex(rows.to_list())
    values, status = mine[table.value].astype(float), mine["status"].fillna("not_run")
    texts = [_our_cell(value, state) for value, state in zip(values, status, strict=True)]
    if theirs is None:
        return {"ours": texts}
    difference = relative_difference_percent(values, theirs.set_axis(values.index))
    shown = difference.where(status == "ok")
    return {"ours": texts, "diff. %": ["" if is_missing(d) else f"{d:+.2f}" for d in shown]}


def _our_cell(value: float, status: str) -> str:
    """Return our number; a value that did not converge carries a dagger, a missing one its reason."""
    if status == "ok":
        return cell(value)
    if status == "not_converged" and not is_missing(value):
        return f"{cell(value)}†"
    return {"not_run": "", "failed": "failed"}.get(status, STATUS_WORDS.get(status, status))


def run_notes(runs: pd.DataFrame | None, n_rows: int) -> list[str]:
    """Return the lines under a table: coverage of each model, level of theory, and what the marks mean."""
    if runs is None or runs.empty:
        return ["Ours: nothing has run yet; published values alone."]
    notes = []
    for model, counts in status_counts(runs, n_rows).items():
        told = ", ".join(f"{n} {STATUS_WORDS[s]}" for s, n in counts.items())
        notes.append(f"Coverage of {n_rows} rows, {model}: {told}.")
    theory = levels_of_theory(runs)
    told = "; ".join(f"{model}: {level or 'unknown'}" for model, level in theory.items())
    notes.append(f"Level of theory of our models: {told}.")
    if len(set(theory.values())) > 1:
        notes.append("Warning: the levels of theory differ, compare models with care.")
    notes.append("diff. %: 100 (ours - published) / |published|, converged rows only.")
    if (runs["status"] == "not_converged").any():
        notes.append("†: did not converge; last value, counted nowhere.")
    return notes


def paper_table(
    name: str, published: pd.DataFrame, runs: pd.DataFrame | None = None, style: str = "md"
) -> str:
    """Return one supplementary table in the paper's layout as ``md`` or ``tex`` (see `paper_layout`)."""
    layout = paper_layout(name, published, runs)
    return {"md": markdown, "tex": latex}[style](layout)


def write_tables(frames: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write each table as CSV, and those that have a layout for print as ``.md`` and ``.tex`` too.

    A frame of a paper's table is the transcribed table itself, or holds our runs (it has a column ``model``).
    """
    for name, frame in frames.items():
        write_atomic(folder / f"{name}.csv", tidy_csv(frame))
        if name in LAYOUTS:
            layout = LAYOUTS[name](frame)
            write_atomic(folder / f"{name}.md", markdown(layout))
            write_atomic(folder / f"{name}.tex", latex(layout))
        if name not in PAPER_TABLES:
            continue
        published = read_published(Path(f"data/published/{name}.csv"))
        runs = frame if "model" in frame.columns else None
        for style in ("md", "tex"):
            write_atomic(folder / f"{name}.{style}", paper_table(name, published, runs, style))
