"""The one-label correction: exact on a softened EMT, consistent as a calculator, right about formation energies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from pesbench.correction import (
    CorrectedCalculator,
    Correction,
    CorrectionError,
    Phase,
    factor,
    fit,
    load,
    reference_ev,
    typical,
)


class SoftEMT(EMT):
    """EMT whose whole potential energy surface is k times as steep."""

    def __init__(self, k: float) -> None:
        super().__init__()
        self.k = k

    def calculate(self, *arguments, **named) -> None:
        super().calculate(*arguments, **named)
        self.results = {name: self.k * value for name, value in self.results.items()}


def alloy(seed: int = 0, rattle: float = 0.1) -> Atoms:
    """A rattled, sheared cell of CuAu, 8 atoms."""
    atoms = bulk("Cu", "fcc", a=3.85, cubic=True) * (2, 1, 1)
    atoms.symbols[[0, 2, 5, 7]] = "Au"
    atoms.rattle(rattle, seed=seed)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * np.tri(3, k=-1)), scale_atoms=True)
    return atoms


def forces(atoms: Atoms, calculator) -> np.ndarray:
    atoms = atoms.copy()
    atoms.calc = calculator
    return atoms.get_forces()


@pytest.mark.parametrize("k", [0.4, 0.75, 1.0, 1.3])
@pytest.mark.parametrize("method", ["least_squares", "slope"])
def test_one_label_of_a_k_times_softened_emt_gives_one_over_k(k: float, method: str) -> None:
    label = alloy()
    found = fit([forces(label, SoftEMT(k))], [forces(label, EMT())], method)
    assert found.c == pytest.approx(1 / k, rel=1e-12)
    assert (found.c_low, found.c_high) == (pytest.approx(1 / k), pytest.approx(1 / k))
    assert (found.n_labels, found.n_components) == (1, 24)
    other = alloy(seed=5, rattle=0.2)
    assert forces(other, found.wrap(SoftEMT(k))) == pytest.approx(forces(other, EMT()), abs=1e-12)


def test_the_two_fits_differ_by_the_correlation_squared() -> None:
    random = np.random.default_rng(0)
    dft = random.normal(size=(200, 3))
    model = 0.7 * dft + random.normal(0, 0.3, dft.shape)
    r = np.sum(model * dft) / np.sqrt(np.sum(model**2) * np.sum(dft**2))
    assert factor(model, dft, "least_squares") == pytest.approx(r**2 * factor(model, dft, "slope"))
    c = factor(model, dft, "least_squares")
    errors = [np.sum((scale * c * model - dft) ** 2) for scale in (0.99, 1.0, 1.01)]
    assert errors[1] < min(errors[0], errors[2]), "least squares is not the least"


@pytest.mark.parametrize("phases", [(), (Phase({"Cu": 1}, -0.1), Phase({"Au": 1}, 0.2))])
def test_forces_and_stress_are_derivatives_of_the_energy(phases) -> None:
    atoms = alloy()
    atoms.calc = CorrectedCalculator(EMT(), 1.37, phases)
    forces, stress, step = atoms.get_forces(), atoms.get_stress(), 1e-4

    def energy(change) -> float:
        moved = atoms.copy()
        moved.calc = CorrectedCalculator(EMT(), 1.37, phases)
        change(moved)
        return moved.get_potential_energy()

    for atom, axis in ((0, 0), (3, 1), (7, 2)):

        def shift(moved: Atoms, sign: int, atom: int = atom, axis: int = axis) -> None:
            moved.positions[atom, axis] += sign * step

        difference = energy(lambda a: shift(a, 1)) - energy(lambda a: shift(a, -1))
        assert forces[atom, axis] == pytest.approx(-difference / (2 * step), abs=1e-5)
    for voigt, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):

        def strain(moved: Atoms, sign: int, i: int = i, j: int = j) -> None:
            deformation = np.eye(3)
            deformation[i, j] += sign * step / 2
            deformation[j, i] += sign * step / 2
            moved.set_cell(moved.cell.array @ deformation, scale_atoms=True)

        difference = energy(lambda a: strain(a, 1)) - energy(lambda a: strain(a, -1))
        assert stress[voigt] == pytest.approx(difference / (2 * step * atoms.get_volume()), abs=2e-5)


@pytest.mark.parametrize("phases", [(), (Phase({"Cu": 1}, -3.0), Phase({"Au": 1}, 1.0))])
def test_c_of_one_changes_nothing(phases) -> None:
    one, other = alloy(), alloy()
    one.calc, other.calc = EMT(), CorrectedCalculator(EMT(), 1.0, phases)
    assert other.get_potential_energy() == pytest.approx(one.get_potential_energy(), abs=1e-12)
    assert np.array_equal(other.get_forces(), one.get_forces())
    assert np.array_equal(other.get_stress(), one.get_stress())


def relaxed(atoms: Atoms) -> Atoms:
    atoms = atoms.copy()
    atoms.calc = EMT()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4)
    return atoms


def test_phases_keep_their_energies_and_differences_are_scaled() -> None:
    """Formation energies of the reference phases stay, a surface energy is times c, a defect energy too."""
    copper, gold = bulk("Cu", "fcc", a=3.61), bulk("Au", "fcc", a=4.06)
    ordered = bulk("Cu", "fcc", a=3.85, cubic=True)
    ordered.symbols[[0, 3]] = "Au"
    ordered = relaxed(ordered)
    copper, gold = relaxed(copper), relaxed(gold)
    phases = tuple(Phase.of(atoms) for atoms in (copper, gold, ordered))
    plain, corrected = EMT(), CorrectedCalculator(EMT(), 1.4, phases)

    def energy(atoms: Atoms, calculator) -> float:
        atoms = atoms.copy()
        atoms.calc = calculator
        return atoms.get_potential_energy()

    e_form = energy(ordered, plain) - 2 * energy(copper, plain) - 2 * energy(gold, plain)
    assert e_form < 0, "the ordered phase must be on the hull for this test"
    for phase in (copper, gold, ordered):
        assert energy(phase, corrected) == pytest.approx(energy(phase, plain), abs=1e-9)
    slab = fcc111("Cu", (1, 1, 5), a=3.61, vacuum=8.0, periodic=True)
    gammas = [energy(slab, c) - 5 * energy(copper, c) for c in (plain, corrected)]
    assert gammas[1] == pytest.approx(1.4 * gammas[0], abs=1e-9) and gammas[0] > 0.3
    vacancy = ordered * (2, 2, 2)
    removed = vacancy.symbols[0]
    del vacancy[0]
    host, pure = ordered * (2, 2, 2), {"Cu": copper, "Au": gold}[removed]
    # With the chemical potential that the hull has on this side of the compound.
    rich = (energy(ordered, plain) - 2 * energy({"Cu": gold, "Au": copper}[removed], plain)) / 2
    defect = [energy(vacancy, c) - energy(host, c) for c in (plain, corrected)]
    assert defect[1] + rich == pytest.approx(1.4 * (defect[0] + rich), abs=1e-8)
    assert abs(energy(pure, plain) - rich) > 1e-3, "the two chemical potentials must differ for this test"


def test_reference_is_the_cheapest_mixture() -> None:
    phases = (
        Phase({"A": 1}, 0.0),
        Phase({"B": 1}, 0.0),
        Phase({"A": 1, "B": 1}, -1.0),
        Phase({"A": 2, "B": 1}, 5.0),
    )
    assert reference_ev(["A", "B"], phases) == pytest.approx(-1.0)
    assert reference_ev(["A", "A", "B"], phases) == pytest.approx(-1.0), "the last phase is above the hull"
    assert reference_ev(["A"], ()) == 0.0


def test_a_composition_out_of_reach_says_what_is_missing() -> None:
    corrected = CorrectedCalculator(EMT(), 1.2, (Phase({"Cu": 1, "Au": 1}, -1.0),))
    atoms = alloy()
    del atoms[0]
    atoms.calc = corrected
    with pytest.raises(CorrectionError, match="add the relaxed pure elements"):
        atoms.get_potential_energy()


def test_a_correction_is_loaded_in_three_lines(tmp_path: Path) -> None:
    label = alloy()
    found = fit(
        [forces(label, SoftEMT(0.8))], [forces(label, EMT())], model="soft-emt", level_of_theory="EMT"
    )
    found = Correction(**{**found.__dict__, "phases": (Phase({"Cu": 1, "Au": 1}, -0.3),)})
    found.save(tmp_path / "cuau.json")
    again = load(tmp_path / "cuau.json")
    assert again == found
    atoms = alloy(seed=2)
    atoms.calc = again.wrap(SoftEMT(0.8))
    assert atoms.get_forces() == pytest.approx(forces(atoms, EMT()), abs=1e-12)
    (tmp_path / "bad.json").write_text(json.dumps({"c": 1.2}))
    with pytest.raises(CorrectionError, match=r"bad\.json"):
        load(tmp_path / "bad.json")


@pytest.mark.parametrize(
    ("model", "dft", "words"),
    [
        (np.zeros((2, 3)), np.ones((2, 3)), "have no forces"),
        (np.ones((2, 3)), np.zeros((2, 3)), "have no forces"),
        (np.ones((2, 3)), -np.ones((2, 3)), "check sign"),
    ],
)
def test_labels_that_tell_nothing_are_refused(model, dft, words: str) -> None:
    with pytest.raises(CorrectionError, match=words):
        factor(model, dft)
    with pytest.raises(CorrectionError, match="must be one of"):
        factor(np.ones((1, 3)), np.ones((1, 3)), "sloppe")
    with pytest.raises(CorrectionError, match="same frames"):
        fit([np.ones((2, 3))], [np.ones((3, 3))])


def test_interval_narrows_with_labels_and_holds_c() -> None:
    random = np.random.default_rng(4)
    dft = [random.normal(size=(20, 3)) for _ in range(40)]
    model = [0.8 * f + random.normal(0, 0.1, f.shape) for f in dft]
    widths = []
    for count in (2, 10, 40):
        found = fit(model[:count], dft[:count])
        assert found.c_low < found.c < found.c_high
        widths.append(found.c_high - found.c_low)
    assert widths[2] < widths[1] / 1.4


def test_the_typical_frame_is_that_of_the_mean_square_force() -> None:
    random = np.random.default_rng(0)
    frames = [
        random.normal(0, size, (50, 3)) for size in (0.1, 0.2, 1.0, 2.0)
    ]  # root mean square of all: 1.12
    assert typical(frames) == [2]
    assert typical(frames, 3) == [2, 3, 1]
    # Softening that differs with the size of the force: the typical frame corrects the set best.
    dft = [f * (1.6 if np.abs(f).mean() < 0.5 else 1.2 if np.abs(f).mean() < 1 else 1.0) for f in frames]
    y, x = np.concatenate(frames), np.concatenate(dft)
    errors = [np.abs(factor(m, d) * y - x).mean() for m, d in zip(frames, dft, strict=True)]
    assert int(np.argmin(errors[:3])) == 2
