"""How soft a model is on labelled frames: the slope of its force components against DFT's, through the origin."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.io import iread
from pymatgen.core import Composition

from pesbench.files import write_atomic
from pesbench.softening import slope, slope_interval

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator


@dataclass(frozen=True)
class Slope:
    """One material; a slope below 1 is a soft model. Its bounds are a bootstrap 95 % interval, atoms being drawn."""

    material: str
    formula: str
    frames: int
    components: int
    slope: float
    slope_low: float
    slope_high: float
    mae_ev_per_ang: float
    largest_ev_per_ang: float
    level_of_theory: str


def slopes(calculator: Calculator, files: Iterable[Path]) -> list[Slope]:
    """Return one row a file of labelled frames (extended XYZ, one material each); a file without frames gives none."""
    rows = []
    for path in files:
        if not path.stat().st_size:
            continue
        images = list(iread(path, ":", format="extxyz"))
        dft = np.concatenate([atoms.get_forces().ravel() for atoms in images])
        own = np.concatenate([calculator.get_forces(_bare(atoms)).ravel() for atoms in images])
        info = images[0].info
        # Two or four frames are too few to be drawn themselves.
        low, high = slope_interval(own, dft, np.repeat(np.arange(len(dft) // 3), 3), seed=0)
        rows.append(
            Slope(
                material=info["material"],
                formula=Composition(images[0].get_chemical_formula()).reduced_formula,
                frames=len(images),
                components=len(dft),
                slope=slope(own, dft),
                slope_low=low,
                slope_high=high,
                mae_ev_per_ang=float(np.abs(own - dft).mean()),
                largest_ev_per_ang=float(np.abs(dft).max()),
                level_of_theory=info["level_of_theory"],
            )
        )
    return rows


def _bare(atoms: Atoms) -> Atoms:
    copy = atoms.copy()
    copy.calc = None
    return copy


def write_csv(path: Path, rows: Iterable[Slope], model: str) -> None:
    """Write the table; one row a material."""
    text = io.StringIO()
    table = csv.DictWriter(text, ["model", *(f.name for f in fields(Slope))], lineterminator="\n")
    table.writeheader()
    for row in rows:
        numbers = {k: f"{v:.6f}" if isinstance(v, float) else v for k, v in asdict(row).items()}
        table.writerow({"model": model, **numbers})
    write_atomic(path, text.getvalue())


def as_text(rows: Iterable[Slope], model: str) -> str:
    """Return the table for a terminal."""
    lines = [f"{model}: slope of force components against DFT, through the origin"]
    for r in rows:
        lines.append(
            f"{r.material:<12} {r.formula:<8} {r.frames:>3} frames  slope {r.slope:.3f} "
            f"({r.slope_low:.3f} to {r.slope_high:.3f})  MAE {r.mae_ev_per_ang:.3f} eV/A  {r.level_of_theory}"
        )
    return "\n".join(lines)
