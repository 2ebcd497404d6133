"""Relaxation of crystals: the physics must not depend on the cell, the optimizer or the size of the cell."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import spglib
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import ExpCellFilter, Filter, FrechetCellFilter
from ase.optimize import FIRE
from ase.spacegroup import crystal

from pesbench.engine.relax import CELL_FILTERS, relax, relax_crystal
from pesbench.failures import Failure
from pesbench.models.calculator import Evaluation, PesCalculator
from pesbench.models.loaders import load_model
from pesbench.models.registry import load_registry

REGISTRY = Path(__file__).parents[2] / "data" / "models.yaml"
ANG = 1e-4  # a generalized force of 1e-4 eV/A leaves lengths within this in metals
EV = 1e-6
LOOSE, GOAL = 0.005, 1e-4


def emt() -> PesCalculator:
    """Return effective medium theory as the engine sees it, counted from zero."""
    return load_model(load_registry(REGISTRY).get("emt")).calculator


def gold_copper() -> Atoms:
    """MoSi2's structure type: a shape of the cell and one internal coordinate, two primitive cells."""
    return crystal(
        ["Cu", "Au"],
        [(0, 0, 0), (0, 0, 0.345)],
        spacegroup=139,
        cellpar=[2.72, 2.72, 8.3, 90, 90, 90],
    )


def alloy() -> Atoms:
    """A cell without any symmetry."""
    atoms = bulk("Cu", "fcc", 3.8, cubic=True)
    atoms.symbols = ["Cu", "Au", "Ag", "Pd"]
    atoms.rattle(0.08, seed=3)
    atoms.set_cell(
        atoms.cell.array @ [[1.01, 0.02, 0.0], [0.0, 0.98, 0.0], [0.0, 0.01, 1.015]], scale_atoms=True
    )
    return atoms


def group(atoms: Atoms, symprec_ang: float = 1e-5) -> int:
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    return int(spglib.get_symmetry_dataset(cell, symprec=symprec_ang).number)


def toy(evaluate: Callable[[Atoms], Evaluation]) -> PesCalculator:
    return PesCalculator("toy", evaluate, frozenset({"Cu", "Au"}))


# ------------------------------------------------------------------ the cell does not matter


@pytest.mark.parametrize("repeat", [(1, 1, 1), (2, 1, 1), (2, 2, 2)])
def test_every_cell_of_copper_gives_emt_s_lattice_constant(repeat: tuple[int, int, int]) -> None:
    """By the minimum of the energy over the lattice constant, found without an optimizer."""
    constants = np.linspace(3.57, 3.61, 9)
    energies = []
    for constant in constants:
        cell = bulk("Cu", "fcc", constant)
        cell.calc = EMT()
        energies.append(cell.get_potential_energy())
    fit = np.polynomial.Polynomial.fit(constants, energies, 4)
    expected = next(root.real for root in fit.deriv().roots() if 3.57 < root.real < 3.61)
    end = relax_crystal(bulk("Cu", "fcc", 3.9, cubic=True) * repeat, emt())
    assert end.atoms.cell.lengths() / repeat == pytest.approx([expected] * 3, abs=ANG)
    assert end.energy_ev / len(end.atoms) == pytest.approx(fit(expected), abs=EV)
    assert end.n_atoms_primitive == 1 and end.converged


def test_primitive_and_conventional_cell_end_alike() -> None:
    conventional = gold_copper()
    cell = (conventional.cell.array, conventional.get_scaled_positions(), conventional.numbers)
    lattice, scaled, numbers = spglib.find_primitive(cell)
    primitive = Atoms(numbers=numbers, scaled_positions=scaled, cell=lattice, pbc=True)
    one, two = relax_crystal(conventional, emt()), relax_crystal(primitive, emt())
    assert (len(one.atoms), len(two.atoms), one.n_atoms_primitive) == (6, 3, 3)
    assert one.energy_ev / 6 == pytest.approx(two.energy_ev / 3, abs=EV)
    assert one.atoms.get_volume() / 6 == pytest.approx(two.atoms.get_volume() / 3, rel=1e-5)
    assert one.evaluations == two.evaluations


def test_what_it_returns_is_the_relaxed_cell_in_the_order_of_the_input() -> None:
    """Each atom has moved little, and the unit cell keeps its centering exactly."""
    start = gold_copper()
    kept = start.copy()
    end = relax_crystal(start, emt()).atoms
    assert np.array_equal(start.positions, kept.positions) and np.array_equal(start.cell, kept.cell)
    assert end.get_chemical_symbols() == start.get_chemical_symbols()
    assert not end.constraints and end.calc is None
    assert np.abs(end.get_scaled_positions() - start.get_scaled_positions()).max() < 0.05
    shifted = (end.get_scaled_positions() + 0.5) % 1.0
    for position in shifted:
        away = end.get_scaled_positions() - position
        assert np.abs(away - np.rint(away)).max(axis=1).min() < 1e-12


# ------------------------------------------------------------------ what "converged" means


@pytest.mark.parametrize("start", [gold_copper, alloy])
def test_forces_and_virial_of_the_result_meet_the_goal(start: Callable[[], Atoms]) -> None:
    """Asked anew of EMT for the whole unit cell, without symmetrization."""
    end = relax_crystal(start(), emt())
    atoms = end.atoms.copy()
    atoms.calc = EMT()
    forces = np.linalg.norm(atoms.get_forces(), axis=1).max()
    virial = atoms.get_stress(voigt=False) * atoms.get_volume() / len(atoms)
    assert forces < GOAL and np.linalg.norm(virial, axis=1).max() < GOAL
    assert end.fmax_ev_per_ang == pytest.approx(forces, abs=1e-9)
    assert end.max_stress_gpa == pytest.approx(np.abs(atoms.get_stress()).max() / units.GPa, abs=1e-7)
    assert end.energy_ev == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
    rows = FrechetCellFilter(atoms).get_forces()
    assert end.generalized_fmax_ev_per_ang == pytest.approx(np.linalg.norm(rows, axis=1).max(), abs=1e-8)


@pytest.mark.parametrize("start", [gold_copper, alloy])
def test_ends_where_fire_ends_with_fewer_evaluations(start: Callable[[], Atoms]) -> None:
    """FIRE with the Frechet filter, run to the same threshold; and as loosely as published, it still takes longer."""
    end = relax_crystal(start(), emt())
    fire = relax(start(), emt(), fmax_ev_per_ang=GOAL, max_steps=2000, relax_cell=True)
    loose = relax(start(), emt(), fmax_ev_per_ang=LOOSE, max_steps=2000, relax_cell=True)
    assert fire.converged and end.converged
    assert end.energy_ev / len(end.atoms) == pytest.approx(fire.energy_ev / len(end.atoms), abs=EV)
    assert end.atoms.cell.cellpar() == pytest.approx(fire.atoms.cell.cellpar(), abs=10 * ANG)
    assert end.evaluations < loose.evaluations < fire.evaluations
    assert end.evaluations == end.steps + 1


def test_few_steps_are_recorded_as_not_converged() -> None:
    end = relax_crystal(alloy(), emt(), max_steps=2)
    assert not end.converged and end.steps == 2
    assert end.generalized_fmax_ev_per_ang > LOOSE


def test_noise_ends_a_relaxation_at_its_best_geometry() -> None:
    """A model in single precision never reaches the goal; what is below the threshold has converged all the same."""
    exact, noise = emt(), np.random.default_rng(0)

    def evaluate(atoms: Atoms) -> Evaluation:
        exact.calculate(atoms, ["energy", "forces", "stress"])
        forces = exact.results["forces"] + noise.normal(0.0, 4e-4, (len(atoms), 3))
        stress = exact.results["stress"][[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
        return Evaluation(exact.results["energy"], forces, stress)

    end = relax_crystal(alloy(), PesCalculator("noisy", evaluate, exact.elements))
    assert end.converged and GOAL < end.generalized_fmax_ev_per_ang < LOOSE
    assert end.steps < 100
    clean = relax_crystal(alloy(), emt())
    assert end.energy_ev == pytest.approx(clean.energy_ev, abs=1e-3)


# ------------------------------------------------------------------ symmetry


def test_space_group_is_kept_to_the_last_digit() -> None:
    """A start that has its symmetry only to 1e-4 angstrom ends with it exactly."""
    start = gold_copper()
    start.rattle(1e-4, seed=1)
    assert group(start, 1e-6) != 139
    end = relax_crystal(start, emt())
    assert end.space_group_start == end.space_group == 139
    assert group(end.atoms, 1e-6) == 139


def test_crystal_that_gains_symmetry_says_so() -> None:
    """Stretched copper goes back to face-centered cubic."""
    start = bulk("Cu", "fcc", 3.6, cubic=True)
    start.set_cell([3.6, 3.6, 3.75], scale_atoms=True)
    end = relax_crystal(start, emt())
    assert (end.space_group_start, end.space_group) == (139, 225)


# ------------------------------------------------------------------ relaxations that leave physics


def test_explosion_stops_early() -> None:
    def evaluate(atoms: Atoms) -> Evaluation:
        pressure = 0.5  # eV/A^3, outward at every volume
        return Evaluation(-pressure * atoms.get_volume(), np.zeros((len(atoms), 3)), -pressure * np.eye(3))

    calculator = toy(evaluate)
    with pytest.raises(
        Failure, match=r"after \d+ steps the volume is 2\.\d+ times that of the start"
    ) as caught:
        relax_crystal(bulk("Cu", cubic=True), calculator)
    assert caught.value.status == "failed" and caught.value.stage == "relaxation"
    assert calculator.evaluations < 10


def test_fused_atoms_stop_it() -> None:
    """Two atoms that attract each other at any distance."""

    def evaluate(atoms: Atoms) -> Evaluation:
        bond = atoms.positions[1] - atoms.positions[0]
        pull = 2.0 * bond / np.linalg.norm(bond)
        return Evaluation(2.0 * float(np.linalg.norm(bond)), np.array([pull, -pull]), np.zeros((3, 3)))

    atoms = Atoms("CuAu", positions=[(0, 0, 0), (0.3, 0.5, 2.4)], cell=[4.0, 4.2, 6.0], pbc=True)
    calculator = toy(evaluate)
    with pytest.raises(
        Failure, match=r"after \d+ steps (Cu and Au|Au and Cu) are 1\.\d+ A apart: atoms fused"
    ):
        relax_crystal(atoms, calculator)
    assert calculator.evaluations < 30


@pytest.mark.parametrize(("name", "original"), [("Frechet", FrechetCellFilter), ("Exp", ExpCellFilter)])
@pytest.mark.filterwarnings("ignore:Use FrechetCellFilter:DeprecationWarning")
def test_the_filter_asks_once_a_geometry_and_changes_no_bit(
    name: str, original: type[Filter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is ASE's own, to the last bit, with a third of the logarithms."""
    asked = []
    forces = original.get_forces
    monkeypatch.setattr(
        original, "get_forces", lambda self, **options: asked.append(1) or forces(self, **options)
    )

    def path(kind: type[Filter]) -> tuple[bytes, bytes, int]:
        atoms = alloy()
        atoms.calc = EMT()
        asked.clear()
        FIRE(kind(atoms), logfile=None).run(fmax=1e-4, steps=60)
        return atoms.positions.tobytes(), atoms.cell.array.tobytes(), len(asked)

    plain, once = path(original), path(CELL_FILTERS[name])
    assert plain[:2] == once[:2]
    assert once[2] <= 61 < plain[2]


def test_the_two_cell_filters_go_different_ways_to_one_minimum() -> None:
    """The papers' older filter weighs the whole cell's virial; both end where forces and stress vanish."""
    ends, halfway = {}, {}
    for name in ("Frechet", "Exp"):
        run = partial(relax, alloy(), EMT(), relax_cell=True, keep_symmetry=False, cell_filter=name)
        halfway[name] = run(fmax_ev_per_ang=1e-4, max_steps=15).atoms.get_volume()
        ends[name] = run(fmax_ev_per_ang=1e-4, max_steps=1000)
        assert ends[name].converged and ends[name].max_stress_gpa < 0.01
    assert halfway["Frechet"] != pytest.approx(halfway["Exp"], rel=1e-4)
    assert ends["Frechet"].energy_ev == pytest.approx(ends["Exp"].energy_ev, abs=1e-5)
    assert ends["Frechet"].atoms.get_volume() == pytest.approx(ends["Exp"].atoms.get_volume(), rel=1e-4)
