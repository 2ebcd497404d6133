"""Transcribe the papers' tables from machine-read text to CSV files that say where each number is from."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from pesbench.errors import SourceError
from pesbench.sources.paper_catalog import TABLES
from pesbench.sources.paper_tables import Table
from pesbench.sources.paper_text import Line, find_lines


@dataclass(frozen=True)
class Paper:
    """A paper: how it is named in full and its DOI."""

    title: str
    doi: str


PAPERS = {
    "deng2025": Paper(
        "Deng et al., Systematic softening in universal machine learning interatomic potentials, npj "
        "Comput. Mater. 11, 9 (2025)",
        "10.1038/s41524-024-01500-6",
    ),
    "loew2024": Paper(
        "Loew et al., Universal Machine Learning Interatomic Potentials are Ready for Phonons, "
        "arXiv:2412.16551 (text of December 24, 2024)",
        "10.48550/arXiv.2412.16551 (journal version: 10.1038/s41524-025-01650-1)",
    ),
    "focassio2024": Paper(
        "Focassio, Freitas, Schleder, Performance Assessment of Universal Machine Learning "
        "Interatomic Potentials: Challenges and Directions for Materials' Surfaces, ACS Appl. Mater. "
        "Interfaces (2024)",
        "10.1021/acsami.4c03815",
    ),
    "mattersim_mt": Paper(
        "Yang et al., MatterSim-MT: A multi-task foundation model for in silico materials characterization",
        "not in the text at hand",
    ),
}


def table_csv(table: Table, text: str) -> str:
    """Return one table as CSV, its origin on the first lines (``# ...``).

    Raises
    ------
    SourceError
        When the header is missing, a line cannot be read, or the number of rows is not the known one.
    """
    typed = [Line(i, line.split("\t")) for i, line in enumerate(table.typed.splitlines(), start=1)]
    where = f"{table.source or 'typed lines'}, {table.name}"
    try:
        rows = table.read(typed or find_lines(text, table.after, table.header))
    except (SourceError, ValueError) as error:
        raise SourceError(f"{where}: {error}") from error
    if len(rows) != table.n_rows:
        raise SourceError(
            f"{where}: {len(rows)} rows instead of {table.n_rows}; a line was lost or added in the text"
        )
    paper = PAPERS[next(key for key in PAPERS if table.name.startswith(key))]
    told = {"paper": paper.title, "doi": paper.doi, "place": table.place, "units": table.units}
    out = io.StringIO()
    out.writelines(f"# {key}: {value}\n" for key, value in {**told, "transcription": table.note}.items())
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*(("row",) if table.numbered else ()), *table.columns))
    for i, row in enumerate(rows, start=1):
        writer.writerow([i, *row] if table.numbered else row)
    return out.getvalue()


def transcribe(papers: Path, output: Path) -> list[Path]:
    """Write every table of ``TABLES`` below ``output`` and return the files.

    Parameters
    ----------
    papers
        Folder with the papers' text.
    output
        Folder for the CSV files; made when it is not there.

    Raises
    ------
    SourceError
        When a paper is missing or a table cannot be read; nothing is written then.
    """
    texts = {"": ""}
    for name in sorted({table.source for table in TABLES if table.source}):
        if not (papers / name).is_file():
            raise SourceError(f"{papers / name}: not there; give the folder that holds the papers' text")
        texts[name] = (papers / name).read_text(encoding="utf-8")
    contents = {output / f"{table.name}.csv": table_csv(table, texts[table.source]) for table in TABLES}
    output.mkdir(parents=True, exist_ok=True)
    for path, content in contents.items():
        path.write_text(content, encoding="utf-8", newline="\n")
    return list(contents)
