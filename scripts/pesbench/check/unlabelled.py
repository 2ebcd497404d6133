"""Without labels: how far models disagree with each other, and which states are worth a label."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pesbench.check.score import Answer
from pesbench.check.verdict import LEAST_CORRELATION
from pesbench.correction import typical
from pesbench.dft.gpaw import MOMENTS, needs_hubbard
from pesbench.dft.vasp import write_deck
from pesbench.engine.predictions import Predictions
from pesbench.errors import PesbenchError
from pesbench.files import write_atomic
from pesbench.softening import correlation, slope

if TYPE_CHECKING:
    from ase import Atoms

    from pesbench.check.request import Request
    from pesbench.dft.settings import DftSettings

#: Labels that a first correction is judged by: fewer give no interval.
WANTED = 5


@dataclass(frozen=True)
class Choice:
    """One state that is worth a label.

    Attributes
    ----------
    why
        In words.
    rms_ev_per_ang
        Root mean square force component, mean of the models.
    spread_ev_per_ang
        Root mean square deviation of the models from their mean; NaN with one model.
    """

    frame: str
    why: str
    n_atoms: int
    rms_ev_per_ang: float
    spread_ev_per_ang: float


def common(answers: Sequence[Answer]) -> dict[str, Predictions]:
    """Return the answers of the models for the frames that all of them finished.

    Raises
    ------
    PesbenchError
        No model finished a frame, or they have none in common.
    """
    found = {a.model: a.predictions for a in answers if a.predictions is not None}
    if not found:
        raise PesbenchError(f"no model finished any frame; {answers[0].model}: {answers[0].message}")
    shared = set.intersection(*(set(map(str, p.ids)) for p in found.values()))
    if not shared:
        raise PesbenchError(
            f"{', '.join(found)} have no frame in common that they finished; leave one out with MODEL"
        )
    return {m: p.take(np.flatnonzero([str(i) in shared for i in p.ids])) for m, p in found.items()}


def pairs_table(found: Mapping[str, Predictions]) -> pd.DataFrame:
    """Return one line a pair of models: slope of the one's forces against the other's, and how far they are apart."""
    rows = []
    for one, other in combinations(found, 2):
        y, x = (found[m].forces_ev_per_ang.ravel() for m in (one, other))
        rows.append(
            {
                "model": one,
                "against": other,
                "slope": slope(y, x),
                "correlation": correlation(y, x),
                "mean_difference_ev_per_ang": float(np.abs(y - x).mean()),
                "n_frames": len(found[one].ids),
                "n_components": len(y),
            }
        )
    names = [
        "model",
        "against",
        "slope",
        "correlation",
        "mean_difference_ev_per_ang",
        "n_frames",
        "n_components",
    ]
    return pd.DataFrame(rows, columns=names)


def spreads(found: Mapping[str, Predictions]) -> tuple[np.ndarray, np.ndarray]:
    """Return root mean square force and spread of the models (eV/A) of each frame, shapes (f,)."""
    first = next(iter(found.values()))
    forces = np.array([p.forces_ev_per_ang for p in found.values()])
    mean, apart = forces.mean(axis=0), forces.std(axis=0, ddof=1) if len(forces) > 1 else np.nan * forces[0]
    size = [float(np.sqrt((part**2).mean())) for part in first.split(mean)]
    spread = [float(np.sqrt((part**2).mean())) for part in first.split(apart)]
    return np.array(size), np.array(spread)


def choose(found: Mapping[str, Predictions], count: int = WANTED) -> list[Choice]:
    """Choose the states to label: one of typical forces, then where the models disagree most, relaxed to large forces.

    The first is the one that a one-label correction is fitted on best. With one model the others are spread over the
    sizes of the forces, for what softness depends on is the force.
    """
    first = next(iter(found.values()))
    size, spread = spreads(found)
    mean = np.mean([p.forces_ev_per_ang for p in found.values()], axis=0)
    [best] = typical(first.split(mean))
    ranked = np.argsort(-spread if len(found) > 1 else -size, kind="stable")
    if len(found) == 1:
        ranked = ranked[ranked != best]
        ranked = ranked[np.linspace(0, len(ranked) - 1, min(count - 1, len(ranked))).round().astype(int)]
    order = [best, *(int(i) for i in ranked if i != best)][:count]
    told = "the models disagree most here" if len(found) > 1 else "forces of another size"
    return [
        Choice(
            str(first.ids[i]),
            "typical forces: the best single label" if i == best else told,
            int(first.n_atoms[i]),
            float(size[i]),
            float(spread[i]),
        )
        for i in order
    ]


def write_to_label(
    folder: Path, frames: Mapping[str, Atoms], choices: Sequence[Choice], settings: DftSettings, name: str
) -> list[str]:
    """Write the chosen states: extended XYZ, a deck for VASP each, a script for GPAW; return what was refused."""
    from ase.io import write

    folder.mkdir(parents=True, exist_ok=True)
    text, refused = io.StringIO(), []
    for choice in choices:
        atoms = frames[choice.frame].copy()
        atoms.info = {"frame_id": choice.frame, "material": name}
        write(text, atoms, format="extxyz", columns=["symbols", "positions"])
        try:
            write_deck(atoms, settings, folder / "vasp" / choice.frame)
        except (ValueError, KeyError) as error:
            refused.append(f"{choice.frame}: no deck for VASP ({' '.join(str(error).split())[:120]})")
    write_atomic(folder / "to_label.extxyz", text.getvalue())
    if not needs_hubbard(frames[choices[0].frame].get_chemical_symbols()):
        write_atomic(folder / "label_with_gpaw.py", GPAW.format(moments=MOMENTS, **asdict(settings)))
    return refused


GPAW = '''"""Label to_label.extxyz with GPAW (PBE), going on where it was stopped: python label_with_gpaw.py"""

import math
from pathlib import Path

import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from gpaw import GPAW, PW, FermiDirac

MOMENTS = {moments}
output = Path("labelled.extxyz")
done = {{atoms.info["frame_id"] for atoms in read(output, ":")}} if output.exists() else set()
for atoms in read("to_label.extxyz", ":"):
    if atoms.info["frame_id"] in done:
        continue
    lengths = 2 * math.pi * np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    mesh = [max(1, math.ceil(length / {kpoint_spacing_per_ang} - 1e-9)) for length in lengths]
    work = atoms.copy()
    work.set_initial_magnetic_moments([MOMENTS.get(symbol, 0.0) for symbol in work.symbols])
    work.calc = GPAW(
        mode=PW({cutoff_ev}),
        xc="PBE",
        kpts={{"size": mesh, "gamma": True}},
        occupations=FermiDirac({smearing_ev}),
        convergence={{"forces": {force_change_ev_per_ang}}},
        maxiter={max_scf_steps},
        symmetry={{"point_group": False}},
        txt=atoms.info["frame_id"] + ".txt",
    )
    energy, forces, stress = work.get_potential_energy(), work.get_forces(), work.get_stress()
    atoms.info["level_of_theory"] = "PBE (GPAW)"
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=stress)
    write(output, atoms, format="extxyz", append=True)
'''


def neighbours(elements: Sequence[str], table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return measured slopes of other materials for the elements at hand, where forces follow DFT's at all.

    Parameters
    ----------
    table
        ``results/tables/high_energy_softening.csv``, or ``data/slopes_by_element.csv``.
    """
    chosen = table["group"].isin(list(elements)) & (table["correlation"] >= LEAST_CORRELATION)
    if "grouping" in table:
        chosen &= (table["grouping"] == "element") & (table["status"] == "ok")
    rows = table[chosen]
    names = [
        "group",
        "set",
        "model",
        "n_frames",
        "slope",
        "slope_low",
        "slope_high",
        "labels_level_of_theory",
    ]
    return [
        {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in line.items()
        }
        for line in rows[names].sort_values(["group", "model", "set"]).to_dict("records")
    ]


def as_json(
    request: Request, found: Mapping[str, Predictions], choices: Sequence[Choice], **more: Any
) -> str:
    """Return the comparison with the request it answers, as JSON."""
    size, spread = spreads(found)
    first = next(iter(found.values()))
    data = {
        "request": asdict(request),
        "models": list(found),
        "n_frames": len(first.ids),
        "frames": [
            {"frame": str(i), "rms_ev_per_ang": s, "spread_ev_per_ang": None if math.isnan(d) else d}
            for i, s, d in zip(first.ids, size.tolist(), spread.tolist(), strict=True)
        ],
        "to_label": [
            {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(c).items()}
            for c in choices
        ],
        **more,
    }
    return json.dumps(data, indent=1) + "\n"
