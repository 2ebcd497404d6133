"""Bulk relaxation and slabs, with EMT and with what can be said without a computer."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from pesbench.benchmarks.surfaces import surface_energy
from pesbench.engine.relax import Relaxation, relax
from pesbench.engine.slabs import area_ang2, cut, generator, is_usable, terminations, thickness_ang
from pesbench.sources.prototypes import load_prototype

PROTOTYPES = Path(__file__).parents[2] / "data" / "prototypes"
TIGHT: dict[str, Any] = {"fmax_ev_per_ang": 1e-3, "max_steps": 500, "optimizer": "BFGS"}
LOW = [(1, 1, 1), (1, 0, 0), (1, 1, 0)]


@cache
def structure(material: str) -> Structure:
    """Return a prototype's conventional cell."""
    return load_prototype(PROTOTYPES / f"{material}.yaml").structure


def atoms_of(cell: Structure) -> Atoms:
    return AseAtomsAdaptor.get_atoms(cell, msonable=False)


@cache
def relaxed_bulk(material: str) -> tuple[Structure, Relaxation]:
    """Relax a bulk with EMT."""
    bulk = relax(atoms_of(structure(material)), EMT(), relax_cell=True, **TIGHT)
    return AseAtomsAdaptor.get_structure(bulk.atoms), bulk


def gamma_of(
    material: str, miller: Any, slab_ang: float = 10.0, vacuum_ang: float = 10.0
) -> tuple[float, float]:
    """Return a surface energy with EMT before and after relaxation (eV/A^2)."""
    cell, bulk = relaxed_bulk(material)
    shift = terminations(structure(material), miller, slab_ang, vacuum_ang)[0].shift
    slab = cut(cell, miller, shift, slab_ang, vacuum_ang)
    per_atom = bulk.energy_ev / len(bulk.atoms)
    atoms = atoms_of(slab)
    atoms.calc = EMT()
    energies = atoms.get_potential_energy(), relax(atoms_of(slab), EMT(), **TIGHT).energy_ev
    one, two = (surface_energy(energy, len(slab), per_atom, area_ang2(slab)) for energy in energies)
    return one, two


# ------------------------------------------------------------------ relaxation


def test_bulk_relaxation_finds_emt_s_lattice_constant() -> None:
    """By the minimum of the energy over the lattice constant, found without any optimizer."""
    constants = np.linspace(3.55, 3.63, 41)
    cell = atoms_of(structure("mp-30"))
    energies = []
    for constant in constants:
        cell.set_cell([constant] * 3, scale_atoms=True)
        cell.calc = EMT()
        energies.append(cell.get_potential_energy())
    a, b, _ = np.polyfit(constants, energies, 2)
    _, bulk = relaxed_bulk("mp-30")
    assert bulk.converged
    assert bulk.atoms.cell.lengths() == pytest.approx([-b / (2 * a)] * 3, abs=2e-3)
    assert bulk.energy_ev == pytest.approx(min(energies), abs=1e-4)


@pytest.mark.parametrize("strain", [0.94, 1.05])
def test_bulk_relaxation_forgets_where_it_started(strain: float) -> None:
    _, bulk = relaxed_bulk("mp-30")
    start = atoms_of(structure("mp-30"))
    start.set_cell(start.cell * strain, scale_atoms=True)
    other = relax(start, EMT(), relax_cell=True, **TIGHT)
    assert other.atoms.cell.lengths() == pytest.approx(bulk.atoms.cell.lengths(), rel=1e-3)
    assert other.energy_ev == pytest.approx(bulk.energy_ev, abs=1e-4)


@pytest.mark.parametrize("optimizer", ["FIRE", "BFGS", "LBFGS"])
def test_a_relaxed_bulk_has_no_stress(optimizer: str) -> None:
    start = atoms_of(structure("mp-126"))
    start.set_cell(start.cell * 1.03, scale_atoms=True)
    end = relax(start, EMT(), relax_cell=True, fmax_ev_per_ang=1e-3, max_steps=500, optimizer=optimizer)
    assert end.converged and end.steps > 0
    # fmax on the cell's generalized force: stress times volume, shared among the atoms.
    assert end.max_stress_gpa < 0.05
    end.atoms.calc = EMT()
    assert np.abs(end.atoms.get_stress()).max() * 160.2177 == pytest.approx(end.max_stress_gpa, abs=1e-6)
    assert end.atoms.get_potential_energy() == pytest.approx(end.energy_ev, abs=1e-9)


def test_relaxation_keeps_the_space_group_and_frees_the_rest() -> None:
    """Cu3Au: a cubic cell stays cubic; without relax_cell it stays as it is."""
    box = Structure.from_spacegroup("Pm-3m", np.eye(3) * 3.85, ["Au", "Cu"], [[0, 0, 0], [0, 0.5, 0.5]])
    end = relax(atoms_of(box), EMT(), relax_cell=True, **TIGHT)
    a, b, c = end.atoms.cell.lengths()
    assert a == pytest.approx(b, abs=1e-6) and b == pytest.approx(c, abs=1e-6) and abs(a - 3.85) > 0.01
    held = relax(atoms_of(box), EMT(), **TIGHT)
    assert np.array_equal(held.atoms.cell.array, atoms_of(box).cell.array)
    assert np.isnan(held.max_stress_gpa)


def test_relaxation_leaves_its_input_alone() -> None:
    start = atoms_of(structure("mp-30"))
    start.set_cell(start.cell * 1.04, scale_atoms=True)
    start.rattle(0.05, seed=1)
    positions, cell = start.positions.copy(), start.cell.array.copy()
    end = relax(start, EMT(), relax_cell=True, **TIGHT)
    assert np.array_equal(start.positions, positions) and np.array_equal(start.cell.array, cell)
    assert start.calc is None and start.constraints == []
    assert end.atoms is not start and end.atoms.calc is None and end.atoms.constraints == []
    assert not np.allclose(end.atoms.cell.array, cell)


def test_a_relaxation_that_is_cut_off_says_so() -> None:
    slab = cut(structure("mp-30"), (1, 1, 0), 0.25, 8.0, 8.0)
    atoms = atoms_of(slab)
    atoms.rattle(0.1, seed=2)
    few = relax(atoms, EMT(), fmax_ev_per_ang=1e-3, max_steps=2, optimizer="BFGS")
    assert not few.converged and few.steps == 2 and few.fmax_ev_per_ang > 1e-3
    many = relax(atoms, EMT(), **TIGHT)
    assert many.converged and many.steps > 2 and many.fmax_ev_per_ang <= 1e-3
    assert many.energy_ev < few.energy_ev


def test_the_largest_force_is_the_largest_on_an_atom() -> None:
    atoms = atoms_of(structure("mp-30") * (2, 1, 1))
    atoms.rattle(0.05, seed=3)
    end = relax(atoms, EMT(), fmax_ev_per_ang=100.0, max_steps=5, optimizer="BFGS")
    atoms.calc = EMT()
    assert end.steps == 0 and end.converged
    assert end.fmax_ev_per_ang == pytest.approx(np.linalg.norm(atoms.get_forces(), axis=1).max(), rel=1e-12)


# ------------------------------------------------------------------ surface energies


def test_close_packed_faces_cost_less() -> None:
    """The known order of the faces of a face-centered cubic metal: 111 < 100 < 110."""
    for material in ("mp-30", "mp-126"):
        dense, square, open_ = (gamma_of(material, miller)[1] for miller in LOW)
        assert 0.02 < dense < square < open_ < 0.12
        assert square > 1.02 * dense


@pytest.mark.parametrize("miller", LOW)
def test_relaxation_lowers_the_surface_energy(miller: Any) -> None:
    before, after = gamma_of("mp-30", miller)
    assert 0.97 * before < after < before


@pytest.mark.parametrize("miller", LOW)
def test_surface_energy_does_not_depend_on_thickness_or_vacuum(miller: Any) -> None:
    _, reference = gamma_of("mp-30", miller)
    cell, _ = relaxed_bulk("mp-30")
    shift = terminations(structure("mp-30"), miller)[0].shift
    sizes = {len(cut(cell, miller, shift, thick, 10.0)) for thick in (10.0, 16.0, 22.0)}
    assert len(sizes) == 3, "the slabs are not thicker"
    for thick, vacuum in ((16.0, 10.0), (22.0, 10.0), (10.0, 25.0)):
        assert gamma_of("mp-30", miller, thick, vacuum)[1] == pytest.approx(reference, rel=0.02)


@pytest.mark.parametrize("repeat", [(2, 1), (1, 2), (2, 2)])
def test_more_area_gives_the_same_surface_energy(repeat: tuple[int, int]) -> None:
    cell, bulk = relaxed_bulk("mp-30")
    slab = cut(cell, (1, 1, 0), 0.25, 10.0, 10.0)
    larger = slab.copy()
    larger.make_supercell([*repeat, 1])
    assert area_ang2(larger) == pytest.approx(repeat[0] * repeat[1] * area_ang2(slab), rel=1e-9)
    energies = [relax(atoms_of(cell), EMT(), **TIGHT).energy_ev for cell in (slab, larger)]
    per_atom = bulk.energy_ev / len(bulk.atoms)
    gammas = [
        surface_energy(energy, len(cell), per_atom, area_ang2(cell))
        for energy, cell in zip(energies, (slab, larger), strict=True)
    ]
    assert gammas[1] == pytest.approx(gammas[0], rel=1e-3)
    assert gammas[0] == pytest.approx(gamma_of("mp-30", (1, 1, 0))[1], rel=1e-3)


def test_the_formula_counts_two_faces() -> None:
    """Ten atoms of -3 eV in bulk, 1 eV lost over two faces of 5 A^2."""
    assert surface_energy(-29.0, 10, -3.0, 5.0) == pytest.approx(0.1)
    assert surface_energy(-30.0, 10, -3.0, 5.0) == 0.0


# ------------------------------------------------------------------ cuts


@pytest.mark.parametrize(
    ("miller", "area", "spacing"),
    [((1, 0, 0), 1 / 2, 1 / 2), ((1, 1, 0), 2**-0.5, 2**-0.5 / 2), ((1, 1, 1), 3**0.5 / 4, 3**-0.5)],
)
def test_area_and_layers_of_a_cubic_metal(miller: Any, area: float, spacing: float) -> None:
    """Face-centered cubic: the area an atom of the face and the distance between layers, in a and a^2."""
    a = structure("mp-30").lattice.a
    slab = cut(structure("mp-30"), miller, terminations(structure("mp-30"), miller)[0].shift, 10.0, 10.0)
    heights = slab.cart_coords @ np.cross(*slab.lattice.matrix[:2]) / area_ang2(slab)
    layers = np.unique(np.round(heights, 4))
    in_plane = len(slab) / len(layers)
    assert area_ang2(slab) / in_plane == pytest.approx(area * a**2, rel=1e-6)
    assert np.diff(layers) == pytest.approx(spacing * a, rel=1e-3)
    assert thickness_ang(slab) == pytest.approx((len(layers) - 1) * spacing * a, rel=1e-6)
    assert len(layers) * spacing * a >= 10.0


def test_diamond_has_two_cuts_along_111() -> None:
    """Between the double layers (one bond an atom is cut: shuffle) and within them (three bonds: glide)."""
    silicon = structure("mp-149")
    cuts = terminations(silicon, (1, 1, 1))
    assert [termination.label for termination in cuts] == ["t1", "t2"]
    assert [len(terminations(silicon, miller)) for miller in ((1, 0, 0), (1, 1, 0))] == [1, 1]
    bonds = []
    for termination in cuts:
        slab = cut(silicon, (1, 1, 1), termination.shift, 10.0, 10.0)
        neighbors = [len(around) for around in slab.get_all_neighbors(2.5)]
        missing = sum(4 - count for count in neighbors)
        bonds.append(missing / 2 / round(area_ang2(slab) / (3**0.5 / 4 * silicon.lattice.a**2)))
    assert sorted(bonds) == [1, 3]


@pytest.mark.parametrize(
    ("material", "miller"), [("mp-149", (1, 1, 1)), ("mp-126", (2, 1, 0)), ("mp-1138", (1, 1, 0))]
)
def test_a_termination_keeps_its_name_on_a_strained_bulk(material: str, miller: Any) -> None:
    """``t1`` is the same cut on every model's bulk: same heights, in units of the slab's own spacing."""
    bulk = structure(material)
    for termination in terminations(bulk, miller):
        profiles = []
        for factor in (1.0, 0.97, 1.04):
            strained = Structure(bulk.lattice.matrix * factor, bulk.species, bulk.frac_coords)
            slab = cut(strained, miller, termination.shift, 10.0 * factor, 10.0 * factor)
            normal = np.cross(*slab.lattice.matrix[:2]) / area_ang2(slab)
            heights = np.sort(slab.cart_coords @ normal) / factor
            profiles.append(heights - heights[0])
        assert profiles[1] == pytest.approx(profiles[0], abs=1e-6)
        assert profiles[2] == pytest.approx(profiles[0], abs=1e-6)
    labels = [
        [
            t.label
            for t in terminations(Structure(bulk.lattice.matrix * f, bulk.species, bulk.frac_coords), miller)
        ]
        for f in (0.97, 1.04)
    ]
    assert labels[0] == labels[1] == [t.label for t in terminations(bulk, miller)]


def test_polar_and_unsymmetric_cuts_are_left_out() -> None:
    """LiF along 111 is a stack of charged layers: no slab is both symmetric and stoichiometric."""
    salt = structure("mp-1138")
    candidates = generator(salt, (1, 1, 1), 10.0, 10.0).get_slabs()
    assert candidates and terminations(salt, (1, 1, 1)) == []
    assert terminations(salt, (1, 0, 0)) != []
    with pytest.raises(ValueError, match="not symmetric and stoichiometric"):
        cut(salt, (1, 1, 1), candidates[0].shift, 10.0, 10.0)


def test_slabs_have_two_equal_faces() -> None:
    """Turned upside down, a slab's heights are the same, element by element."""
    for material, miller in (("mp-1138", (2, 1, 0)), ("mp-7000", (1, 0, 0)), ("mp-149", (1, 1, 1))):
        for termination in terminations(structure(material), miller):
            slab = cut(structure(material), miller, termination.shift, 10.0, 10.0)
            assert is_usable(slab, structure(material))
            normal = np.cross(*slab.lattice.matrix[:2]) / area_ang2(slab)
            for element in slab.composition:
                heights = np.sort([site.coords @ normal for site in slab if site.specie == element])
                middle = np.mean([site.coords @ normal for site in slab])
                assert heights - middle == pytest.approx((middle - heights)[::-1], abs=0.05)
