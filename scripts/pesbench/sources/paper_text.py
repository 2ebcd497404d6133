"""Read cells and tables of machine-read papers: every cell is either understood or refused, never guessed."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pesbench.errors import SourceError

Cells = list[str]

SYMBOLS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br
Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho
Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu
"""
ELEMENTS = frozenset(SYMBOLS.split())
DASHES = ("–", "—", "-", "−")
MARKUP = re.compile(r"</?(?:sub|chem|b)>|\\text|[${}\s_]")
SUFFIXES = {"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000}


@dataclass(frozen=True)
class Line:
    """One line of a table with its number in the file (from 1)."""

    number: int
    cells: Cells


def formula(cell: str) -> str:
    """Return a chemical formula without its markup (``<sub>``, ``<chem>``, LaTeX), digits as printed."""
    plain = MARKUP.sub("", cell)
    symbols = re.findall(r"[A-Z][a-z]?", plain)
    well_formed = re.fullmatch(r"(?:[A-Z][a-z]?\d*|\((?:[A-Z][a-z]?\d*)+\)\d*)+", plain)
    unknown = sorted(set(symbols) - ELEMENTS)
    if not well_formed or unknown:
        raise ValueError(f"{cell!r} is not a formula" + (f" (no element {unknown[0]})" if unknown else ""))
    return plain


def mp_id(cell: str) -> str:
    """Return a Materials Project id."""
    if not re.fullmatch(r"mp-[1-9]\d*", cell.strip()):
        raise ValueError(f"{cell!r} is not a Materials Project id")
    return cell.strip()


def miller(cell: str) -> str:
    """Return a Miller index as JSON, ``[2, 1, -2]``."""
    if not re.fullmatch(r"\[-?\d, -?\d, -?\d\]", cell.strip()):
        raise ValueError(f"{cell!r} is not a Miller index of three digits")
    return json.dumps(json.loads(cell))


def number(cell: str) -> str:
    """Return a number, digits as printed; bold and ``a x 10^b`` are understood, a lone dash is empty."""
    plain = re.sub(r"</?b>", "", cell).strip()
    if plain in DASHES:
        return ""
    power = re.fullmatch(r"\$(-?\d+(?:\.\d+)?) \\times 10\^(?:\{(\d+)\}|(\d))\$", plain)
    if power:
        return f"{power[1]}e{power[2] or power[3]}"
    if not re.fullmatch(r"-?\d+(?:\.\d+)?", plain):
        raise ValueError(f"{cell!r} is not a number")
    return plain


def decimal(cell: str, places: int) -> str:
    """Return a number that must have exactly so many decimals: a lost or added digit is caught."""
    if not re.fullmatch(rf"-?\d+\.\d{{{places}}}", cell.strip()):
        raise ValueError(f"{cell!r} is not a number with {places} decimals")
    return cell.strip()


def amount(cell: str) -> str:
    """Return ``188 k``, ``1.58M`` or ``227.5K`` as a whole number."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kKM]?)", cell.strip())
    if not match:
        raise ValueError(f"{cell!r} is not an amount such as 188 k or 1.58M")
    value = float(match[1]) * SUFFIXES[match[2]]
    return str(round(value))


def plain(cell: str) -> str:
    """Return a text cell, which must not be empty."""
    if not cell.strip():
        raise ValueError("the cell is empty")
    return cell.strip()


def find_lines(text: str, after: str, header: Sequence[str]) -> list[Line]:
    """Return the lines below a header, over page breaks, up to the first other line that has no tab.

    Parameters
    ----------
    text
        The paper. Cells are separated by tabs.
    after
        Text that stands before the table, to tell two tables with one header apart; may be empty.
    header
        The header line or lines, exactly.

    Raises
    ------
    ValueError
        When the header is not there.
    """
    start = text.find(after)
    position = text.find("\n".join(header) + "\n", max(start, 0))
    if start < 0 or position < 0:
        raise ValueError(f"no table with the header {header[0]!r}" + (f" after {after!r}" if after else ""))
    first = text.count("\n", 0, position) + len(header)
    lines = []
    for index, line in enumerate(text.split("\n")[first:], start=first + 1):
        if "\t" in line:
            lines.append(Line(index, line.split("\t")))
        elif line.strip():
            break
    return lines


def read_each(lines: Sequence[Line], read: Callable[[Cells], Cells]) -> list[Cells]:
    """Apply ``read`` to the cells of every line.

    Raises
    ------
    SourceError
        For the first line that cannot be read, with its number and the cell.
    """
    rows = []
    for line in lines:
        try:
            rows.append(read(line.cells))
        except ValueError as error:
            raise SourceError(f"line {line.number}: {error}; mend the text or the reader") from error
    return rows


def expect(cells: Cells, count: int) -> Cells:
    """Return the cells when there are exactly ``count``."""
    if len(cells) != count:
        raise ValueError(f"{len(cells)} cells instead of {count}: {cells}")
    return cells
