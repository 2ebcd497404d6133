"""What phonons cost, and the plain way to them for comparison: what a user writes with ASE and phonopy in an hour."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from phonopy import Phonopy

from pesbench.engine.phonons import band_path, to_ase, to_phonopy
from pesbench.engine.relax import relax

if TYPE_CHECKING:
    from pesbench.models.calculator import PesCalculator
    from pesbench.sources.phonon_files import PhononFile

FMAX_EV_PER_ANG = 0.005
TITLES = ("relax", "CPU s", "in model", "change")


@dataclass(frozen=True)
class Cost:
    """What one material took: evaluations of its relaxation, CPU seconds, wall seconds in all and in the model."""

    evaluations: int
    cpu_seconds: float
    wall_seconds: float
    model_seconds: float
    max_frequency_thz: float


def measure(calculator: PesCalculator, work: Callable[[], tuple[int, float]]) -> Cost:
    """Return what ``work`` takes; it gives back the evaluations of its relaxation and its largest frequency (THz)."""
    inside, wall, cpu = calculator.seconds, time.monotonic(), time.process_time()
    evaluations, largest_thz = work()
    return Cost(
        evaluations=evaluations,
        cpu_seconds=time.process_time() - cpu,
        wall_seconds=time.monotonic() - wall,
        model_seconds=calculator.seconds - inside,
        max_frequency_thz=largest_thz,
    )


def plain(file: PhononFile, calculator: PesCalculator, mesh: int) -> tuple[int, float]:
    """Relax the unit cell by FIRE, then call phonopy's methods one after the other, for the outputs of a record.

    Returns
    -------
    tuple
        Evaluations of the relaxation, largest frequency on the band path (THz).
    """
    start = to_ase(file.unitcell)
    relaxed = relax(start, calculator, fmax_ev_per_ang=FMAX_EV_PER_ANG, max_steps=500, relax_cell=True)
    phonon = Phonopy(to_phonopy(relaxed.atoms), file.supercell_matrix, file.primitive_matrix)
    phonon.generate_displacements(distance=0.01)
    forces = []
    for supercell in phonon.supercells_with_displacements or ():
        atoms = to_ase(supercell)
        atoms.calc = calculator
        forces.append(atoms.get_forces())
    phonon.forces = forces
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    path = band_path(file.unitcell, file.primitive_matrix)
    phonon.run_band_structure(path.qpoints, with_group_velocities=True)
    frequencies = phonon.get_band_structure_dict()["frequencies"] or ()
    phonon.run_mesh([mesh] * 3, is_gamma_center=True)
    phonon.run_total_dos()
    phonon.run_thermal_properties(temperatures=[300.0], exclude_gamma_acoustic=True)
    return relaxed.evaluations, max(float(np.max(part)) for part in frequencies)


def head() -> str:
    """Return the titles of `row`."""
    columns = "{:>6} {:>7} {:>9} {:>8}".format(*TITLES)
    return f"{'':<11}|{'this engine':^33} |{'plain loop':^33}\n{'material':<11}|{columns} |{columns}"


def row(name: str, costs: Sequence[Cost], converged_thz: Sequence[float]) -> str:
    """Return one line: this engine's cost and the plain loop's, summed where there are several.

    Parameters
    ----------
    costs
        In turn this engine's and the plain loop's.
    converged_thz
        Largest frequency of each material when its relaxation goes on as far as it will.
    """
    parts = []
    for which in (0, 1):
        mine = costs[which::2]
        wall, model = sum(c.wall_seconds for c in mine), sum(c.model_seconds for c in mine)
        changes = [c.max_frequency_thz / t - 1 for c, t in zip(mine, converged_thz, strict=True)]
        evaluations, seconds = sum(c.evaluations for c in mine), sum(c.cpu_seconds for c in mine)
        parts.append(f"{evaluations:>6} {seconds:>7.1f} {model / wall:>9.0%} {max(changes, key=abs):>8.2%}")
    return f"{name:<11}|{' |'.join(parts)}"
