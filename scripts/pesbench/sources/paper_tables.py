"""The tables of the papers that this project rebuilds: where each stands and how its lines are read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pesbench.errors import SourceError
from pesbench.sources.paper_text import (
    Cells,
    Line,
    amount,
    decimal,
    expect,
    formula,
    mp_id,
    number,
    plain,
    read_each,
)

Reader = Callable[[Sequence[Line]], list[Cells]]
DENG_MODELS = ("M3GNet", "CHGNet", "MACE")
S4_MODELS = ("OMat24", "ORB-V2", "SevenNet", "M3GNet", "CHGNet", "MACE-MP-0", "MatterSim (10M)")
S3_MODELS = (*S4_MODELS[:-1], "MatterSim-MT-10M")


@dataclass(frozen=True)
class Table:
    """One table of a paper.

    Attributes
    ----------
    name
        Stem of the CSV, ``<paper>_<item>_<word>``.
    source
        File that holds the text; empty when the lines are ``typed`` below from the printed page.
    after, header
        See `find_lines`.
    n_rows
        Rows of the CSV; any other count is refused.
    numbered
        Whether a column ``row`` (1, 2, ...) is put in front.
    """

    name: str
    source: str
    place: str
    units: str
    note: str
    columns: tuple[str, ...]
    n_rows: int
    read: Reader
    header: tuple[str, ...] = ()
    after: str = ""
    typed: str = ""
    numbered: bool = False


def by_line(*kinds: Callable[[str], str]) -> Reader:
    """Return a reader of plain tables: one row a line, one kind of cell a column."""

    def read(cells: Cells) -> Cells:
        return [kind(cell) for kind, cell in zip(kinds, expect(cells, len(kinds)), strict=True)]

    return lambda lines: read_each(lines, read)


def six(cell: str) -> str:
    """Return a number with six decimals, as Deng's supplement prints all of them."""
    return decimal(cell, 6)


def defect(cell: str) -> str:
    """Return a defect's name: kind, elements, and a running number for interstitials."""
    if not re.fullmatch(
        r"Vacancy|Vacancy_[A-Z]\w?|Anti_Site(_[A-Z][a-z]?){2}|Interstitial_[A-Z][a-z]?_\d", cell
    ):
        raise ValueError(f"{cell!r} is not a defect")
    return cell


def read_defects(lines: Sequence[Line]) -> list[Cells]:
    """Read Deng's defects: a cell ``Failed`` becomes an empty one with a note."""

    def read(cells: Cells) -> Cells:
        name, kind, *values, dft = expect(cells, 6)
        failed = [model for model, cell in zip(DENG_MODELS, values, strict=True) if cell == "Failed"]
        numbers = ["" if cell == "Failed" else six(cell) for cell in values]
        return [formula(name), defect(kind), *numbers, six(dft), "; ".join(f"{m}: Failed" for m in failed)]

    return read_each(lines, read)


def read_loew_models(lines: Sequence[Line]) -> list[Cells]:
    """Read Loew's models: the sources of one model stand on three lines, the name on the middle one."""

    def fields(cells: Cells) -> Cells:
        name, training, source, weights = expect(cells, 4)
        whole = [amount(training), plain(source), amount(weights)] if name else ["", plain(source), ""]
        return [name, *whole]

    rows: list[Cells] = []
    before = ""
    for row in read_each(lines, fields):
        if row[0]:
            rows.append([*row[:2], f"{before} {row[2]}".strip(), row[3]])
            before = ""
        elif rows and rows[-1][2].endswith(","):
            rows[-1][2] += f" {row[2]}"
        else:
            before = row[2]
    if before or any(row[2].endswith(",") for row in rows):
        raise SourceError(
            f"line {lines[-1].number}: a data source without its model; mend the text or the reader"
        )
    return rows


def read_pes_errors(lines: Sequence[Line]) -> list[Cells]:
    """Read MatterSim-MT's S3: three lines (energy, force, stress) a test set, one column a model."""
    models = S3_MODELS
    values = [line for line in lines if not re.fullmatch(r"<b>.*</b>", line.cells[0]) or any(line.cells[1:])]

    def read(cells: Cells) -> Cells:
        name, quantity, *numbers = expect(cells, len(models) + 2)
        return [name, plain(quantity), *(number(cell) for cell in numbers)]

    read_lines = read_each(values, read)
    rows: list[Cells] = []
    for start in range(0, len(read_lines), 3):
        group = read_lines[start : start + 3]
        if [(bool(row[0]), row[1]) for row in group] != [
            (True, "Energy"),
            (False, "Force"),
            (False, "Stress"),
        ]:
            raise SourceError(
                f"line {values[start].number}: not a test set's Energy, Force and Stress; mend the text"
            )
        rows += [[group[0][0], model, *(row[2 + i] for row in group)] for i, model in enumerate(models)]
    return rows


def read_phonon_errors(lines: Sequence[Line]) -> list[Cells]:
    """Read MatterSim-MT's S4: one line a quantity, one column a model; returns one row a model."""
    models = S4_MODELS

    def read(cells: Cells) -> Cells:
        return [plain(cells[0]), *(number(cell) for cell in expect(cells, len(models) + 1)[1:])]

    rows = read_each(lines, read)
    found = [row[0].split(" (")[0] for row in rows]
    if found != ["Max phonon frequency", "Phonon group velocity", r"$\Delta\Delta G$ vs DFT"]:
        raise SourceError(
            f"line {lines[0].number}: S4 lists other quantities: {found}; mend the text or the reader"
        )
    return [[model, *(row[1 + i] for row in rows)] for i, model in enumerate(models)]


def read_materials(lines: Sequence[Line]) -> list[Cells]:
    """Read MatterSim-MT's S5: four pairs of id and formula a line, the last line shorter."""

    def read(cells: Cells) -> Cells:
        kinds = (mp_id, formula) * 4
        return [kind(cell) for kind, cell in zip(kinds, expect(cells, 8), strict=True) if cell]

    flat = [cell for row in read_each(lines, read) for cell in row]
    return [list(pair) for pair in zip(flat[::2], flat[1::2], strict=True)]


SIC_QUANTITIES = {
    "$a$ (Å)": "lattice_constant_ang",
    r"$Z_{\text{Si}}^*$ (a.u.)": "born_charge_si_e",
    r"$\varepsilon_\infty$": "dielectric_constant",
    r"$\omega_{\text{LO}}(\Gamma)$ (THz)": "lo_frequency_thz",
    r"$\omega_{\text{TO}}(\Gamma)$ (THz)": "to_frequency_thz",
    "LO–TO splitting (THz)": "lo_to_splitting_thz",
}


def read_sic(lines: Sequence[Line]) -> list[Cells]:
    """Read MatterSim-MT's S7: a cell may hold several values, ``4.385 (PBE)[38], 4.38 (PBE)[39]``."""

    def read(cells: Cells) -> Cells:
        title, *origins = expect(cells, 4)
        if title not in SIC_QUANTITIES:
            raise ValueError(f"{title!r} is not a quantity of this table")
        flat: Cells = []
        for origin, cell in zip(("mattersim-mt", "theory", "experiment"), origins, strict=True):
            for part in cell.split(", "):
                match = re.fullmatch(r"(\d+\.\d+)(?: ?\((\w+)\))?(?:\[(\d+)\])?", part)
                if not match:
                    raise ValueError(f"{part!r} is not a value with functional and reference")
                flat += [SIC_QUANTITIES[title], origin, match[2] or "", match[3] or "", match[1]]
        return flat

    flat = [cell for row in read_each(lines, read) for cell in row]
    return [flat[i : i + 5] for i in range(0, len(flat), 5)]


def hyperparameter(cell: str) -> str:
    """Return a name or value of S8 without LaTeX and without the number of a reference."""
    return re.sub(r"[$\\]|\[\d+\]$", "", plain(cell))


def read_diffusion(lines: Sequence[Line]) -> list[Cells]:
    """Read MatterSim-MT's S9: a value, a value with its uncertainty, or a range."""

    def read(cells: Cells) -> Cells:
        kind, value, source = expect(cells, 3)
        match = re.fullmatch(r"\$?(\d\.\d{3})(?:(\\pm|\\sim) (\d\.\d{3}))?\$?", value)
        if not match:
            raise ValueError(f"{value!r} is not a diffusion coefficient")
        low, sign, other = match.groups()
        high, uncertainty = (other if sign == r"\sim" else low), (other if sign == r"\pm" else "")
        return [plain(kind), low, high, uncertainty, re.sub(r"</?b>|[\[\]]", "", plain(source))]

    return read_each(lines, read)
