"""Every format gives back the phonons that were written into it; a wrong or hostile file is one clear line."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.calculators.emt import EMT
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.file_IO import get_FORCE_SETS_lines
from phonopy.interface.vasp import get_vasp_structure_lines
from phonopy.structure.atoms import PhonopyAtoms

from pesbench.errors import PesbenchError
from pesbench.sources import archives
from pesbench.sources.archives import ArchiveError
from pesbench.sources.phonon_files import PhononFile, PhononFileError, read_phonon_file

PROTOTYPES = Path(__file__).parents[2] / "data" / "prototypes"
CHARGES = {"Cu": 0.4, "Au": -1.2}
Members = dict[str, str]


def forces(cell: PhonopyAtoms) -> NDArray[np.float64]:
    """Return EMT's forces (eV/angstrom)."""
    from ase import Atoms

    atoms = Atoms(
        cell.symbols, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True, calculator=EMT()
    )
    return np.array(atoms.get_forces())


def computed(unitcell: PhonopyAtoms, supercell: object, primitive: object) -> Phonopy:
    phonon = Phonopy(unitcell, supercell, primitive)
    phonon.generate_displacements(distance=0.01, is_diagonal=False)  # as the database does
    phonon.forces = [forces(cell) for cell in phonon.supercells_with_displacements]
    return phonon


@pytest.fixture(scope="module")
def alloy() -> Phonopy:
    """Cu3Au, ordered, with EMT's forces."""
    positions = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    unitcell = PhonopyAtoms(
        symbols=["Au", "Cu", "Cu", "Cu"], cell=3.75 * np.eye(3), scaled_positions=positions
    )
    return computed(unitcell, np.diag([2, 2, 3]), np.eye(3))


@pytest.fixture(scope="module")
def copper() -> Phonopy:
    """Cu, conventional cell of four atoms, with EMT's forces."""
    positions = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    unitcell = PhonopyAtoms(symbols=["Cu"] * 4, cell=3.6 * np.eye(3), scaled_positions=positions)
    return computed(unitcell, np.diag([2, 2, 2]), [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def members(phonon: Phonopy) -> Members:
    """Return the files of a PhononDB archive, as the database writes them."""
    words = " ".join(str(x) for x in phonon.supercell_matrix.ravel())
    axes = " ".join(str(x) for x in phonon.primitive_matrix.ravel())
    charges = [CHARGES["Au"], CHARGES["Cu"]]
    born = "\n".join(" ".join(str(x) for x in (z * np.eye(3)).ravel()) for z in (5.0, *charges))
    return {
        "POSCAR-unitcell": "\n".join(get_vasp_structure_lines(phonon.unitcell)),
        "phonopy.conf": f"DIM = {words}\nPRIMITIVE_AXIS = {axes}",
        "FORCE_SETS": "\n".join(get_FORCE_SETS_lines(phonon.dataset)),
        "disp.yaml": str(phonon.supercell),
        "BORN": f"# epsilon and Z* of atoms 1 2\n{born}\n",
        "INCAR-force": "PREC = Accurate",
    }


def pack(path: Path, files: Members, extra: list[tarfile.TarInfo] | None = None) -> Path:
    mode = "w:xz" if path.name.endswith(".xz") else "w"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{path.name.split('.')[0]}-20180417/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
        for member in extra or []:
            archive.addfile(member)
    data = buffer.getvalue()
    path.write_bytes(lzma.compress(data, lzma.FORMAT_ALONE) if path.suffix == ".lzma" else data)
    return path


def spectrum(phonon: Phonopy | PhononFile) -> NDArray[np.float64]:
    """Return all frequencies (THz) on a small mesh; of a file, from the forces that it holds."""
    if isinstance(phonon, PhononFile):
        file, phonon = phonon, Phonopy(phonon.unitcell, phonon.supercell_matrix, phonon.primitive_matrix)
        phonon.dataset = file.dataset
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    phonon.run_mesh([3, 3, 3], is_gamma_center=True, is_mesh_symmetry=False)
    return np.sort(phonon.mesh.frequencies.ravel())


@pytest.mark.parametrize("suffix", [".tar.xz", ".tar.lzma"])
def test_archive_gives_back_its_phonons(tmp_path: Path, alloy: Phonopy, suffix: str) -> None:
    file = read_phonon_file(pack(tmp_path / f"mp-2258{suffix}", members(alloy)))
    assert file.material == "mp-2258" and file.energy_ev is None
    assert (
        np.array_equal(file.supercell_matrix, np.diag([2, 2, 3])) and file.supercell_matrix.dtype == np.int64
    )
    assert np.allclose(spectrum(file), spectrum(alloy), atol=1e-6)
    assert spectrum(file).max() > 4
    assert file.nac_params is not None
    born = file.nac_params["born"]
    assert np.allclose(born, [CHARGES[s] * np.eye(3) for s in alloy.primitive.symbols])
    assert file.nac_params["factor"] == pytest.approx(14.39965, abs=1e-4)  # e^2 / (4 pi eps0) in eV A


def test_without_primitive_axis_the_unit_cell_is_primitive(tmp_path: Path, copper: Phonopy) -> None:
    files = members(copper) | {"phonopy.conf": "dim = 2 2 2  # three integers will do\n"}
    del files["BORN"]
    file = read_phonon_file(pack(tmp_path / "mp-30.tar.xz", files))
    assert np.array_equal(file.primitive_matrix, np.eye(3)) and file.nac_params is None
    assert np.array_equal(file.supercell_matrix, np.diag([2, 2, 2]))


@pytest.mark.parametrize("axes", ["0 1/2 1/2 1/2 0 1/2 1/2 1/2 0", "0.0 0.5 0.5 0.5 0.0 0.5 0.5 0.5 0.0"])
@pytest.mark.parametrize("tag", ["PRIMITIVE_AXIS", "primitive_axes"])
def test_primitive_axes_in_fractions_and_decimals(
    tmp_path: Path, copper: Phonopy, axes: str, tag: str
) -> None:
    files = members(copper) | {"phonopy.conf": f"DIM = 2 2 2\n{tag} = {axes}"}
    del files["BORN"]
    file = read_phonon_file(pack(tmp_path / "mp-30.tar.xz", files))
    assert np.allclose(file.primitive_matrix, [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def test_non_diagonal_supercell_gives_the_same_phonons(tmp_path: Path, copper: Phonopy) -> None:
    """The conventional 2 x 2 x 2 supercell, made of the primitive cell."""
    matrix = 2 * np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    primitive = computed(copper.primitive, matrix, np.eye(3))
    files = members(primitive)
    assert files.pop("BORN") and "DIM = -2 2 2 2 -2 2 2 2 -2" in files["phonopy.conf"]
    file = read_phonon_file(pack(tmp_path / "mp-30.tar.xz", files))
    assert np.array_equal(file.supercell_matrix, matrix)
    assert np.allclose(spectrum(file), spectrum(copper), atol=1e-4)


@pytest.mark.parametrize(("points", "coordinates"), [("points", "coordinates"), ("atoms", "position")])
def test_forces_follow_the_order_of_atoms_that_disp_yaml_tells(
    tmp_path: Path, alloy: Phonopy, points: str, coordinates: str
) -> None:
    """A supercell of the same atoms written in another order: as phonopy of 2018 does with atoms at 0.99999."""
    order = np.random.default_rng(0).permutation(len(alloy.supercell))
    cell = alloy.supercell
    shuffled = PhonopyAtoms(
        symbols=[cell.symbols[i] for i in order],
        cell=cell.cell,
        scaled_positions=cell.scaled_positions[order],
    )
    first = [
        one | {"number": int(np.argmax(order == one["number"])), "forces": one["forces"][order]}
        for one in alloy.dataset["first_atoms"]
    ]
    sets = get_FORCE_SETS_lines({"natom": len(cell), "first_atoms": first})
    text = str(shuffled).replace("points:", f"{points}:").replace("coordinates:", f"{coordinates}:")
    files = members(alloy) | {"disp.yaml": text, "FORCE_SETS": "\n".join(sets)}
    file = read_phonon_file(pack(tmp_path / "mp-1.tar.xz", files))
    assert file.dataset is not None
    for mine, theirs in zip(file.dataset["first_atoms"], alloy.dataset["first_atoms"], strict=True):
        assert mine["number"] == theirs["number"] and np.allclose(mine["forces"], theirs["forces"], atol=1e-8)
    assert np.allclose(spectrum(file), spectrum(alloy), atol=1e-6)


OPENERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".xz": lzma.compress,
    ".gz": gzip.compress,
    # In blocks of their own, as parallel compressors write it.
    ".bz2": lambda data: bz2.compress(data[:1000]) + bz2.compress(data[1000:]),
}


@pytest.mark.parametrize("suffix", OPENERS)
def test_phonopy_yaml_of_the_newer_release(tmp_path: Path, alloy: Phonopy, suffix: str) -> None:
    born = np.array([CHARGES[s] * np.eye(3) for s in alloy.primitive.symbols])
    alloy.nac_params = {"born": born, "dielectric": 5 * np.eye(3), "factor": 14.4}
    folder = tmp_path / "mp-2258"
    folder.mkdir()
    alloy.save(folder / "plain.yaml", settings={"force_constants": False})
    alloy.nac_params = None
    path = folder / f"phonopy_params.yaml{suffix}"
    path.write_bytes(OPENERS[suffix]((folder / "plain.yaml").read_bytes()))
    file = read_phonon_file(path)
    assert file.material == "mp-2258" and file.energy_ev is None
    assert np.allclose(spectrum(file), spectrum(alloy), atol=1e-6)
    assert file.nac_params is not None and np.allclose(file.nac_params["born"], born)
    assert file.nac_params["factor"] == 14.4


@pytest.mark.parametrize(("written", "read"), [(-13.5, -13.5), (float("nan"), None)])
def test_alexandria_file(tmp_path: Path, copper: Phonopy, written: float, read: float | None) -> None:
    """phonopy's file with keys of theirs, sorted, comments gone, as their script calc_ref.py writes it."""
    copper.save(tmp_path / "plain.yaml", settings={"force_constants": True, "force_sets": True})
    data = yaml.safe_load((tmp_path / "plain.yaml").read_text())
    data |= {"energy": written, "volume": 46.7, "nsites": 4, "phonon_freq": [[0.0, 1.0]], "entropy": [1.0]}
    path = tmp_path / "mp-30.yaml.bz2"
    path.write_bytes(bz2.compress(yaml.dump(data).encode()))
    file = read_phonon_file(path)
    assert file.energy_ev == read and file.material == "mp-30"
    assert np.allclose(file.primitive_matrix, copper.primitive_matrix)
    assert np.allclose(spectrum(file), spectrum(copper), atol=1e-6)


def test_structures_alone(tmp_path: Path, copper: Phonopy) -> None:
    """The rule: every lattice vector of the supercell at least 12 angstrom, and none of them could be shorter."""
    from pymatgen.core import Lattice, Structure

    poscar = tmp_path / "POSCAR-mine"
    poscar.write_text("\n".join(get_vasp_structure_lines(copper.unitcell)))
    structure = Structure.from_spacegroup("P6_3mc", Lattice.hexagonal(3.11, 4.98), ["Al", "N"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.3819]])  # fmt: skip  # noqa: E501
    structure.to(str(tmp_path / "aln.cif"))
    expected = {
        poscar: ("POSCAR-mine", [4, 4, 4], 1),
        tmp_path / "aln.cif": ("aln", [4, 4, 3], 4),
        PROTOTYPES / "mp-7000.yaml": ("mp-7000", [3, 3, 3], 9),
        PROTOTYPES / "mp-22862.yaml": ("mp-22862", [3, 3, 3], 2),
    }
    for path, (material, diagonal, n_primitive) in expected.items():
        file = read_phonon_file(path)
        assert (file.material, file.dataset, file.nac_params, file.energy_ev) == (material, None, None, None)
        assert file.supercell_matrix.tolist() == np.diag(diagonal).tolist()
        lengths = np.linalg.norm(file.unitcell.cell, axis=1)
        assert (lengths * diagonal >= 12).all() and (lengths * (np.array(diagonal) - 1) < 12).all()
        assert len(file.unitcell) * np.linalg.det(file.primitive_matrix) == pytest.approx(n_primitive)


def change(name: str, old: str, new: str) -> Callable[[Members], Members]:
    def changed(files: Members) -> Members:
        assert old in files[name], f"{name} has no '{old}'"
        return files | {name: files[name].replace(old, new, 1)}

    return changed


def without(name: str) -> Callable[[Members], Members]:
    return lambda files: {key: text for key, text in files.items() if key != name}


WRONG_ARCHIVES: dict[str, tuple[Callable[[Members], Members], str]] = {
    "no forces": (without("FORCE_SETS"), "holds no FORCE_SETS"),
    "no structure": (without("POSCAR-unitcell"), "holds no POSCAR-unitcell"),
    "no settings": (without("phonopy.conf"), "holds no phonopy.conf"),
    "forces of another supercell": (
        change("phonopy.conf", "DIM = 2 0 0 0 2 0 0 0 3", "DIM = 2 2 2"), "of 48 atoms, the supercell has 32",
    ),
    "supercell of another shape": (
        change("phonopy.conf", "DIM = 2 0 0 0 2 0 0 0 3", "DIM = 3 2 2"), "supercell is not that",
    ),
    "forces cut off": (lambda f: f | {"FORCE_SETS": f["FORCE_SETS"][:900]}, "another number of lines"),
    "NaN force": (
        lambda f: f | {"FORCE_SETS": f["FORCE_SETS"].rsplit(maxsplit=1)[0] + " NaN"}, "force that is not finite",
    ),
    "word for a force": (
        lambda f: f | {"FORCE_SETS": f["FORCE_SETS"].rsplit(maxsplit=1)[0] + " ****"}, "FORCE_SETS cannot be used",
    ),
    "zero displacement": (
        change("FORCE_SETS", "0.0100000000000000", "0.0000000000000000"), "displacement 1 is zero",
    ),
    "displaced atom out of range": (change("FORCE_SETS", "\n1    \n", "\n49\n"), "of atom 49 of 48"),
    "displaced atom zero": (change("FORCE_SETS", "\n1    \n", "\n0\n"), "of atom 0 of 48"),
    "DIM of words": (change("phonopy.conf", "DIM = 2", "DIM = two"), "write 3 or 9 integers"),
    "DIM of four": (lambda f: f | {"phonopy.conf": "DIM = 2 2 2 2"}, "write 3 or 9 integers"),
    "no DIM": (change("phonopy.conf", "DIM", "DIMENSION"), "write 3 or 9 integers"),
    "DIM without volume": (lambda f: f | {"phonopy.conf": "DIM = 2 0 2"}, "determinant 0"),
    "left-handed DIM": (lambda f: f | {"phonopy.conf": "DIM = 2 2 -3"}, "determinant -12"),
    "huge DIM": (lambda f: f | {"phonopy.conf": "DIM = 9999 9999 9999"}, "determinant"),
    "primitive cell that is none": (
        change("phonopy.conf", "PRIMITIVE_AXIS = 1.0 0.0 0.0 0.0 1.0", "PRIMITIVE_AXIS = 0.3 0.0 0.0 0.0 1.0"),
        "the primitive matrix cannot be used",
    ),
    "division by zero": (change("phonopy.conf", "AXIS = 1.0", "AXIS = 1/0"), "9 numbers or fractions"),
    "BORN of one atom": (lambda f: f | {"BORN": f["BORN"].rsplit("\n", 2)[0]}, "BORN cannot be used"),
    "BORN of three atoms": (
        lambda f: f | {"BORN": f["BORN"] + f["BORN"].splitlines()[2]}, "BORN cannot be used",
    ),
    "BORN with NaN": (change("BORN", "5.0", "nan"), "not finite"),
    "unnamed elements": (
        change("POSCAR-unitcell", "Au Cu\n", ""), "no element for each",
    ),
    "two atoms at one place": (
        change("POSCAR-unitcell", "0.5000000000000000  0.5000000000000000  0.0000000000000000",
               "0.5000000000000000  0.0000000000000000  0.4999999999999999"), "two atoms are 0.000 A apart",
    ),
    "atoms without lines": (change("POSCAR-unitcell", "   1    3", "   1    999999999"), "atoms in"),
    "negative scale": (change("POSCAR-unitcell", "   1.0", "  -40.0"), "scale in line 2"),
    "disp.yaml of objects": (lambda f: f | {"disp.yaml": "!!python/object/apply:os.getcwd []"}, "disp.yaml"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_ARCHIVES)
def test_wrong_archive_is_one_clear_line(tmp_path: Path, alloy: Phonopy, case: str) -> None:
    spoil, words = WRONG_ARCHIVES[case]
    path = pack(tmp_path / "mp-2258.tar.xz", spoil(members(alloy)))
    with pytest.raises(PhononFileError) as caught:
        read_phonon_file(path)
    message = str(caught.value)
    assert words in message and str(path) in message and "\n" not in message and ";" in message


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("suffix", [".tar.xz", ".tar.lzma"])
def test_truncated_archive(tmp_path: Path, alloy: Phonopy, suffix: str, share: float) -> None:
    path = pack(tmp_path / f"mp-2258{suffix}", members(alloy))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ArchiveError, match=r"mp-2258.*truncated or corrupt.*fetch it again$"):
        read_phonon_file(path)


def test_corrupt_absent_and_unknown_files(tmp_path: Path) -> None:
    for name in ("mp-1.tar.xz", "mp-1.yaml.bz2", "mp-1.yaml.gz"):
        (tmp_path / name).write_bytes(b"<html>not found</html>")
        with pytest.raises(ArchiveError, match="fetch it again"):
            read_phonon_file(tmp_path / name)
    with pytest.raises(ArchiveError, match="cannot be read"):
        read_phonon_file(tmp_path / "mp-2.tar.xz")
    with pytest.raises(PhononFileError, match=r"name it \*.tar.xz"):
        read_phonon_file(tmp_path / "phonons.rar")


def test_nothing_of_an_archive_reaches_the_disk(tmp_path: Path, alloy: Phonopy) -> None:
    """Links, devices, absolute names and names that climb: passed over, or read by their last part alone."""
    secret = tmp_path / "secret"
    secret.write_text("mine")
    link, device, hard = (tarfile.TarInfo(name) for name in ("a/BORN", "b/BORN", "c/BORN"))
    link.type, link.linkname = tarfile.SYMTYPE, str(secret)
    hard.type, hard.linkname = tarfile.LNKTYPE, "mp-2258-20180417/INCAR-force"
    device.type = tarfile.CHRTYPE
    files = members(alloy)
    files = {f"../../../../{tmp_path}/{name}": text for name, text in files.items() if name != "BORN"}
    box = tmp_path / "box"
    box.mkdir()
    file = read_phonon_file(pack(box / "mp-2258.tar.xz", files, [link, device, hard]))
    assert file.nac_params is None and np.allclose(spectrum(file), spectrum(alloy), atol=1e-6)
    assert sorted(os.listdir(tmp_path)) == ["box", "secret"] and os.listdir(box) == ["mp-2258.tar.xz"]


def test_two_members_of_one_name(tmp_path: Path, alloy: Phonopy) -> None:
    files = members(alloy)
    path = pack(tmp_path / "mp-2258.tar.xz", files | {"other/FORCE_SETS": files["FORCE_SETS"]})
    with pytest.raises(ArchiveError, match="FORCE_SETS twice"):
        read_phonon_file(path)


def test_sparse_member_that_claims_gigabytes(tmp_path: Path, alloy: Phonopy) -> None:
    header = bytearray(tarfile.TarInfo("mp-2258-20180417/BORN").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[483:495] = b"%011o\0" % 2**32  # real size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = pack(tmp_path / "mp-2258.tar.xz", members(alloy))
    path.write_bytes(lzma.compress(bytes(header) + lzma.decompress(path.read_bytes())))
    with pytest.raises(ArchiveError, match="BORN is beyond the bounds"):
        read_phonon_file(path)


@pytest.mark.parametrize("bound", ["MOST_BYTES", "MOST_MEMBER_BYTES", "MOST_MEMBERS"])
def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alloy: Phonopy, bound: str) -> None:
    path = pack(tmp_path / "mp-2258.tar.xz", members(alloy) | {"FORCE_SETS": "0 " * 2_000_000})
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(archives, bound, 3 if bound == "MOST_MEMBERS" else 3_000_000)
    with pytest.raises(ArchiveError, match=r"holds more than|beyond the bounds"):
        read_phonon_file(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("!!python/object/apply:os.mkdir [{planted}]", "the YAML cannot be used"),
        ("a: &a [1, 1]\nb: &b [*a, *a]\nunit_cell: {lattice: *b}", "anchors"),
        ("[1, 2", "the YAML cannot be used"),
        ("just words", "not a mapping"),
        ("unit_cell: {}\nother: 1", "no unit_cell and supercell_matrix"),
        ("unit_cell: {lattice: [[1, 0], [0]]}\nsupercell_matrix: 3", "cannot be used"),
        ("\x00", "the YAML cannot be used"),
    ],
)
def test_wrong_or_hostile_yaml(tmp_path: Path, text: str, words: str) -> None:
    """phonopy's own reader runs what the first of these says (phonopy 4.8.6, ``Loader=yaml.CLoader``)."""
    planted, path = tmp_path / "planted", tmp_path / "mp-1.yaml"
    path.write_text(text.format(planted=planted) if "{planted}" in text else text)
    with pytest.raises(PesbenchError) as caught:
        read_phonon_file(path)
    assert words in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not planted.exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("phonopy:\n", "phonopy:\n  calculator: qe\n", "conflicts with calculator"),
        ('length: "angstrom"', 'length: "au"', "conflicts with calculator"),
        ("atom:    1", "atom:    0", "of atom 0 of 32"),
        ("- [   2,   0,   0 ]", "- [   4,   0,   0 ]", "supercell is not that"),
        ("0.0100000000000000", "0.0000000000000000", "displacement 1 is zero"),
        ("- atom:", "- atom: x", "cannot be used"),
    ],
)
def test_phonopy_yaml_that_contradicts_itself(
    tmp_path: Path, copper: Phonopy, old: str, new: str, words: str
) -> None:
    path = tmp_path / "mp-30.yaml"
    copper.save(path)
    text = path.read_text()
    head, key, sets = text.partition("displacements:\n")
    assert old in (sets if "atom" in old or "0.01" in old else head)
    path.write_text(head + key + sets.replace(old, new, 1) if old in sets else text.replace(old, new, 1))
    with pytest.raises(PhononFileError, match=words) as caught:
        read_phonon_file(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
