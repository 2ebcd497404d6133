"""One page in three forms: HTML that needs no other file, Markdown, and the figures by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure as Drawing

from pesbench.files import write_atomic
from pesbench.plots import save
from pesbench.report.page import render
from pesbench.report.parts import Figure, Section, Table, image_figure

FIGURES = "figures"
#: On the page text in a figure is then as large as the text around it.
REM_PER_INCH = 8.5


@dataclass(frozen=True)
class Document:
    """A page: its title, the lines that are read first, its sections."""

    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]

    def write(self, page: Path, text: Path) -> None:
        """Write the page as HTML and as Markdown."""
        write_atomic(page, render(self.title, self.lead, self.sections))
        write_atomic(text, self.markdown())

    def markdown(self) -> str:
        """Return the page as Markdown; figures are those of the folder ``figures`` beside it."""
        parts = [f"# {self.title}", *self.lead]
        for section in self.sections:
            parts += _section(section)
        return "\n\n".join(parts) + "\n"


def _section(section: Section) -> list[str]:
    parts = [f"## {section.title}", *([section.intro] if section.intro else [])]
    if section.items:
        parts.append("\n".join(f"- {item}" for item in section.items))
    parts += [f"![{f.caption}]({FIGURES}/{f.name})\n\n*{f.caption}*" for f in section.figures if f.name]
    parts += [_table(table) for table in section.tables]
    parts += [f"**{fold.title}**\n\n```\n{fold.text.rstrip()}\n```" for fold in section.folds]
    return parts


def _table(table: Table) -> str:
    """Return a table of the page as Markdown."""
    rows = [[cell.text.replace("|", "\\|") for cell in row] for row in table.rows]
    marks = ["---:" if number else "---" for number in table.numeric]
    lines = [" | ".join(row) for row in [list(table.columns), marks, *rows]]
    notes = [f"\n{note}" for note in table.notes]
    return "\n".join([f"**{table.caption}**", "", *(f"| {line} |" for line in lines), *notes])


def drawn(folder: Path, name: str, drawing: Drawing, caption: str) -> Figure:
    """Save a drawing as ``name``.png and return it as a figure of the page."""
    path = folder / f"{name}.png"
    save(drawing, path)
    return image_figure(path, caption, round(REM_PER_INCH * float(drawing.get_figwidth()), 1))
