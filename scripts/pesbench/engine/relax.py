"""Relax one structure with one model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase import units
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE, LBFGS

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

OPTIMIZERS = {"FIRE": FIRE, "BFGS": BFGS, "LBFGS": LBFGS}


@dataclass(frozen=True)
class Relaxation:
    """Where a relaxation ended.

    Attributes
    ----------
    atoms
        Final structure, without calculator and constraints.
    energy_ev
        Potential energy of the whole cell.
    fmax_ev_per_ang
        Largest force on an atom.
    max_stress_gpa
        Largest absolute component of the stress; NaN where the cell was fixed.
    steps, evaluations
        Optimizer steps, and energies and forces asked of the model.
    converged
        Whether the threshold was met within the allowed steps.
    """

    atoms: Atoms
    energy_ev: float
    fmax_ev_per_ang: float
    max_stress_gpa: float
    steps: int
    evaluations: int
    converged: bool


def relax(
    atoms: Atoms,
    calculator: Calculator,
    *,
    fmax_ev_per_ang: float,
    max_steps: int,
    optimizer: str = "FIRE",
    relax_cell: bool = False,
) -> Relaxation:
    """Relax positions, and with ``relax_cell`` the cell too, the space group kept.

    The cell relaxes by ASE's Frechet filter, whose generalized forces meet the same threshold as the atoms.
    The input is left as it is.

    Raises
    ------
    pesbench.models.loaders.NonFiniteError
        When the model returns a NaN or an infinity.
    """
    work = atoms.copy()
    work.calc = calculator
    if relax_cell:
        work.set_constraint(FixSymmetry(work, symprec=1e-3))
    target = FrechetCellFilter(work) if relax_cell else work
    before = getattr(calculator, "evaluations", 0)
    dynamics = OPTIMIZERS[optimizer](target, logfile=None)
    converged = bool(dynamics.run(fmax=fmax_ev_per_ang, steps=max_steps))
    energy_ev = float(work.get_potential_energy())
    forces = work.get_forces(apply_constraint=False)
    stress_gpa = (
        float(np.abs(work.get_stress(apply_constraint=False)).max() / units.GPa)
        if relax_cell
        else float("nan")
    )
    evaluations = getattr(calculator, "evaluations", 0) - before
    final = work.copy()
    final.set_constraint()
    return Relaxation(
        atoms=final,
        energy_ev=energy_ev,
        fmax_ev_per_ang=float(np.linalg.norm(forces, axis=1).max()),
        max_stress_gpa=stress_gpa,
        steps=int(dynamics.nsteps),
        evaluations=evaluations,
        converged=converged,
    )
