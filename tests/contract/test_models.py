"""What every model must do, whatever its family. A model of the registry is under contract by being in it.

A family whose weights cannot be had everywhere is under contract by a tiny model too: one line in tiny.TINY.
Only the models whose package this environment has are tested; the families' environments run the same file.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from ase import Atoms, units

from pesbench.errors import ConformanceError, PesbenchError
from pesbench.models.calculator import ElementError, Evaluation, Loaded, NonFiniteError, PesCalculator
from pesbench.models.conformance import check, load_structures, require
from pesbench.models.loaders import Model, _flushed, load_model, set_threads
from pesbench.models.registry import SYMMETRIES, ModelEntry, load_registry
from pesbench.naming import weights

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = load_registry(ROOT / "data/models.yaml")
STRUCTURES = load_structures(ROOT / "data/conformance/structures.json")
# Finite-difference steps and what they leave, by precision. In float32 a smaller step drowns in rounding;
# a larger one steps over the sharp turns of a model at the almost straight angles of a molecule.
SHIFT_ANG = {"float64": 1e-3, "float32": 3e-3}
STRAIN = {"float64": 2e-4, "float32": 4e-3}
FORCE_EV_PER_ANG = {"float64": 1e-5, "float32": 5e-3}
STRESS_EV_PER_ANG3 = {"float64": 1e-5, "float32": 5e-4}
ROUNDING = {"float64": 1e-9, "float32": 2e-4}
# matgl 1 mixes up the bonds in its three-body terms (see load_matgl): the order of the atoms matters, if little.
ORDER_MATTERS = {"m3gnet-matgl-pes": 1e-3, "m3gnet-matgl-direct": 1e-3}
# matgl 1's CHGNet puts its smoothing polynomial on the radial basis' value, not on the distance: the slope of the
# energy jumps where a neighbor crosses the cutoff, and a difference across the jump is no derivative.
SLOPE_JUMPS_EV_PER_ANG3 = dict.fromkeys(
    ("chgnet-matgl-11m", "tiny-chgnet-matgl", "tiny-chgnet-matgl-older"), 8e-3
)


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module", params=[*REGISTRY.models, *tiny.TINY])
def entry(
    request: pytest.FixtureRequest,
    monkeypatch_module: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> ModelEntry:
    """A model of the registry or a tiny one, and its weights below the working directory."""
    name = request.param
    family = REGISTRY.families[tiny.TINY[name].family] if name in tiny.TINY else REGISTRY.get(name).family
    if not tiny.installed(family.package):
        pytest.skip(f"{family.package} is not installed here: environment '{family.environment}' tests it")
    if name in tiny.TINY:
        folder = tmp_path_factory.mktemp(name)
        monkeypatch_module.chdir(folder)
        return tiny.make(name, folder)
    checkpoint = REGISTRY.get(name).checkpoint
    if checkpoint.where == "fetched" and not (checkpoint.pinned and (ROOT / weights(name)).is_file()):
        pytest.skip("its weights are not here: `make weights` fetches them")
    if REGISTRY.get(name).conformance is None:
        pytest.skip("what it must give is not pinned yet: scripts/pin_conformance.py")
    monkeypatch_module.chdir(ROOT)
    return REGISTRY.get(name)


@pytest.fixture(scope="module")
def model(entry: ModelEntry) -> Model:
    set_threads(1)
    return load_model(entry)


@pytest.fixture(params=["Cu", "CO2", "AuCu_strained"])
def atoms(request: pytest.FixtureRequest, model: Model) -> Atoms:
    structure = STRUCTURES[request.param].copy()
    structure.calc = model.calculator
    return structure


def results(model: Model, atoms: Atoms) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy, forces and the stress tensor of one structure."""
    work = atoms.copy()
    work.calc = model.calculator
    return work.get_potential_energy(), work.get_forces(), work.get_stress(voigt=False)


def distribution(entry: ModelEntry) -> str:
    """The name under which pip knows the family's package."""
    return importlib.metadata.packages_distributions()[entry.family.package.partition(".")[0]][0]


def derivative(energy, step: float) -> float:
    """Fourth-order central difference."""
    return (8 * (energy(step) - energy(-step)) - (energy(2 * step) - energy(-2 * step))) / (12 * step)


def test_conformance(model: Model, entry: ModelEntry) -> None:
    require(check(model, entry, STRUCTURES))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda e: {"stress_ev_per_ang3": e.stress_ev_per_ang3 / units.GPa}, "GPa and eV/A^3 mixed up"),
        (lambda e: {"stress_ev_per_ang3": -e.stress_ev_per_ang3}, "wrong sign"),
        (lambda e: {"forces_ev_per_ang": -e.forces_ev_per_ang}, "wrong sign"),
        (lambda e: {"energy_ev": e.energy_ev + 0.1}, "energy_ev_per_atom"),
    ],
    ids=["gpa", "stress sign", "force sign", "energy offset"],
)
def test_wrong_model_of_another_version_is_refused(
    wrong: Callable[[Evaluation], dict], said: str, model: Model, entry: ModelEntry
) -> None:
    def evaluate(atoms: Atoms) -> Evaluation:
        right = Evaluation(*results(model, atoms))
        return dataclasses.replace(right, **wrong(right))

    package = distribution(entry)
    planted = dataclasses.replace(
        model,
        versions={**model.versions, package: "0.0.1"},
        calculator=PesCalculator(model.name, evaluate, model.elements),
    )
    with pytest.raises(ConformanceError, match=f"{model.name} must not run: ") as caught:
        require(check(planted, entry, STRUCTURES))
    assert said in str(caught.value) and f"{package} 0.0.1 instead of " in str(caught.value)


def test_model_is_not_flat(model: Model, atoms: Atoms) -> None:
    """What follows would hold for a model that always answers zero."""
    _, forces, stress = results(model, atoms)
    assert np.abs(forces).max() > 0.05 and np.abs(stress).max() > 1e-3


def test_input_is_left_alone(model: Model, atoms: Atoms) -> None:
    atoms.info["note"], before = "kept", atoms.copy()
    atoms.get_potential_energy()
    assert atoms == before
    assert atoms.info == {"note": "kept"}
    assert set(atoms.arrays) == set(before.arrays)


def test_shapes_and_types(model: Model, atoms: Atoms) -> None:
    energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    assert isinstance(energy, float)
    assert forces.shape == (len(atoms), 3) and forces.dtype == np.float64
    assert stress.shape == (6,) and stress.dtype == np.float64


def test_one_evaluation_gives_everything(model: Model, atoms: Atoms) -> None:
    model.calculator.reset()
    before = model.evaluations
    atoms.get_stress(), atoms.get_forces(), atoms.get_potential_energy()
    assert model.evaluations == before + 1


def test_forces_are_minus_the_gradient(model: Model, atoms: Atoms, entry: ModelEntry) -> None:
    if not entry.forces_are_gradients:
        pytest.skip("the registry says that its forces are no gradients")
    forces = atoms.get_forces()
    for component in range(3):

        def energy(shift: float, component: int = component) -> float:
            moved = atoms.copy()
            moved.positions[1, component] += shift
            return results(model, moved)[0]

        expected = -derivative(energy, SHIFT_ANG[model.dtype])
        assert forces[1, component] == pytest.approx(expected, abs=FORCE_EV_PER_ANG[model.dtype], rel=2e-3)


@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)])
def test_stress_is_the_strain_derivative(
    model: Model, atoms: Atoms, entry: ModelEntry, i: int, j: int
) -> None:
    if not entry.forces_are_gradients:
        pytest.skip("the registry says that its forces, and so its stress, are no gradients")

    def energy(size: float) -> float:
        strain = np.zeros((3, 3))
        strain[i, j] += size / 2
        strain[j, i] += size / 2
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        return results(model, strained)[0]

    expected = derivative(energy, STRAIN[model.dtype]) / atoms.get_volume()
    stress = atoms.get_stress(voigt=False)[i, j]
    allowed = SLOPE_JUMPS_EV_PER_ANG3.get(model.name, STRESS_EV_PER_ANG3[model.dtype])
    assert stress == pytest.approx(expected, abs=allowed, rel=2e-3)


CHANGES = [name for name in SYMMETRIES if name != "net_force"]


def changed(atoms: Atoms, symmetry: str) -> Atoms:
    """The same structure in other words."""
    if symmetry == "supercell":
        return atoms.repeat((1, 2, 1))
    if symmetry == "permutation":
        return atoms[np.random.default_rng(0).permutation(len(atoms))]
    same = atoms.copy()
    if symmetry == "rotation":
        same.rotate(37.0, (1, 2, 3), rotate_cell=True)
    else:
        same.positions += [1.3, -0.7, 0.4]
        same.positions[0] += same.cell[1] - 2 * same.cell[2]
    return same


def expected(model: Model, atoms: Atoms, symmetry: str) -> tuple[float, np.ndarray, np.ndarray]:
    """What the changed structure must have, from the results of the structure itself."""
    energy, forces, stress = results(model, atoms)
    if symmetry == "supercell":
        return 2 * energy, np.tile(forces, (2, 1)), stress
    if symmetry == "permutation":
        return energy, forces[np.random.default_rng(0).permutation(len(atoms))], stress
    if symmetry == "rotation":
        turn = np.linalg.solve(atoms.cell.array, changed(atoms, symmetry).cell.array)
        return energy, forces @ turn, turn.T @ stress @ turn
    return energy, forces, stress


def test_forces_add_up_to_zero(model: Model, atoms: Atoms, entry: ModelEntry) -> None:
    net = np.abs(atoms.get_forces().sum(axis=0)).max()
    if "net_force" in entry.broken_symmetries:
        assert net > 100 * ROUNDING[model.dtype], "they do: correct broken_symmetries in the registry"
    else:
        assert net < 10 * ROUNDING[model.dtype]


@pytest.mark.parametrize("symmetry", CHANGES)
def test_symmetry(model: Model, atoms: Atoms, entry: ModelEntry, symmetry: str) -> None:
    if symmetry in entry.broken_symmetries:
        pytest.skip("the registry says that this model does not have it")
    allowed = ROUNDING[model.dtype]
    if symmetry in ("permutation", "supercell"):
        allowed = ORDER_MATTERS.get(model.name, allowed)
    for found, wanted in zip(
        results(model, changed(atoms, symmetry)), expected(model, atoms, symmetry), strict=True
    ):
        np.testing.assert_allclose(found, wanted, atol=allowed)


@pytest.mark.parametrize("symmetry", CHANGES)
def test_symmetry_that_the_registry_gives_up_is_broken(
    model: Model, entry: ModelEntry, symmetry: str
) -> None:
    if symmetry not in entry.broken_symmetries:
        pytest.skip("the registry says that this model has it")
    off_by = [
        np.abs(np.subtract(found, wanted)).max()
        for atoms in (STRUCTURES[name] for name in ("Cu", "CO2", "AuCu_strained"))
        for found, wanted in zip(
            results(model, changed(atoms, symmetry)), expected(model, atoms, symmetry), strict=True
        )
    ]
    assert max(off_by) > ROUNDING[model.dtype], "correct broken_symmetries in the registry"


def test_many_at_once_are_as_one_by_one(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    if not model.calculator.batch_atoms:
        pytest.skip("this family evaluates one by one")
    monkeypatch.setattr(model.calculator, "batch_atoms", 1000)  # all of them in one batch
    some = [atoms for atoms in STRUCTURES.values() if set(atoms.get_chemical_symbols()) <= model.elements]
    for found, atoms in zip(model.calculator.evaluations_of(some), some, strict=True):
        energy, forces, stress = results(model, atoms)
        assert found.energy_ev == pytest.approx(energy, abs=1e-5)
        np.testing.assert_allclose(found.forces_ev_per_ang, forces, atol=1e-4)
        np.testing.assert_allclose(found.stress_ev_per_ang3, stress, atol=1e-5)


def test_same_input_same_bits(model: Model, atoms: Atoms, entry: ModelEntry) -> None:
    first = results(model, atoms)
    results(model, STRUCTURES["Pt_slab"])
    model.calculator.reset()
    again = results(model, atoms)
    fresh = results(load_model(entry), atoms)
    for one, two, three in zip(first, again, fresh, strict=True):
        assert np.asarray(one).tobytes() == np.asarray(two).tobytes() == np.asarray(three).tobytes()


def test_numbers_below_the_smallest_float_are_zero_for_the_network_alone() -> None:
    """They cost a processor a hundred times as much; what comes after the model has all of its float64."""
    torch = pytest.importorskip("torch")
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor cannot be told")
    seen = []

    def tiny_product(_: Any) -> Any:
        seen.append(float(torch.tensor(1e-30) * torch.tensor(1e-10)))
        if len(seen) == 2:
            raise RuntimeError("out of memory")
        return seen[-1]

    flushed = _flushed(Loaded(tiny_product, frozenset(), 0))
    assert flushed.evaluate(None) == 0.0
    with pytest.raises(RuntimeError, match="out of memory"):
        flushed.evaluate(None)
    assert flushed.evaluate_many is None
    assert tiny_product(None) == pytest.approx(1e-40, rel=1e-4)


def test_one_atom_cell(model: Model) -> None:
    energy, forces, _ = results(
        model, Atoms("Cu", cell=[[0, 1.8, 1.8], [1.8, 0, 1.8], [1.8, 1.8, 0]], pbc=True)
    )
    assert np.isfinite(energy)
    np.testing.assert_allclose(forces, 0, atol=ROUNDING[model.dtype])


def test_isolated_atom_gives_a_number_or_one_message(model: Model) -> None:
    lonely = Atoms("Cu", cell=[20, 20, 20], pbc=True)
    try:
        energy, forces, _ = results(model, lonely)
    except PesbenchError as error:
        assert model.name in str(error) and "Cu" in str(error)
    else:
        assert np.isfinite(energy) and not forces.any()


@pytest.mark.parametrize("element", ["Po", "Lr"])
def test_unknown_element_is_named(model: Model, element: str) -> None:
    with pytest.raises(ElementError, match=rf"{model.name} does not know {element} "):
        results(model, Atoms(["Cu", element], positions=[[0, 0, 0], [0, 0, 2.5]], cell=[4, 4, 5], pbc=True))


def test_bad_positions_are_refused(model: Model, atoms: Atoms) -> None:
    atoms.positions[0, 0] = np.nan
    with pytest.raises(NonFiniteError, match="not finite"):
        atoms.get_forces()


def test_atoms_on_top_of_each_other_give_no_silent_nan(model: Model, atoms: Atoms) -> None:
    atoms.positions[1] = atoms.positions[0]
    try:
        assert np.isfinite(atoms.get_forces()).all()
    except PesbenchError as error:
        assert model.name in str(error)


def test_model_says_where_it_comes_from(model: Model, entry: ModelEntry) -> None:
    assert model.parameters == entry.parameters
    assert model.checkpoint_sha256 == entry.checkpoint_sha256
    assert {"ase", "numpy", distribution(entry)} <= set(model.versions)
