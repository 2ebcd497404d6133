"""PhononDB's own forces give Deng's published DFT column; the shipped prototypes are the archives' cells."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from phonopy import Phonopy
from phonopy.phonon.band_structure import get_band_qpoints_by_seekpath
from phonopy.structure.cells import get_atom_order, guess_primitive_matrix

from pesbench.sources.phonon_files import PhononFile, read_phonon_file
from pesbench.sources.phonondb import MIRROR_FOLDER, content_sha256

DATA = Path(__file__).parents[2] / "data"
MIRROR = os.environ.get("PESBENCH_MIRROR", "")
ARCHIVES = Path(MIRROR) / MIRROR_FOLDER
pytestmark = pytest.mark.skipif(
    not (MIRROR and ARCHIVES.is_dir()), reason="PESBENCH_MIRROR holds no phonondb/archives"
)
MANIFEST = pd.read_csv(DATA / "manifests" / "phonons.csv", comment="#", keep_default_na=False).set_index(
    "mp_id"
)
PUBLISHED = pd.read_csv(DATA / "published" / "deng2025_s3_phonons.csv", comment="#").set_index("mp_id")
PROTOTYPES = sorted(
    path.stem for path in (DATA / "prototypes").glob("mp-*.yaml")
    if path.stem in MANIFEST.index and "phonon database" in path.read_text(encoding="utf-8")
)  # fmt: skip
# Of P, F, I and R lattices; the P ones have no PRIMITIVE_AXIS, their unit cell is the primitive one.
CHEAP = (
    "mp-1265", "mp-2691", "mp-5967", "mp-6586", "mp-600033", "mp-2697", "mp-4608", "mp-754266", "mp-2667",
    "mp-2657", "mp-661", "mp-2998",
)  # fmt: skip
#: Archives whose supercell phonopy of today orders in another way than the phonopy that wrote them.
REORDERED = ("mp-567855", "mp-626644", "mp-676650")


def read(material: str) -> PhononFile:
    return read_phonon_file(ARCHIVES / f"{material}.tar.xz")


def with_forces(file: PhononFile) -> Phonopy:
    phonon = Phonopy(file.unitcell, file.supercell_matrix, file.primitive_matrix)
    phonon.dataset = file.dataset
    phonon.produce_force_constants(calculate_full_force_constants=True)
    return phonon


@pytest.mark.parametrize("material", CHEAP)
def test_maximum_is_the_published_one(material: str) -> None:
    phonon = with_forces(read(material))
    phonon.symmetrize_force_constants()
    bands, _, _ = get_band_qpoints_by_seekpath(phonon.primitive, 101)
    phonon.run_band_structure(bands)
    highest = max(segment.max() for segment in phonon.band_structure.frequencies)
    assert highest == pytest.approx(PUBLISHED.loc[material, "dft_thz"], rel=1e-4)


@pytest.mark.parametrize("material", sorted({*PROTOTYPES, *CHEAP, *REORDERED}))
def test_manifest_line_is_of_the_archive(material: str) -> None:
    file, line = read(material), MANIFEST.loc[material]
    assert content_sha256(ARCHIVES / f"{material}.tar.xz") == line["content_sha256"]
    assert file.supercell_matrix.tolist() == json.loads(line["supercell_matrix"])
    assert np.allclose(file.primitive_matrix, json.loads(line["primitive_matrix"]), atol=1e-11)
    assert file.dataset is not None and file.dataset["natom"] == line["n_atoms_supercell"]
    assert len(file.dataset["first_atoms"]) == line["n_displacements"]
    assert (file.nac_params is not None) == bool(line["has_born"])


@pytest.mark.parametrize("material", sorted({*PROTOTYPES, *CHEAP}))
def test_primitive_matrix_leaves_no_translation(material: str) -> None:
    """Absent PRIMITIVE_AXIS means the identity: phonopy finds no smaller cell either."""
    file = read(material)
    found = guess_primitive_matrix(file.unitcell)
    assert np.linalg.det(found) == pytest.approx(np.linalg.det(file.primitive_matrix))


@pytest.mark.parametrize("material", PROTOTYPES)
def test_prototype_is_the_cell_of_the_archive(material: str) -> None:
    """Same lattice vectors and same atoms to 1e-4 A, in the same setting: so both matrices mean the same."""
    wanted = read(material).unitcell
    mine = read_phonon_file(DATA / "prototypes" / f"{material}.yaml").unitcell
    assert np.abs(mine.cell - wanted.cell).max() < 1e-4
    assert get_atom_order(mine, wanted, atol=1e-4) is not None


@pytest.mark.parametrize("material", [*CHEAP[:4], *REORDERED])
def test_phonopy_without_diagonal_directions_displaces_as_the_database_does(material: str) -> None:
    file = read(material)
    phonon = Phonopy(file.unitcell, file.supercell_matrix, file.primitive_matrix)
    phonon.generate_displacements(distance=0.01, is_diagonal=False)
    assert phonon.dataset is not None and file.dataset is not None
    same = zip(phonon.dataset["first_atoms"], file.dataset["first_atoms"], strict=True)
    assert all(np.allclose(mine["displacement"], theirs["displacement"], atol=1e-6) for mine, theirs in same)


@pytest.mark.parametrize("material", REORDERED)
def test_forces_are_on_the_atoms_that_they_belong_to(material: str) -> None:
    """Force constants are symmetric in their atoms; with the forces in the file's order they are far from it."""
    file = read(material)
    constants = with_forces(file).force_constants
    assert constants is not None
    asymmetry = np.abs(constants - constants.transpose(1, 0, 3, 2)).max()
    assert asymmetry < 0.02  # eV/A^2; 0.9 to 3.1 without the reordering
