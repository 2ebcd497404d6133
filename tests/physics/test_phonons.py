"""Phonons, with springs whose frequencies are known, EMT, and phonopy's own silicon."""

from __future__ import annotations

import itertools
import lzma
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import phonopy
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.data import atomic_masses, atomic_numbers
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.harmonic.dynamical_matrix import DynamicalMatrix, get_dynamical_matrix
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import get_supercell
from scipy import constants
from scipy.integrate import trapezoid
from scipy.spatial.transform import Rotation

from pesbench.engine.harmonic import (
    density_of_states,
    extremes_on_path,
    frequencies_and_velocities,
    frequencies_thz,
    harmonic,
    thermodynamics,
    without_acoustic,
)
from pesbench.engine.phonons import (
    STRIDE,
    BandPath,
    band_path,
    displaced_forces,
    first_atoms,
    force_constants,
    points_between,
    save,
    to_ase,
    to_phonopy,
)
from pesbench.errors import PesbenchError
from pesbench.failures import Failure

FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
ONE = np.eye(3)
TWO = 2 * np.eye(3, dtype=np.int64)
GAMMA = np.zeros((1, 3))
K = 3.0  # eV/A^2
GENERIC = np.array([[0.13, 0.29, 0.41], [0.31, -0.07, 0.22]])


def thz(stiffness_ev_per_ang2: float, mass_amu: float) -> float:
    """Return sqrt(k/m) / 2 pi, by constants that phonopy does not share."""
    omega = np.sqrt(stiffness_ev_per_ang2 * constants.e * 1e20 / (mass_amu * constants.atomic_mass))
    return float(omega / (2 * np.pi) / 1e12)


def mass(symbol: str) -> float:
    return float(atomic_masses[atomic_numbers[symbol]])


class Springs(Calculator):
    """Central springs about a rest position, exactly harmonic: one stiffness for each shell of neighbors."""

    implemented_properties = ("energy", "forces")

    def __init__(self, rest: Atoms, shells: dict[float, float]) -> None:
        super().__init__()
        self.rest = rest.get_positions()
        self.bonds = []
        for length, stiffness in shells.items():
            i, j, vector, found = neighbor_list("ijDd", rest, length + 0.1)
            on = np.abs(found - length) < 0.1
            self.bonds.append((i[on], j[on], vector[on] / length, stiffness))

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        moved, forces = self.atoms.get_positions() - self.rest, np.zeros_like(self.rest)
        for i, j, direction, stiffness in self.bonds:
            stretch = np.sum((moved[j] - moved[i]) * direction, axis=1)
            np.add.at(forces, i, stiffness * stretch[:, None] * direction)
        self.results = {"energy": 0.0, "forces": forces}


class Pushed(Calculator):
    """A calculator whose forces come out wrong by a table of additions, one for each evaluation."""

    implemented_properties = ("energy", "forces")

    def __init__(self, inner: Calculator, errors: Any) -> None:
        super().__init__()
        self.inner, self.errors = inner, itertools.cycle(errors)

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        forces = self.inner.get_forces(self.atoms) if self.inner else np.zeros((len(self.atoms), 3))
        self.results = {"energy": 0.0, "forces": forces + next(self.errors)}


def sprung(unitcell: Atoms, shells: dict[float, float], displacement_ang: float = 0.01) -> Phonopy:
    """Return displaced forces of a crystal of springs, its primitive cell face-centered, 2x2x2 supercell."""
    springs = Springs(to_ase(get_supercell(to_phonopy(unitcell), TWO)), shells)
    return displaced_forces(unitcell, TWO, FCC, springs, displacement_ang=displacement_ang)


def fcc_springs(symbol: str = "Cu", stiffness: float = K, displacement_ang: float = 0.01) -> Phonopy:
    return sprung(bulk(symbol, "fcc", 4.0, cubic=True), {4.0 / np.sqrt(2): stiffness}, displacement_ang)


def salt_springs() -> Phonopy:
    return sprung(bulk("NaCl", "rocksalt", 5.6, cubic=True), {2.8: K, 5.6 / np.sqrt(2): 0.3})


def emt(unitcell: Atoms, supercell: NDArray[np.int64] = TWO, primitive: Any = ONE) -> Phonopy:
    return displaced_forces(unitcell, supercell, primitive, EMT())


def matrix_of(phonon: Phonopy) -> DynamicalMatrix:
    """Fit the force constants and return the dynamical matrix without a non-analytical term."""
    force_constants(phonon)
    assert phonon.force_constants is not None
    return get_dynamical_matrix(phonon.force_constants, phonon.supercell, phonon.primitive)


def cu_au() -> Atoms:
    """Return a polar, unrelaxed tetragonal cell: gold is off the middle of its copper cage, and is pulled back."""
    return Atoms("CuAu", cell=[2.9, 2.9, 3.6], scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.46]], pbc=True)


@cache
def silicon() -> Phonopy:
    """Return the silicon of phonopy's test suite (test/phonopy_params_Si.yaml; forces 1e-8 eV/A, BSD-3-Clause)."""
    forces = """
        -155558 -9414833 -9414833    1580 669247 669247          351759 -609095 317150
        -353984 315563 -609355       351759 317150 -609095       -353984 -609355 315563
        -847 -36516 -36516           422 90287 90287             180836 3399 3399
        -180899 2875 2875            -366 -178209 -177270        11616 868779 855298
        -366 -177270 -178209         11616 855298 868779         -3021559 3900682 3900682
        3157975 4001999 4001999"""
    half = 2.733099421887393
    cell = [[0, half, half], [half, 0, half], [half, half, 0]]
    phonon = Phonopy(
        PhonopyAtoms(["Si"] * 2, cell=cell, scaled_positions=[[0.875] * 3, [0.125] * 3]), TWO, ONE
    )
    step = {"number": 0, "displacement": np.array([0, 0.0070710678118655, 0.0070710678118655])}
    table = np.array(forces.split(), dtype=float).reshape(-1, 3) * 1e-8
    phonon.dataset = {"natom": 16, "first_atoms": [{**step, "forces": table}]}
    return phonon


def test_face_centered_springs_have_their_textbook_frequencies() -> None:
    """Central springs k to 12 neighbors: m omega^2 is 8k, 4k, 4k at X and 8k, 2k, 2k at L (Born and Huang)."""
    matrix = matrix_of(fcc_springs())
    x, l_point = frequencies_thz(matrix, [[0.5, 0.5, 0.0], [0.5, 0.5, 0.5]])
    m = mass("Cu")
    assert x == pytest.approx([thz(4 * K, m), thz(4 * K, m), thz(8 * K, m)], rel=1e-4)
    assert l_point == pytest.approx([thz(2 * K, m), thz(2 * K, m), thz(8 * K, m)], rel=1e-4)


def test_springs_that_push_give_negative_frequencies() -> None:
    """Imaginary i f is -f, with the same magnitude as the stable crystal's f."""
    stable, unstable = matrix_of(fcc_springs()), matrix_of(fcc_springs(stiffness=-K))
    assert frequencies_thz(unstable, GENERIC) == pytest.approx(-frequencies_thz(stable, GENERIC)[:, ::-1])
    assert frequencies_thz(stable, GENERIC).min() > 0.5


def test_heavier_atoms_are_slower_by_the_square_root() -> None:
    copper_thz, gold_thz = (frequencies_thz(matrix_of(fcc_springs(s)), GENERIC) for s in ("Cu", "Au"))
    assert copper_thz / gold_thz == pytest.approx(np.sqrt(mass("Au") / mass("Cu")), rel=1e-4)


def test_a_harmonic_crystal_forgets_how_far_it_was_displaced() -> None:
    near, far = (frequencies_thz(matrix_of(fcc_springs(displacement_ang=d)), GENERIC) for d in (0.01, 0.02))
    assert near == pytest.approx(far, rel=1e-9)
    moved = first_atoms(fcc_springs(displacement_ang=0.02))[0]["displacement"]
    assert np.linalg.norm(moved) == pytest.approx(0.02)


def test_shift_and_rotation_change_nothing() -> None:
    """Of the whole crystal; in a low-symmetry cell, at q-points given in fractions of the cell."""
    reference = frequencies_thz(matrix_of(emt(cu_au())), GENERIC)
    shifted, rotated = cu_au(), cu_au()
    shifted.translate([0.31, -0.17, 0.23])
    turn = Rotation.from_euler("xyz", [0.3, 0.5, -0.8]).as_matrix()
    rotated.set_cell(rotated.cell[:] @ turn, scale_atoms=True)
    assert frequencies_thz(matrix_of(emt(shifted)), GENERIC) == pytest.approx(reference, abs=1e-4)
    assert frequencies_thz(matrix_of(emt(rotated)), GENERIC) == pytest.approx(reference, abs=1e-4)
    assert np.ptp(reference) > 1


def test_primitive_and_conventional_unit_cell_agree() -> None:
    """The same supercell, named from either cell; 2 x conventional = primitive x (2 P^-1)."""
    conventional = bulk("Cu", "fcc", 3.6, cubic=True)
    primitive = bulk("Cu", "fcc", 3.6)
    from_primitive = emt(primitive, np.rint(2 * np.linalg.inv(FCC)).astype(np.int64))
    from_conventional = emt(conventional, TWO, FCC)
    assert len(from_primitive.supercell) == len(from_conventional.supercell) == 32
    one, two = (frequencies_thz(matrix_of(p), GENERIC) for p in (from_primitive, from_conventional))
    assert one == pytest.approx(two, abs=1e-6)


def test_gamma_splits_by_the_macroscopic_field_of_an_ionic_crystal() -> None:
    """Rock salt: mu w_TO^2 = 2k; w_LO^2 - w_TO^2 = e^2 Z^2 / (eps_0 eps_inf mu V); TO is as without charges."""
    phonon, charge, dielectric = salt_springs(), 1.1, 2.4
    coulomb = constants.e / (4 * np.pi * constants.epsilon_0) * 1e10
    born = np.array([charge * ONE, -charge * ONE])
    phonon.nac_params = {"born": born, "dielectric": dielectric * ONE, "factor": coulomb}
    found = harmonic(phonon, band_path(phonon.unitcell, FCC), (2, 2, 2), 300.0).values
    mu = mass("Na") * mass("Cl") / (mass("Na") + mass("Cl"))
    field = 4 * np.pi * coulomb * charge**2 / (dielectric * phonon.primitive.volume)
    transverse, longitudinal = thz(2 * K, mu), thz(2 * K + field, mu)
    assert longitudinal - transverse > 0.5
    assert found["commensurate"]["gamma_thz"] == pytest.approx(
        [0, 0, 0] + [transverse] * 3, rel=1e-4, abs=1e-4
    )
    expected = [0, 0, 0, transverse, transverse, longitudinal]
    assert found["gamma_nac"]["gamma_thz"] == pytest.approx(expected, rel=1e-3, abs=1e-2)


def test_silicon_of_phonopy_s_own_test_suite() -> None:
    """The group velocities that phonopy states for it (test/phonon/test_group_velocity.py), THz angstrom.

    And those that it finds at high-symmetry points, where modes are degenerate.
    """
    phonon = silicon()
    matrix = matrix_of(phonon)
    _, velocities = frequencies_and_velocities(matrix, np.array([[0.1, 0.1, 0.1]]), phonon.primitive_symmetry)
    stated = [17.06443768, 17.06443768, 46.95145125, -3.59278449, -2.39847202, -2.39847202]
    assert velocities[0] == pytest.approx(np.repeat(stated, 3).reshape(6, 3), abs=1e-5)
    assert frequencies_thz(matrix, GAMMA)[0, 3:] == pytest.approx(15.5, abs=0.5)  # Raman line
    qpoints = np.concatenate([segment[::20] for segment in band_path(phonon.unitcell, ONE).qpoints])
    _, velocities = frequencies_and_velocities(matrix, qpoints, phonon.primitive_symmetry)
    theirs = phonon.run_qpoints(qpoints, with_group_velocities=True).group_velocities
    assert velocities == pytest.approx(theirs, abs=1e-6)


def test_acoustic_sum_rule_holds_after_symmetrization_only() -> None:
    """Noise in the forces breaks it, its size is recorded; afterwards three modes at Gamma are at zero."""
    noise = np.random.default_rng(0).normal(0, 1e-3, (40, 16, 3))
    phonon = displaced_forces(cu_au(), TWO, ONE, Pushed(EMT(), noise))
    residuals = force_constants(phonon)
    assert phonon.force_constants is not None
    assert residuals.asr_residual_ev_per_ang2 > 0.05
    assert np.abs(phonon.force_constants.sum(axis=1)).max() < 1e-9
    assert np.abs(phonon.force_constants.sum(axis=0)).max() < 1e-9
    matrix = get_dynamical_matrix(phonon.force_constants, phonon.supercell, phonon.primitive)
    assert frequencies_thz(matrix, GAMMA)[0, :3] == pytest.approx([0, 0, 0], abs=1e-4)


def test_a_mean_force_is_recorded_and_removed() -> None:
    cell, push = bulk("Cu", "fcc", 3.6, cubic=True), np.array([0.003, 0.004, 0.0])
    pushed = displaced_forces(cell, TWO, FCC, Pushed(EMT(), [push]))
    clean = emt(cell, TWO, FCC)
    assert force_constants(clean).force_drift_ev_per_ang < 1e-9
    assert force_constants(pushed).force_drift_ev_per_ang == pytest.approx(0.005, rel=1e-6)
    assert pushed.force_constants == pytest.approx(clean.force_constants, abs=1e-8)
    assert first_atoms(pushed)[0]["forces"].mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)


def test_forces_that_the_relaxation_left_cancel() -> None:
    """Gold in its polar cell keeps a large force at rest; with and without it the force constants are the same."""
    as_given, subtracted = emt(cu_au()), emt(cu_au())
    rest = to_ase(subtracted.supercell)
    rest.calc = EMT()
    assert np.abs(rest.get_forces()).max() > 0.1
    for displacement in first_atoms(subtracted):
        displacement["forces"] = displacement["forces"] - rest.get_forces()
    one, two = frequencies_thz(matrix_of(as_given), GENERIC), frequencies_thz(matrix_of(subtracted), GENERIC)
    assert one == pytest.approx(two, abs=1e-6)


def test_what_is_known_is_not_asked_again_and_changes_nothing() -> None:
    """phonopy's default displaces an fcc crystal along an axis, a stretched one along a diagonal."""

    class Counted(EMT):
        asked = 0

        def calculate(self, *arguments: Any, **options: Any) -> None:
            super().calculate(*arguments, **options)
            self.asked += 1

    def default(cell: Atoms, calculator: Calculator, known: Phonopy | None = None) -> NDArray[np.float64]:
        phonon = displaced_forces(cell, TWO, ONE, calculator, along_axes=False, known=known)
        return frequencies_thz(matrix_of(phonon), GENERIC)

    cube = bulk("Cu", cubic=True)
    brick = cube.copy()
    brick.set_cell(np.diag([3.6, 3.65, 3.7]), scale_atoms=True)
    for cell, new in ((cube, 0), (brick, 1)):
        known = displaced_forces(cell, TWO, ONE, EMT())
        counted = Counted()
        np.testing.assert_array_equal(default(cell, counted, known), default(cell, EMT()))
        assert counted.asked == new


def test_error_of_a_finite_displacement_is_of_second_order() -> None:
    """Twice the displacement, four times the error: opposite ones cancel the cubic term that a polar cell has."""
    near, far, tiny = (
        frequencies_thz(matrix_of(displaced_forces(cu_au(), TWO, ONE, EMT(), displacement_ang=d)), GENERIC)
        for d in (0.01, 0.02, 0.001)
    )
    assert np.abs(far - tiny).max() / np.abs(near - tiny).max() == pytest.approx(4, abs=0.3)


def test_a_force_that_is_not_a_number_names_its_displacement() -> None:
    errors = [np.zeros(3), np.array([0, np.nan, 0])]
    with pytest.raises(
        Failure, match=r"displacement 2 of \d \(atom \d by .*\): a force is not finite"
    ) as caught:
        displaced_forces(cu_au(), TWO, ONE, Pushed(EMT(), errors))
    assert (caught.value.stage, caught.value.status) == ("displacements", "failed")

    class Refusing(EMT):
        def calculate(self, *_: Any) -> None:
            raise PesbenchError("model: forces are not finite")

    with pytest.raises(Failure, match=r"displacement 1 of \d .*: model: forces are not finite"):
        displaced_forces(cu_au(), TWO, ONE, Refusing())


@pytest.mark.parametrize(
    "broken",
    [{"displacement": np.zeros(3)}, {"forces": np.full((32, 3), np.inf)}, {"forces": np.zeros((31, 3))}],
)
def test_a_displacement_that_says_nothing_is_a_failure(broken: dict[str, Any]) -> None:
    phonon = fcc_springs()
    first_atoms(phonon)[0].update(broken)
    with pytest.raises(Failure, match=r"displacement 1 of 1 .* 32 x 3 finite numbers"):
        force_constants(phonon)


def test_kept_file_is_the_same_bytes_and_gives_the_same_force_constants(tmp_path: Path) -> None:
    phonon, again = salt_springs(), salt_springs()
    force_constants(phonon)
    force_constants(again)
    kept = save(phonon)
    assert kept == save(again)
    assert str(Path.cwd()).encode() not in lzma.decompress(kept)
    (tmp_path / "x.yaml.xz").write_bytes(kept)
    loaded = phonopy.load(tmp_path / "x.yaml.xz", is_compact_fc=False)
    assert loaded.force_constants == pytest.approx(phonon.force_constants, abs=1e-10)
    assert np.abs(loaded.force_constants).max() > K


def test_energies_and_entropy_are_the_integrals_of_the_heat_capacity() -> None:
    """U = ZPE + int C dT, S = int C/T dT, F = U - TS; the crystal's frequencies, from 1 K on."""
    frequencies = frequencies_thz(matrix_of(salt_springs()), np.random.default_rng(1).uniform(0, 1, (20, 3)))
    kelvin = np.linspace(1, 300, 600)
    found = [thermodynamics(frequencies, np.ones(20, dtype=np.int64), float(t)) for t in kelvin]
    capacity = np.array([point["heat_capacity_j_per_k_mol"] for point in found])
    last = found[-1]
    energy = last["zero_point_energy_kj_per_mol"] + trapezoid(capacity, kelvin) / 1000
    entropy = trapezoid(capacity / kelvin, kelvin)
    assert last["entropy_j_per_k_mol"] == pytest.approx(entropy, rel=1e-4)
    assert last["free_energy_kj_per_mol"] == pytest.approx(energy - 300 * entropy / 1000, rel=1e-4)


def test_hot_crystal_has_dulong_and_petit_s_heat_capacity() -> None:
    """3 N k_B for each primitive cell: 6 R a mole of rock salt."""
    frequencies = frequencies_thz(matrix_of(salt_springs()), GENERIC)
    hot = thermodynamics(frequencies, np.array([3, 1]), 1e4)
    cold = thermodynamics(frequencies, np.array([3, 1]), 20.0)
    assert hot["heat_capacity_j_per_k_mol"] == pytest.approx(6 * constants.R, rel=1e-3)
    assert cold["heat_capacity_j_per_k_mol"] < 0.3 * constants.R


def test_zero_point_energy_is_half_a_quantum() -> None:
    """Of 10 and 20 THz with weights 3 and 1."""
    found = thermodynamics(np.array([[10.0], [20.0]]), np.array([3, 1]), 1.0)
    half = constants.h * 12.5e12 / 2 * constants.N_A / 1000
    assert found["zero_point_energy_kj_per_mol"] == pytest.approx(half, rel=1e-5)
    assert found["free_energy_kj_per_mol"] == pytest.approx(half, rel=1e-5)
    assert found["entropy_j_per_k_mol"] == pytest.approx(0, abs=1e-9)


def test_thermodynamics_are_phonopy_s() -> None:
    phonon = silicon()
    values = harmonic(phonon, band_path(phonon.unitcell, ONE), (6, 6, 6), 300.0).values
    found = values["mesh"]
    phonon.run_mesh([6, 6, 6], is_gamma_center=True)
    theirs = phonon.run_thermal_properties(temperatures=[300.0], exclude_gamma_acoustic=True)
    assert found["entropy_j_per_k_mol"] == pytest.approx(theirs.entropy[0], rel=1e-9)
    assert found["free_energy_kj_per_mol"] == pytest.approx(theirs.free_energy[0], rel=1e-9)
    assert found["heat_capacity_j_per_k_mol"] == pytest.approx(theirs.heat_capacity[0], rel=1e-9)
    assert found["zero_point_energy_kj_per_mol"] == pytest.approx(theirs.zero_point_energy, rel=1e-9)
    assert (found["mesh"], found["imaginary_share"]) == ([6, 6, 6], 0.0)
    assert values["displacement_ang"] == pytest.approx(0.01)  # along (0, 1, 1)


def test_imaginary_modes_are_counted_and_left_out() -> None:
    weights = np.array([1, 3])
    found = thermodynamics(np.array([[-4.0, 10.0], [5.0, 10.0]]), weights, 300.0)
    real = thermodynamics(np.array([[0.0, 10.0], [5.0, 10.0]]), weights, 300.0)
    assert (found.pop("imaginary_share"), real.pop("imaginary_share")) == (pytest.approx(0.125), 0.0)
    assert found == real


def test_noise_of_the_acoustic_modes_at_gamma_does_not_matter() -> None:
    """Their sign least of all; a mode that is imaginary in earnest is not taken for one of them."""
    weights = np.array([1, 3])
    plus, minus = (np.array([[s * 1e-7, s * 2e-7, 3e-7, 9.0], [1.0, 2.0, 3.0, 9.0]]) for s in (1, -1))
    one, two = (thermodynamics(without_acoustic(f, 0), weights, 300.0) for f in (plus, minus))
    assert one == two
    assert one != thermodynamics(plus, weights, 300.0)
    soft = without_acoustic(np.array([[-5.0, -1e-7, 1e-7, 2e-7]]), 0)
    assert soft.tolist() == [[-5.0, 0.0, 0.0, 0.0]]


def test_velocities_are_the_slopes_of_the_frequencies() -> None:
    """By finite differences along Cartesian axes, in a tetragonal cell."""
    phonon, step = emt(cu_au()), 1e-5
    matrix = matrix_of(phonon)
    frequencies, velocities = frequencies_and_velocities(matrix, GENERIC, phonon.primitive_symmetry)
    assert frequencies == pytest.approx(frequencies_thz(matrix, GENERIC), rel=1e-9)
    for axis in range(3):
        moved = step * phonon.primitive.cell[:, axis]
        ahead, behind = (frequencies_thz(matrix, GENERIC + sign * moved) for sign in (1, -1))
        assert velocities[:, :, axis] == pytest.approx((ahead - behind) / (2 * step), rel=1e-4, abs=1e-3)
    assert np.abs(velocities).max() > 5


def test_group_velocity_is_the_speed_of_sound_in_km_per_s() -> None:
    """Springs along [100]: omega = sqrt(8k/m) sin(q a/4), so v = a/4 sqrt(8k/m) cos(q a/4)."""
    phonon = fcc_springs()
    line = BandPath((np.linspace([0, 0, 0], [0.5, 0.5, 0.0], 101),), ("GAMMA", "X"), (False,))
    found = harmonic(phonon, line, (2, 2, 2), 300.0).values["path"]
    omega_per_s = 2 * np.pi * thz(8 * K, mass("Cu")) * 1e12
    sound_km_per_s = 4.0e-10 / 4 * omega_per_s / 1000
    first_point = np.cos(np.pi / 2 * STRIDE / 100)
    assert found["max_group_velocity_km_per_s"] == pytest.approx(sound_km_per_s * first_point, rel=1e-4)
    assert found["max_frequency_thz"] == pytest.approx(omega_per_s / 2 / np.pi / 1e12, rel=1e-4)


def test_path_is_the_same_fractions_for_a_strained_cell_and_runs_through_x() -> None:
    start, relaxed = bulk("Cu", "fcc", 3.6, cubic=True), bulk("Cu", "fcc", 3.7, cubic=True)
    path, other = band_path(start, FCC), band_path(relaxed, FCC)
    assert path.labels[:2] == ("GAMMA", "X")
    assert all(np.array_equal(a, b) for a, b in zip(path.qpoints, other.qpoints, strict=True))
    assert path.qpoints[0].shape == (101, 3)
    # X is the middle of the cubic cell's face: one over the lattice constant from Gamma, 2 pi left out.
    assert path.ends(np.array(start.cell[:]).T @ FCC)[0] == pytest.approx((0, 1 / 3.6))
    for connected, here, there in zip(path.connections, path.qpoints, path.qpoints[1:], strict=False):
        assert connected == np.array_equal(here[-1], there[0])
    assert not path.connections[-1]


def test_path_on_the_unit_cell_is_the_same_points_in_space() -> None:
    """There the frequencies of the primitive cell are among the four times as many."""
    cell = bulk("Cu", "fcc", 3.6, cubic=True)
    path = band_path(cell, FCC)
    few = frequencies_thz(matrix_of(emt(cell, TWO, FCC)), path.qpoints[0][::25])
    many = frequencies_thz(matrix_of(emt(cell, TWO, ONE)), path.on(FCC).qpoints[0][::25])
    assert many.shape == (5, 12)
    assert np.abs(few[:, :, None] - many[:, None, :]).min(axis=2).max() < 1e-5


def test_extremes_between_the_kept_points_are_found() -> None:
    """At 0.46, 0.47 and 0.94 of a segment, none a multiple of 0.04.

    The bump at 0.46 is so narrow that the kept points beside it are lower than the broad one's top at 0.2.
    """
    t = np.linspace(0, 1, 101)
    path = BandPath((np.column_stack([t, 0 * t, 0 * t]),), ("A", "B"), (False,))
    for peak, height, curvature in ((0.46, 1.005, 100.0), (0.47, 1.0, 10.0)):
        top = 10 + np.maximum(1.0 - 10 * (t - 0.2) ** 2, height - curvature * (t - peak) ** 2)
        dip = -np.cos(2 * np.pi * (t - 0.94))
        asked = points_between(path, [np.column_stack([dip, top])[::STRIDE]])[:, 0]
        assert np.isclose(asked, peak).any()
        assert np.isclose(asked, 0.94).any()
        assert len(asked) < 70


def test_path_s_maximum_is_not_one_of_the_kept_points() -> None:
    """Through X of copper springs at the 47th of 101 points: sqrt(8k/m), the kept points reach 0.2 % less."""
    line = BandPath(
        (np.outer(1 + 2 * (np.linspace(0, 1, 101) - 0.46), [0.5, 0.5, 0.0]),), ("A", "B"), (False,)
    )
    found = harmonic(fcc_springs(), line, (2, 2, 2), 300.0)
    highest = thz(8 * K, mass("Cu"))
    assert found.values["path"]["max_frequency_thz"] == pytest.approx(highest, rel=1e-5)
    assert extremes_on_path(fcc_springs(), line)["max_frequency_thz"] == pytest.approx(highest, rel=1e-5)
    assert np.max(found.bands["segments"][0]["frequencies_thz"]) < 0.999 * highest


def test_record_and_figure_agree() -> None:
    """Copper springs: the highest frequency is sqrt(8k/m), at X, which path, supercell and mesh all hold."""
    phonon = fcc_springs()
    found = harmonic(phonon, band_path(phonon.unitcell, FCC), (8, 8, 8), 300.0)
    values, bands = found.values, found.bands
    assert values["gamma_nac"] is None
    highest = thz(8 * K, mass("Cu"))
    for part in ("path", "commensurate", "mesh"):
        assert values[part]["max_frequency_thz"] == pytest.approx(highest, rel=1e-4)
        assert values[part]["min_frequency_thz"] == pytest.approx(0, abs=1e-4)
    assert (values["n_atoms_primitive"], values["n_atoms_supercell"], values["n_displacements"]) == (1, 32, 1)
    assert values["displacement_ang"] == pytest.approx(0.01)
    assert values["commensurate"]["n_qpoints"] == 32
    assert values["commensurate"]["min_beyond_gamma_thz"] == pytest.approx(thz(2 * K, mass("Cu")), rel=1e-4)
    assert max(np.max(part["frequencies_thz"]) for part in bands["segments"]) == pytest.approx(
        highest, rel=1e-4
    )
    assert all(np.shape(part["frequencies_thz"]) == (26, 3) for part in bands["segments"])
    assert len(bands["labels"]) == 2 * len(bands["segments"])


def test_density_of_states_counts_every_mode() -> None:
    """Its integral is 3N, its mean the mean frequency, weights included."""
    frequencies, weights = np.array([[1.0, 4.0], [2.0, 6.0]]), np.array([3, 1])
    states = density_of_states(frequencies, weights)
    at, height = np.array(states["frequency_thz"]), np.array(states["states_per_thz"])
    width = at[1] - at[0]
    assert len(at) == 201
    assert height.sum() * width == pytest.approx(2, rel=1e-6)
    assert (height * at).sum() * width == pytest.approx(0.75 * 5 + 0.25 * 8, abs=width)
