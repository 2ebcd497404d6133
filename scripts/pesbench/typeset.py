"""A laid-out table as Markdown or LaTeX: subscripts, overbars, padding, rules."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

SUBSCRIPTS = str.maketrans("0123456789.", "₀₁₂₃₄₅₆₇₈₉.")
LATEX_SPECIAL = str.maketrans(
    {c: rf"\{c}" for c in "&%$#_{}"} | {"~": r"\textasciitilde{}", "\\": r"\textbackslash{}"}
)
PORTRAIT_COLUMNS = 12


@dataclass(frozen=True)
class Column:
    """One printed column: its group (the model), its title, and the kind of its cells."""

    group: str
    title: str
    kind: str


@dataclass(frozen=True)
class Layout:
    """A table ready to be printed in any format; its cells are plain text, whose kind the column says."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def formula_markdown(formula: str) -> str:
    """Return a formula with Unicode subscripts: Cr2O3 as Cr₂O₃."""
    return re.sub(r"(?<=[A-Za-z)\]])\d+(\.\d+)?", lambda m: m[0].translate(SUBSCRIPTS), formula)


def formula_latex(formula: str) -> str:
    """Return a formula with LaTeX subscripts: Cr2O3 as Cr$_{2}$O$_{3}$."""
    return re.sub(r"(?<=[A-Za-z)\]])\d+(\.\d+)?", lambda m: f"$_{{{m[0]}}}$", formula)


def miller_indices(miller: str | Sequence[int]) -> list[int]:
    """Return the integers of a Miller index given as JSON text or as a list."""
    return [int(i) for i in (json.loads(miller) if isinstance(miller, str) else miller)]


def miller_latex(miller: str | Sequence[int]) -> str:
    r"""Return a Miller index with overbars: [2, 1, -2] as $(2\,1\,\bar{2})$."""
    return "$(" + r"\,".join(rf"\bar{{{-i}}}" if i < 0 else str(i) for i in miller_indices(miller)) + ")$"


def _markdown_cell(text: str, kind: str) -> str:
    return formula_markdown(text) if kind == "formula" else text.replace("|", r"\|")


def _latex_cell(text: str, kind: str) -> str:
    if kind == "formula":
        return formula_latex(text)
    if kind == "miller":
        return miller_latex(text)
    escaped = latex_escape(text)
    return f"${escaped}$" if kind == "number" and text[:1] in "+-" and text else escaped


def latex_escape(text: str) -> str:
    """Return text that LaTeX prints as it is."""
    return text.translate(LATEX_SPECIAL).replace("Å²", r"\AA$^{2}$").replace("†", r"$^{\dagger}$")


def markdown(layout: Layout) -> str:
    """Return a laid-out table as Markdown, columns padded so that the source can be read too."""
    head = [" ".join(part for part in (c.group, c.title) if part) for c in layout.columns]
    body = [
        [_markdown_cell(t, c.kind) for t, c in zip(row, layout.columns, strict=True)] for row in layout.rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    right = [c.kind == "number" for c in layout.columns]
    rule = ["-" * (w - 1) + ":" if r else "-" * w for w, r in zip(widths, right, strict=True)]
    lines = [
        "| "
        + " | ".join(t.rjust(w) if r else t.ljust(w) for t, w, r in zip(row, widths, right, strict=True))
        + " |"
        for row in [head, rule, *body]
    ]
    return "\n".join([f"# {layout.caption}", "", *lines, "", *(f"- {note}" for note in layout.notes), ""])


def latex(layout: Layout) -> str:
    """Return a laid-out table as a LaTeX longtable, on its side where a portrait page is too narrow."""
    wide = len(layout.columns) > PORTRAIT_COLUMNS
    notes = [latex_escape(note).replace("|", "$|$") for note in layout.notes]
    parts = [
        "% \\usepackage[utf8]{inputenc} \\usepackage{booktabs,longtable,pdflscape}",
        "\\begin{landscape}" if wide else "",
        "\\begingroup\\scriptsize\\setlength{\\tabcolsep}{4pt}",
        *_longtable_head(layout),
        *_longtable_rows(layout),
        "\\end{longtable}",
        *(f"\\noindent {note}\\par" for note in notes),
        "\\endgroup",
        "\\end{landscape}" if wide else "",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _longtable_head(layout: Layout) -> list[str]:
    """Return everything before the first row: caption, header lines (on each page), rules."""
    spec = "".join("r" if c.kind == "number" else "l" for c in layout.columns)
    head = ["\\toprule", *_latex_head(layout.columns), "\\midrule"]
    label = layout.name.replace("_", "-")
    return [
        f"\\begin{{longtable}}{{@{{}}{spec}@{{}}}}",
        f"\\caption{{{latex_escape(layout.caption)}}}\\label{{tab:{label}}}\\\\",
        *head,
        "\\endfirsthead",
        "\\caption[]{(continued)}\\\\",
        *head,
        "\\endhead",
        f"\\midrule\\multicolumn{{{len(spec)}}}{{r@{{}}}}{{continued on the next page}}\\\\",
        "\\endfoot",
        "\\bottomrule",
        "\\endlastfoot",
    ]


def _longtable_rows(layout: Layout) -> list[str]:
    """Return the rows, with a little space between groups of the same first cell."""
    lines, before = [], ""
    grouped = len({row[0] for row in layout.rows}) < len(layout.rows)
    for row in layout.rows:
        if grouped and before and before != row[0]:
            lines.append("\\addlinespace[2pt]")
        texts = [_latex_cell(t, c.kind) for t, c in zip(row, layout.columns, strict=True)]
        lines.append(" & ".join(texts) + r" \\")
        before = row[0]
    return lines


def _latex_head(columns: tuple[Column, ...]) -> list[str]:
    """Return the two header lines: models over their columns, then the columns."""
    groups: list[tuple[str, int, int]] = []
    for i, column in enumerate(columns, start=1):
        if groups and column.group and groups[-1][0] == column.group:
            groups[-1] = (column.group, groups[-1][1], i)
        else:
            groups.append((column.group, i, i))
    top = [rf"\multicolumn{{{b - a + 1}}}{{c}}{{{latex_escape(g)}}}" if g else "" for g, a, b in groups]
    rules = "".join(rf"\cmidrule(lr){{{a}-{b}}}" for g, a, b in groups if g)
    return [" & ".join(top) + r" \\", rules, " & ".join(latex_escape(c.title) for c in columns) + r" \\"]
