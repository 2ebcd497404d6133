"""What the report page is made of: sections with tables and figures; the template escapes every text."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from pesbench.summary import STATUS_WORDS, TOLERANCES_PERCENT, is_missing
from pesbench.tables import cell
from pesbench.typeset import Layout, formula_markdown

STATUS_LOOKS = {
    "ok": ("good", "✓"),
    "failed": ("bad", "✗"),
    "not_converged": ("fair", "≈"),
    "not_run": ("muted", "–"),
}
VERDICT_LOOKS = {
    "reproduced": ("good", "✓"),
    "not reproduced": ("bad", "✗"),
    "partial": ("fair", "≈"),
    "contradiction": ("fair", "!"),
    "not run": ("muted", "–"),
}

UNIT_SUFFIXES = {
    "ev_per_ang2": "eV/Å²",
    "ev_per_ang": "eV/Å",
    "ev_per_atom": "eV/atom",
    "ev": "eV",
    "ang2": "Å²",
    "ang": "Å",
    "thz": "THz",
    "gpa": "GPa",
    "percent": "%",
    "kelvin": "K",
    "j_per_k_mol": "J/K/mol",
    "kj_per_mol": "kJ/mol",
    "km_per_s": "km/s",
    "mev_per_atom": "meV/atom",
    "ang3_per_atom": "Å³/atom",
}


@dataclass(frozen=True)
class Cell:
    """One cell: what is shown, what it is sorted by, where it leads, its color (never color alone)."""

    text: str
    sort: float | None = None
    link: str = ""
    tone: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the page: sortable, and with a filter box where it is long."""

    id: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Return which columns are right-aligned: those that hold a number in some row."""
        columns = zip(*self.rows, strict=True) if self.rows else [()] * len(self.columns)
        return tuple(any(c.sort is not None for c in column) for column in columns)


@dataclass(frozen=True)
class Figure:
    """A figure of the page: an interactive SVG or an embedded image (of the file ``name``), with its caption."""

    caption: str
    body: Markup
    wide: bool = False
    name: str = ""


@dataclass(frozen=True)
class Fold:
    """A text that is shown when asked for (a record, a configuration, an environment), or from the start."""

    id: str
    title: str
    text: str
    open: bool = False


@dataclass(frozen=True)
class Section:
    """One section of the page; a benchmark adds one by giving one of these to ``build_report``."""

    id: str
    title: str
    intro: str = ""
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    folds: Sequence[Fold] = ()
    children: Sequence[Section] = field(default=())
    items: Sequence[str] = ()


def slug(*parts: str) -> str:
    """Return a name for a link target."""
    return "-".join(re.sub(r"[^A-Za-z0-9.]+", "-", part).strip("-") for part in parts)


def number_cell(value: object, decimals: int = 6) -> Cell:
    """Return a number with fixed decimals (integers without), or whatever else the value is as text."""
    if is_missing(value):
        return Cell("")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(cell(value, decimals), float(value))
    return Cell(cell(value))


def status_cell(status: str) -> Cell:
    """Return a status as mark and word."""
    tone, mark = STATUS_LOOKS.get(status, ("", ""))
    return Cell(f"{mark} {STATUS_WORDS.get(status, status)}".strip(), tone=tone)


def verdict_cell(verdict: str) -> Cell:
    """Return a verdict of the ledger as mark and word."""
    tone, mark = VERDICT_LOOKS.get(verdict.replace("_", " "), ("", ""))
    return Cell(f"{mark} {verdict.replace('_', ' ')}".strip(), tone=tone)


def difference_cell(percent: float) -> Cell:
    """Return a relative difference in %, marked ✓ within 2 %, ≈ within 4 %, ✗ beyond."""
    if is_missing(percent):
        return Cell("")
    close, fair = TOLERANCES_PERCENT
    tone, mark = (
        ("good", "✓") if abs(percent) <= close else ("fair", "≈") if abs(percent) <= fair else ("bad", "✗")
    )
    return Cell(f"{percent:+.2f} {mark}", percent, tone=tone)


def layout_table(layout: Layout) -> Table:
    """Return a table in the paper's layout for the page."""
    columns = tuple(" ".join(p for p in (c.group, c.title) if p) for c in layout.columns)
    rows = tuple(
        tuple(
            _layout_cell(text, column.kind, column.title)
            for text, column in zip(row, layout.columns, strict=True)
        )
        for row in layout.rows
    )
    return Table(slug("paper", layout.name), layout.caption, columns, rows, layout.notes)


def _layout_cell(text: str, kind: str, title: str) -> Cell:
    if kind == "formula":
        return Cell(formula_markdown(text))
    try:
        value = float(text.rstrip("†")) if kind == "number" else None
    except ValueError:
        return Cell(text)
    return difference_cell(value) if title == "diff. %" and value is not None else Cell(text, value)


def column_title(name: str) -> str:
    """Return a column's name for people: its unit suffix in brackets, no underscores."""
    if name == "mp_id":
        return "mp-id"
    suffix = max((s for s in UNIT_SUFFIXES if name.endswith(f"_{s}")), key=len, default="")
    words = name.removesuffix(f"_{suffix}").replace("_", " ")
    return words[:1].upper() + words[1:] + (f" ({UNIT_SUFFIXES[suffix]})" if suffix else "")


def frame_table(id: str, caption: str, frame: pd.DataFrame) -> Table:
    """Return any frame as a table: numbers right, formulas with subscripts, statuses with marks."""
    rows = tuple(
        tuple(_frame_cell(str(name), value) for name, value in zip(frame.columns, row, strict=True))
        for row in frame.astype(object).itertuples(index=False)
    )
    return Table(id, caption, tuple(column_title(str(name)) for name in frame.columns), rows)


def _frame_cell(name: str, value: object) -> Cell:
    if is_missing(value):
        return Cell("")
    if name == "status":
        return status_cell(str(value))
    return Cell(formula_markdown(str(value))) if name == "formula" else number_cell(value)


def dict_table(id: str, caption: str, rows: Iterable[Mapping[str, Cell]]) -> Table:
    """Return rows given as {title: cell} as a table; columns in the order in which they come up."""
    listed = list(rows)
    columns = tuple(dict.fromkeys(title for row in listed for title in row))
    return Table(id, caption, columns, tuple(tuple(row.get(c, Cell("")) for c in columns) for row in listed))


def image_figure(path: Path, caption: str, width_rem: float = 42.0) -> Figure:
    """Return a png file as a figure that needs no other file."""
    data = base64.b64encode(path.read_bytes()).decode()
    html = Markup('<img src="data:image/png;base64,{}" alt="{}" style="width: {:g}rem">')
    return Figure(caption, html.format(data, caption, width_rem), wide=True, name=path.name)
