"""Effective temperature of a labelled frame (MatterSim-MT, section S3.1, Fig. S6).

``(e - e0) / k_B``, with e the model's potential energy per atom and e0 that of the positions relaxed in the fixed cell
(at most 500 steps, 0.01 eV/A). This is no temperature: a classical harmonic crystal at T has 3/2 T (1 - 1/N) of it.
What T that would be is given beside it.

ASSUME: the paper leaves open which optimizer it used (here FIRE), what becomes of frames that do not meet the threshold
(here told apart: their e0 is too high, their temperature a lower bound), and whether its axis is a pressure or the size
of a stress, of the labels or of the model (here a third of the stress's trace, negative, of the labels).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pesbench.failures import Failure, stage

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

    from pesbench.sources.frames import Frame

PROTOCOL = 1
MANIFEST = "data/manifests/high_energy.csv"


@dataclass(frozen=True)
class Settings:
    """The paper's relaxation."""

    fmax_ev_per_ang: float = 0.01
    max_steps: int = 500
    optimizer: str = "FIRE"


def whole_sets(path: Path) -> dict[str, dict[str, str]]:
    """Return the lines of the manifest that are whole files, by the name of the set."""
    with open(path, encoding="utf-8") as handle:
        lines = csv.DictReader(line for line in handle if not line.startswith("#"))
        return {line["set"]: line for line in lines if not line["part"]}


def frame_ids(path: Path, name: str, most: int) -> list[str]:
    """Return ids of a set's frames, ``<set>-<number>`` counted from 0; ``most`` of them evenly spaced, 0: all."""
    count = int(whole_sets(path)[name]["n_frames"])
    kept = min(most or count, count)
    chosen = [i * (count - 1) // max(1, kept - 1) for i in range(kept)]
    return [f"{name}-{number:05d}" for number in chosen]


def costs(path: Path) -> dict[str, float]:
    """Return nothing: every frame counts the same."""
    return {}


def tasks(path: Path) -> dict[str, dict[str, Any]]:
    """Return which frame of its file each id is, and what its labels were calculated with."""
    return {
        name: {"frame": int(name.rsplit("-", 1)[1]), "level_of_theory": line["level_of_theory"]}
        for set_name, line in whole_sets(path).items()
        for name in frame_ids(path, set_name, 0)
    }


@lru_cache(maxsize=2)
def _frames(path: Path, level_of_theory: str) -> list[Frame]:
    from pesbench.sources.labelled import read_labels

    return read_labels(path, level_of_theory, repeats_allowed=True)


def run(
    structure: Path, task: Mapping[str, Any], calculator: Calculator, settings: Settings
) -> dict[str, Any]:
    """Relax one frame in its own cell.

    Parameters
    ----------
    structure
        File of labelled frames.
    task
        ``frame``, the number of the one to relax, and ``level_of_theory`` of its labels.

    Returns
    -------
    dict
        Energies per atom, effective temperature, the temperature of a harmonic crystal with that potential energy (None
        for a single atom), pressure. ``status`` is ``not_converged`` where forces stayed above the threshold.

    Raises
    ------
    pesbench.failures.Failure
        The set has no such frame, or the model cannot evaluate it.
    """
    from pesbench.engine.relax import relax

    with stage("labels"):
        frames = _frames(structure, task["level_of_theory"])
        if task["frame"] >= len(frames):
            raise Failure("labels", f"{structure}: has {len(frames)} frames, no number {task['frame']}")
        frame = frames[task["frame"]]
    atoms = frame.atoms.copy()
    with stage("evaluation"):
        atoms.calc = calculator
        start_ev = float(atoms.get_potential_energy())
    with stage("relaxation"):
        end = relax(
            frame.atoms,
            calculator,
            fmax_ev_per_ang=settings.fmax_ev_per_ang,
            max_steps=settings.max_steps,
            optimizer=settings.optimizer,
        )
    return _values(frame, start_ev, end.energy_ev, end.steps, end.fmax_ev_per_ang) | (
        {}
        if end.converged
        else {"status": "not_converged", "message": f"forces up to {end.fmax_ev_per_ang:.3g} eV/A"}
    )


def _values(frame: Frame, start_ev: float, end_ev: float, steps: int, fmax: float) -> dict[str, Any]:
    from ase import units

    count, stress = len(frame.atoms), frame.stress_ev_per_ang3
    kelvin = (start_ev - end_ev) / count / units.kB
    return {
        "frame": frame.id,
        "material": frame.material,
        "n_atoms": count,
        "level_of_theory": frame.level_of_theory,
        "energy_ev_per_atom": start_ev / count,
        "relaxed_energy_ev_per_atom": end_ev / count,
        "effective_temperature_kelvin": kelvin,
        # Potential energy of a classical harmonic crystal: k_B T / 2 for each of its 3 N - 3 vibrations.
        "harmonic_temperature_kelvin": kelvin * 2 * count / (3 * count - 3) if count > 1 else None,
        "pressure_gpa": None if stress is None else -float(stress[:3].mean()) / units.GPa,
        "steps": steps,
        "fmax_ev_per_ang": fmax,
    }
