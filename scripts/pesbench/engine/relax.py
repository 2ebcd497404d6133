"""Relax one structure with one model: as the papers do (`relax`), a crystal in few evaluations (`relax_crystal`)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from ase import Atoms, units
from ase.constraints import FixSymmetry
from ase.filters import ExpCellFilter, Filter, FrechetCellFilter
from ase.neighborlist import natural_cutoffs, neighbor_list
from ase.optimize import BFGS, FIRE, LBFGS
from ase.optimize.cellawarebfgs import CellAwareBFGS
from ase.spacegroup.symmetrize import check_symmetry

from pesbench.failures import Failure

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator
    from numpy.typing import NDArray

OPTIMIZERS = {"FIRE": FIRE, "BFGS": BFGS, "LBFGS": LBFGS}
RELAXATION = "relaxation"
# First guess of the Hessian: the lattice as an isotropic solid, each atom on a spring. Fewest evaluations over
# 21 materials with CHGNet; softer or stiffer by a third costs up to a tenth more, springs of 70 (ASE's) half more.
BULK_MODULUS_GPA = 100.0
SPRING_EV_PER_ANG2 = 10.0
# Largest step of an atom (angstrom) and of the lattice (strain): FixSymmetry warns above a strain of 0.15.
MAX_STEP = 0.12
# Steps without a lower force after which a relaxation that has converged stops looking for the tighter goal.
PATIENCE = 15
ASK_EVERY = 10
MAX_VOLUME_RATIO = 2.0
# Two atoms closer than this share of the sum of their covalent radii have fused.
FUSED = 0.5


class _Once(Filter):
    """Forces computed once a geometry: optimizers ask up to three times, a matrix logarithm each time."""

    _known: tuple[Any, NDArray[np.float64]] | None = None

    def get_forces(self, **options: Any) -> NDArray[np.float64]:
        """Return the generalized forces (n_atoms + 3, 3), as ASE's filter does."""
        where = (self.atoms.positions.tobytes(), self.atoms.cell.array.tobytes(), options)
        if self._known is None or self._known[0] != where:
            self._known = where, super().get_forces(**options)
        return self._known[1].copy()


class OnceFilter(_Once, FrechetCellFilter):
    """ASE's filter, its forces computed once a geometry."""


class OnceExpFilter(_Once, ExpCellFilter):
    """ASE's older filter, which weighs the whole cell's virial like the force on one atom."""

    def __init__(self, atoms: Atoms) -> None:
        with warnings.catch_warnings():
            # ASE advises against it. It is what ASE had when the papers' relaxations were run.
            warnings.simplefilter("ignore", DeprecationWarning)
            super().__init__(atoms)


CELL_FILTERS = {"Frechet": OnceFilter, "Exp": OnceExpFilter}


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
    keep_symmetry: bool = True,
    cell_filter: Literal["Frechet", "Exp"] = "Frechet",
    arrived: Callable[[Atoms], bool] | None = None,
) -> Relaxation:
    """Relax positions, and with ``relax_cell`` the cell too, then by default the space group kept.

    The cell relaxes by ASE's Frechet filter, or by the one before it, whose generalized forces meet the same threshold
    as the atoms. The input is left as it is.

    Parameters
    ----------
    arrived
        Asked about every tenth geometry, which has its calculator: whether the relaxation may end there. That counts
        as converged.

    Raises
    ------
    pesbench.models.loaders.NonFiniteError
        When the model returns a NaN or an infinity.
    """
    work = atoms.copy()
    work.calc = calculator
    if relax_cell and keep_symmetry:
        work.set_constraint(FixSymmetry(work, symprec=1e-3))
    target = CELL_FILTERS[cell_filter](work) if relax_cell else work
    before = getattr(calculator, "evaluations", 0)
    dynamics = OPTIMIZERS[optimizer](target, logfile=None)
    converged = False
    for below in dynamics.irun(fmax=fmax_ev_per_ang, steps=max_steps):
        converged = bool(below)
        if arrived is not None and not converged and dynamics.nsteps % ASK_EVERY == 0 and arrived(work):
            converged = True
            break
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


@dataclass(frozen=True)
class CrystalRelaxation(Relaxation):
    """Where the relaxation of a crystal ended.

    Attributes
    ----------
    generalized_fmax_ev_per_ang
        What the threshold applies to: the largest force on an atom or, if larger, the longest row of the virial
        (volume times stress, in eV a unit strain) divided by the number of atoms; both symmetrized. That is what
        ASE's Frechet filter shows an optimizer at its reference geometry, and a larger cell has the same.
    n_atoms_primitive
        Atoms of the cell that was relaxed.
    space_group_start, space_group
        Numbers of the space groups before and after, found with the same tolerance.
    """

    generalized_fmax_ev_per_ang: float
    n_atoms_primitive: int
    space_group_start: int
    space_group: int


@dataclass(frozen=True)
class _Primitive:
    """A primitive cell and how the unit cell is made of it, in integers, so that nothing is lost on the way back."""

    atoms: Atoms
    unit_atoms: Atoms
    space_group: int
    index: NDArray[np.int64]  # (n,) atom of the primitive cell that each atom of the unit cell is a copy of
    shift: NDArray[np.int64]  # (n, 3) by how many primitive lattice vectors the copy is displaced
    multiple: NDArray[np.int64]  # (3, 3) unit cell in primitive lattice vectors

    @classmethod
    def of(cls, atoms: Atoms, symprec_ang: float) -> _Primitive:
        dataset = check_symmetry(atoms, symprec_ang)
        lattice = dataset.primitive_lattice
        inverse = np.linalg.inv(lattice)
        _, first, index = np.unique(dataset.mapping_to_primitive, return_index=True, return_inverse=True)
        positions = atoms.positions[first]
        shift = np.rint((atoms.positions - positions[index]) @ inverse).astype(np.int64)
        multiple = np.rint(atoms.cell.array @ inverse).astype(np.int64)
        primitive = Atoms(numbers=atoms.numbers[first], positions=positions, cell=lattice, pbc=True)
        return cls(primitive, atoms, int(dataset.number), index, shift, multiple)

    def unit_cell(self, relaxed: Atoms) -> Atoms:
        """Return the unit cell, its atoms in their order, of a primitive cell that has changed."""
        unit = self.unit_atoms.copy()
        unit.set_constraint()
        unit.set_cell(self.multiple @ relaxed.cell.array)
        unit.positions = relaxed.positions[self.index] + self.shift @ relaxed.cell.array
        return unit


@dataclass(frozen=True)
class _Point:
    """One evaluated geometry of the primitive cell; forces and stress as the model gave them."""

    atoms: Atoms
    step: int
    generalized_fmax_ev_per_ang: float
    energy_ev: float
    forces_ev_per_ang: NDArray[np.float64]
    stress_ev_per_ang3: NDArray[np.float64]


def relax_crystal(
    atoms: Atoms,
    calculator: Calculator,
    *,
    fmax_ev_per_ang: float = 0.005,
    goal_ev_per_ang: float = 1e-4,
    max_steps: int = 500,
    symprec_ang: float = 1e-3,
) -> CrystalRelaxation:
    """Relax cell and positions of a crystal, the space group kept, in as few evaluations as will do.

    The primitive cell is relaxed and the unit cell put together from it again. The optimizer is ASE's BFGS with a
    guess of the elastic tensor, on symmetrized forces; the input is left as it is.

    Parameters
    ----------
    fmax_ev_per_ang
        Generalized force (see `CrystalRelaxation`) below which the relaxation counts as converged.
    goal_ev_per_ang
        Generalized force that it goes on for. A model in single precision may never reach it: a relaxation that has
        converged ends with its best geometry when fifteen steps on end brought nothing better.
    symprec_ang
        Tolerance of the search for the space group, which is enforced exactly.

    Raises
    ------
    pesbench.failures.Failure
        When the crystal explodes, collapses or its atoms fuse on the way.
    """
    primitive = _Primitive.of(atoms, symprec_ang)
    work = primitive.atoms.copy()
    work.calc = calculator
    work.set_constraint(FixSymmetry(work, symprec=symprec_ang))
    before = getattr(calculator, "evaluations", 0)
    best, steps = _descend(work, fmax_ev_per_ang, goal_ev_per_ang, max_steps)
    return CrystalRelaxation(
        atoms=primitive.unit_cell(best.atoms),
        energy_ev=best.energy_ev * len(atoms) / len(work),
        fmax_ev_per_ang=float(np.linalg.norm(best.forces_ev_per_ang, axis=1).max()),
        max_stress_gpa=float(np.abs(best.stress_ev_per_ang3).max() / units.GPa),
        steps=steps,
        evaluations=getattr(calculator, "evaluations", 0) - before,
        converged=bool(best.generalized_fmax_ev_per_ang < max(fmax_ev_per_ang, goal_ev_per_ang)),
        generalized_fmax_ev_per_ang=best.generalized_fmax_ev_per_ang,
        n_atoms_primitive=len(work),
        space_group_start=primitive.space_group,
        space_group=int(check_symmetry(best.atoms, symprec_ang).number),
    )


class _Descent(CellAwareBFGS):
    """ASE's optimizer without its own criterion and log, which ask for all forces again at every step."""

    def gradient_converged(self, gradient: NDArray[np.float64]) -> bool:
        return False

    def log(self, gradient: NDArray[np.float64]) -> None:
        pass


def _descend(work: Atoms, fmax: float, goal: float, max_steps: int) -> tuple[_Point, int]:
    """Return the best geometry on the way down, and the steps made."""
    target = OnceFilter(work, exp_cell_factor=1.0)
    optimizer = _Descent(
        target,  # type: ignore[arg-type]
        logfile=None,  # type: ignore[arg-type]
        maxstep=MAX_STEP,
        alpha=SPRING_EV_PER_ANG2,
        bulk_modulus=BULK_MODULUS_GPA * units.GPa,
    )
    start_ang3 = work.get_volume()
    best = None
    for _ in optimizer.irun(steps=max_steps):
        _check_sound(work, start_ang3, optimizer.nsteps)
        point = _point(work, optimizer.nsteps)
        if best is None or point.generalized_fmax_ev_per_ang < best.generalized_fmax_ev_per_ang:
            best = point
        stalled = point.step - best.step >= PATIENCE and best.generalized_fmax_ev_per_ang < fmax
        if stalled or best.generalized_fmax_ev_per_ang < goal:
            break
    assert best is not None  # the start itself is the first point
    return best, int(optimizer.nsteps)


def _point(work: Atoms, step: int) -> _Point:
    virial = work.get_volume() * work.get_stress(voigt=False)
    rows = np.vstack([work.get_forces(), virial / len(work)])
    still = work.copy()
    still.set_constraint()
    return _Point(
        atoms=still,
        step=step,
        generalized_fmax_ev_per_ang=float(np.linalg.norm(rows, axis=1).max()),
        energy_ev=float(work.get_potential_energy()),
        forces_ev_per_ang=work.get_forces(apply_constraint=False),
        stress_ev_per_ang3=work.get_stress(apply_constraint=False),
    )


def _check_sound(work: Atoms, start_ang3: float, step: int) -> None:
    """Stop a relaxation that has left physics."""
    ratio = work.get_volume() / start_ang3
    if not 1.0 / MAX_VOLUME_RATIO < ratio < MAX_VOLUME_RATIO:
        raise Failure(RELAXATION, f"after {step} steps the volume is {ratio:.2f} times that of the start")
    first, second, distance = neighbor_list("ijd", work, natural_cutoffs(work, mult=FUSED))
    if distance.size:
        closest = distance.argmin()
        names = f"{work.symbols[first[closest]]} and {work.symbols[second[closest]]}"
        raise Failure(
            RELAXATION, f"after {step} steps {names} are {distance[closest]:.2f} A apart: atoms fused"
        )
