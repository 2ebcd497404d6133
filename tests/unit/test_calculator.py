"""Many structures at once: batches by their atoms, halved when memory is short, the same results in the same order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from pesbench.engine.evaluate import forces_of
from pesbench.errors import PesbenchError
from pesbench.models.calculator import ElementError, Evaluation, NonFiniteError, PesCalculator


def emt(atoms: Atoms) -> Evaluation:
    work = atoms.copy()
    work.calc = EMT()
    return Evaluation(work.get_potential_energy(), work.get_forces(), work.get_stress(voigt=False))


class Memory:
    """EMT on many structures, on a device that holds a number of atoms; it keeps what it was asked."""

    def __init__(self, atoms: int, error: str = "CUDA out of memory. Tried to allocate 2 GiB") -> None:
        self.atoms, self.error, self.asked = atoms, error, list[int]()

    def __call__(self, many: Sequence[Atoms]) -> list[Evaluation]:
        self.asked.append(len(many))
        if sum(map(len, many)) > self.atoms:
            raise RuntimeError(self.error)
        return [emt(atoms) for atoms in many]


def rattled(copies: int, size: int = 2) -> list[Atoms]:
    """Copper cells, no two alike."""
    cells = [bulk("Cu").repeat((size, 1, 1)) for _ in range(copies)]
    for seed, atoms in enumerate(cells):
        atoms.rattle(0.05, seed=seed)
    return cells


def calculator(memory: Memory, batch_atoms: int) -> PesCalculator:
    model = PesCalculator("model", emt, frozenset({"Cu", "Au"}), memory)
    model.batch_atoms = batch_atoms
    return model


@pytest.mark.parametrize(
    ("batch_atoms", "asked"), [(1, [1] * 7), (4, [2, 2, 2, 1]), (7, [3, 3, 1]), (99, [7])]
)
def test_a_batch_has_as_many_structures_as_its_atoms_allow(batch_atoms: int, asked: list[int]) -> None:
    memory, cells = Memory(10**6), rattled(7)
    model = calculator(memory, batch_atoms)
    for found, atoms in zip(model.evaluations_of(cells), cells, strict=True):
        np.testing.assert_array_equal(found.forces_ev_per_ang, emt(atoms).forces_ev_per_ang)
    assert memory.asked == asked and model.evaluations == 7


def test_short_memory_halves_the_batches_for_good_and_loses_nothing() -> None:
    memory, cells = Memory(atoms=5), rattled(16)
    model = calculator(memory, 16)
    energies = [found.energy_ev for found in model.evaluations_of(cells)]
    assert energies == [emt(atoms).energy_ev for atoms in cells]
    assert model.evaluations == 16 and model.batch_atoms <= 5
    assert memory.asked[:3] == [8, 4, 2], "8 structures of 2 atoms, then their halves"
    assert memory.asked.count(8) == 1, "the limit is remembered"


def test_each_attempt_after_the_first_halves_the_batches() -> None:
    memory = Memory(10**6)
    model = calculator(memory, 16)
    model.halve_batches(0)
    assert len(list(model.evaluations_of(rattled(16)))) == 16 and memory.asked == [8, 8]
    model.halve_batches(2)
    assert len(list(model.evaluations_of(rattled(3)))) == 3 and memory.asked[2:] == [2, 1]
    model.halve_batches(9)
    assert len(list(model.evaluations_of(rattled(2)))) == 2 and memory.asked[4:] == [1, 1]


def test_one_structure_that_does_not_fit_is_the_machine_s_failure() -> None:
    model = calculator(Memory(atoms=1), 16)
    with pytest.raises(RuntimeError, match="out of memory"):
        list(model.evaluations_of(rattled(3)))


def test_another_error_is_not_taken_for_short_memory() -> None:
    memory = Memory(atoms=1, error="shapes do not match")
    with pytest.raises(RuntimeError, match="shapes"):
        list(calculator(memory, 16).evaluations_of(rattled(4)))
    assert memory.asked == [4]


def test_what_cannot_be_is_refused_before_and_after_the_model() -> None:
    def nan(many: Sequence[Atoms]) -> list[Evaluation]:
        found = [emt(atoms) for atoms in many]
        found[1].forces_ev_per_ang[0, 0] = np.nan
        return found

    model = PesCalculator("model", emt, frozenset({"Cu"}), nan)
    with pytest.raises(NonFiniteError, match="model: forces of Cu, 2 atoms is not finite"):
        list(model.evaluations_of(rattled(2)))
    with pytest.raises(ElementError, match="model does not know Au"):
        list(model.evaluations_of([*rattled(1), bulk("Au")]))


def test_an_error_of_the_model_names_the_model() -> None:
    def refuse(many: Sequence[Atoms]) -> list[Evaluation]:
        raise PesbenchError("no")

    with pytest.raises(PesbenchError, match="model: no"):
        list(PesCalculator("model", emt, frozenset({"Cu"}), refuse).evaluations_of(rattled(2)))


def test_any_ase_calculator_gives_its_forces_too() -> None:
    cells = rattled(3)
    for found, atoms in zip(forces_of(EMT(), (a.copy() for a in cells)), cells, strict=True):
        np.testing.assert_allclose(found, emt(atoms).forces_ev_per_ang, atol=1e-12)
