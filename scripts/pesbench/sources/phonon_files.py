"""What databases say of one material's phonons: structure, supercell, displacements with forces, Born charges.

Read here: archives of PhononDB's release of 2018-04-17; phonopy's yaml, in which the database's newer release at
NIMS (``phonopy_params.yaml.xz`` in a zip archive, doi:10.48505/nims.4197) and Alexandria's phonon benchmark
(``<mp-id>.yaml.bz2``) come; and structures alone. phonopy's own reader of these yaml files can run code that a file
holds, hence it gets them parsed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from phonopy.exception import BORNFileParseError
from phonopy.file_IO import get_cell_from_disp_yaml, parse_BORN_from_strings, parse_FORCE_SETS_from_strings
from phonopy.interface.calculator import get_calculator_physical_units
from phonopy.interface.phonopy_yaml import load_phonopy_yaml
from phonopy.interface.vasp import read_vasp_from_strings
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import get_atom_order, get_primitive, get_supercell, guess_primitive_matrix

from pesbench.errors import PesbenchError
from pesbench.sources.archives import read_bounded, read_members, read_zipped, safe_yaml

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import Structure

MATERIAL = re.compile(r"(?:mp|mvc)-\d+")
ARCHIVE = re.compile(r"\.tar\.(xz|lzma|gz|bz2)$")
YAML = re.compile(r"\.ya?ml(\.(xz|lzma|gz|bz2))?$|\.zip$")
#: The member of a zip archive of the database's newer release that is read.
PARAMETERS = "phonopy_params.yaml.xz"
POSCAR = re.compile(r"POSCAR|CONTCAR|\.vasp$", re.IGNORECASE)
#: Members of a PhononDB archive that are read; BORN is there for some insulators only.
MEMBERS = ("BORN", "FORCE_SETS", "POSCAR-unitcell", "disp.yaml", "phonopy.conf")
LEAST_SUPERCELL_ANG = 12.0
SHORTEST_DISTANCE_ANG = 0.5
SAME_POSITION_ANG = 1e-4
MOST_CELL_ATOMS = 1000
MOST_SUPERCELL_ATOMS = 5000


class PhononFileError(PesbenchError):
    """A file of a phonon database, or a structure file, contradicts itself or cannot be read."""


@dataclass(frozen=True)
class PhononFile:
    """What a database says of one material's phonons.

    Attributes
    ----------
    material
        Materials Project id in the name of the file or its folder, or else the file's stem.
    unitcell
        Cell that the matrices refer to.
    supercell_matrix
        (3, 3) integers, phonopy's convention: the columns are the supercell's vectors.
    primitive_matrix
        (3, 3), likewise; the identity where the unit cell is the primitive cell.
    dataset
        phonopy's displacements of one atom each, angstrom, with forces in eV/angstrom; None where the file has a
        structure alone.
    nac_params
        phonopy's ``born`` (n_primitive, 3, 3) in e, ``dielectric`` (3, 3), ``factor``; None without Born charges.
    energy_ev
        Of the unit cell, where the file states it.
    """

    material: str
    unitcell: PhonopyAtoms
    supercell_matrix: NDArray[np.int64]
    primitive_matrix: NDArray[np.float64]
    dataset: dict[str, Any] | None
    nac_params: dict[str, Any] | None
    energy_ev: float | None


def read_phonon_file(path: Path) -> PhononFile:
    """Read one material's phonon data, or its structure alone.

    A structure file (POSCAR, CIF, ``data/prototypes``) gets the supercell of `default_supercell_matrix` and the
    primitive cell that phonopy finds.

    Parameters
    ----------
    path
        PhononDB archive (``*.tar.xz``, ``*.tar.lzma``), phonopy yaml (plain, ``.xz``, ``.gz``, ``.bz2``, or
        ``phonopy_params.yaml.xz`` in a ``.zip``), prototype yaml, ``*.cif``, or a file with POSCAR or CONTCAR in its
        name or the suffix ``.vasp``.

    Raises
    ------
    PhononFileError, pesbench.sources.archives.ArchiveError, pesbench.errors.PrototypeError
        One line that names the file and the mend.
    """
    if ARCHIVE.search(path.name):
        return _from_archive(path)
    if YAML.search(path.name):
        return _from_yaml(path)
    if path.suffix.lower() == ".cif":
        return _structure_alone(path, _cif(path))
    if POSCAR.search(path.name):
        return _structure_alone(path, _poscar(path, "the file", _text(path, "the file", read_bounded(path))))
    raise PhononFileError(
        f"{path}: the name does not say what it holds; "
        "name it *.tar.xz, *.tar.lzma, *.yaml (.xz, .gz, .bz2), *.zip, *.cif, *.vasp or POSCAR*"
    )


def default_supercell_matrix(cell: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the smallest diagonal supercell matrix with which every lattice vector is at least 12 angstrom long.

    Parameters
    ----------
    cell
        (3, 3) lattice vectors in rows, angstrom.
    """
    # ASSUME: 12 A. PhononDB states no rule; the shortest vector of its supercells is 10.3 A in the median of 597.
    lengths = np.linalg.norm(cell, axis=1)
    return np.diag([math.ceil(LEAST_SUPERCELL_ANG / length - 1e-9) for length in lengths]).astype(np.int64)


@contextmanager
def _one_line(path: Path, what: str, mend: str) -> Iterator[None]:
    """Turn what parsers of text say about wrong text into one line that names file, part and mend."""
    try:
        yield
    except PhononFileError:
        raise
    except (
        ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RuntimeError, AssertionError,
        yaml.YAMLError, BORNFileParseError,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise PhononFileError(f"{path}: {what} cannot be used ({reason}); {mend}") from error


def _text(path: Path, what: str, data: bytes) -> str:
    with _one_line(path, what, "it must be plain text"):
        return data.decode("utf-8")


def _material(path: Path) -> str:
    found = MATERIAL.search(path.name) or MATERIAL.search(path.parent.name)
    return found.group() if found else path.name.split(".")[0]


def _from_archive(path: Path) -> PhononFile:
    """Read a PhononDB archive."""
    members = read_members(path, MEMBERS)
    absent = [name for name in MEMBERS if name not in members and name != "BORN"]
    if absent:
        raise PhononFileError(f"{path}: holds no {', '.join(absent)}; fetch the archive again")
    texts = {name: _text(path, name, data) for name, data in members.items()}
    unitcell = _poscar(path, "POSCAR-unitcell", texts["POSCAR-unitcell"])
    supercell_matrix, primitive_matrix = _conf(path, texts["phonopy.conf"])
    supercell, primitive = _cells(path, unitcell, supercell_matrix, primitive_matrix)
    nac = _born(path, texts["BORN"], primitive) if "BORN" in texts else None
    dataset = _force_sets(path, texts["FORCE_SETS"], len(supercell))
    with _one_line(path, "disp.yaml", "fetch the archive again"):
        written = get_cell_from_disp_yaml(safe_yaml(texts["disp.yaml"].encode()))
        order = _atom_order(written, supercell)
    return PhononFile(
        material=_material(path),
        unitcell=unitcell,
        supercell_matrix=supercell_matrix,
        primitive_matrix=primitive_matrix,
        dataset=_reordered(dataset, order),
        nac_params=nac,
        energy_ev=None,
    )


def _poscar(path: Path, what: str, text: str) -> PhonopyAtoms:
    """Read VASP's structure format; the elements must be named, for phonopy would call them H, He, ..."""
    with _one_line(path, what, "write it as VASP 5 does"):
        lines = text.splitlines()
        if not float(lines[1]) > 0:
            raise ValueError("the scale in line 2 is not a positive number")
        named = not lines[5].split()[0].isdigit()
        counts = [int(count) for count in lines[6 if named else 5].split()]
        if not 0 < sum(counts) <= len(lines):
            raise ValueError(f"{sum(counts)} atoms in {len(lines)} lines")
        names = lines[5 if named else 0].split()
        unknown = [name for name in names if name not in _elements()]
        if unknown or len(names) != len(counts):
            raise ValueError(f"no element for each count in '{lines[5 if named else 0]}'")
        return _sound(read_vasp_from_strings(text))


def _elements() -> dict[str, int]:
    from phonopy.structure.atomic_data import get_atomic_data

    symbols: dict[str, int] = get_atomic_data().symbol_map
    return symbols


def _sound(cell: PhonopyAtoms) -> PhonopyAtoms:
    """Return the cell, or raise ValueError where it is no crystal: not finite, flat, or atoms on each other."""
    if not np.isfinite(cell.cell).all() or not np.isfinite(cell.scaled_positions).all():
        raise ValueError("a lattice vector or a position is not finite")
    if len(cell) > MOST_CELL_ATOMS:
        raise ValueError(f"more than {MOST_CELL_ATOMS} atoms")
    if not cell.volume > 1e-3:
        raise ValueError("the lattice vectors span no volume, or are left-handed")
    apart = cell.scaled_positions[:, None] - cell.scaled_positions[None]
    distances = np.linalg.norm((apart - np.rint(apart)) @ cell.cell, axis=2)
    shortest = distances[~np.eye(len(cell), dtype=bool)].min(initial=np.inf)
    if shortest < SHORTEST_DISTANCE_ANG:
        raise ValueError(f"two atoms are {shortest:.3f} A apart")
    return cell


def _conf(path: Path, text: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return supercell and primitive matrix of phonopy.conf; without PRIMITIVE_AXIS the unit cell is primitive."""
    lines = [line.split("#")[0].partition("=") for line in text.splitlines()]
    tags = {key.strip().upper(): value.split() for key, equals, value in lines if equals}
    with _one_line(path, "DIM of phonopy.conf", "write 3 or 9 integers"):
        size = np.array([int(word) for word in tags["DIM"]], dtype=np.int64)
        supercell_matrix = np.diag(size) if size.size == 3 else size.reshape(3, 3)
    axes = tags.get("PRIMITIVE_AXIS") or tags.get("PRIMITIVE_AXES")
    with _one_line(path, "PRIMITIVE_AXIS of phonopy.conf", "write 9 numbers or fractions"):
        numbers = [float(Fraction(word)) for word in axes] if axes else np.eye(3)
        return supercell_matrix, np.reshape(numbers, (3, 3)).astype(np.float64)


def _cells(
    path: Path, unitcell: PhonopyAtoms, supercell_matrix: NDArray[np.int64], primitive: NDArray[np.float64]
) -> tuple[PhonopyAtoms, PhonopyAtoms]:
    """Return supercell and primitive cell, as a proof that the matrices fit the unit cell."""
    with _one_line(path, "the supercell matrix", "mend DIM or supercell_matrix"):
        size = round(float(np.linalg.det(supercell_matrix)))
        if not 0 < size * len(unitcell) <= MOST_SUPERCELL_ATOMS:
            raise ValueError(
                f"determinant {size}: must be positive and give at most {MOST_SUPERCELL_ATOMS} atoms"
            )
        supercell = get_supercell(unitcell, supercell_matrix)
    with _one_line(path, "the primitive matrix", "mend PRIMITIVE_AXIS or primitive_matrix"):
        return supercell, get_primitive(unitcell, primitive)


def _force_sets(path: Path, text: str, n_atoms: int) -> dict[str, Any]:
    """Read phonopy's FORCE_SETS, one displaced atom a set."""
    mend = "fetch it again, or make FORCE_SETS and DIM of one supercell"
    with _one_line(path, "FORCE_SETS", mend):
        words = text.split()
        stated, n_sets = int(words[0]), int(words[1])
        if stated != n_atoms:
            raise ValueError(f"it is of {stated} atoms, the supercell has {n_atoms}")
        if len(words) != 2 + n_sets * (4 + 3 * n_atoms):
            raise ValueError(f"{n_sets} displacements of {n_atoms} atoms need another number of lines")
        return _checked(dict(parse_FORCE_SETS_from_strings(text, natom=n_atoms)), n_atoms)


def _checked(dataset: dict[str, Any], n_atoms: int) -> dict[str, Any]:
    """Return a displacement dataset, or raise ValueError where a set of it cannot be."""
    if not dataset.get("first_atoms"):
        raise ValueError("it holds no displacements of single atoms")
    for number, one in enumerate(dataset["first_atoms"], start=1):
        if not 0 <= one["number"] < n_atoms:
            raise ValueError(f"displacement {number} is of atom {one['number'] + 1} of {n_atoms}")
        if np.shape(one["displacement"]) != (3,) or not 1e-5 < np.linalg.norm(one["displacement"]) < 1.0:
            raise ValueError(f"displacement {number} is zero, not finite, or beyond 1 A")
        if np.shape(one.get("forces")) != (n_atoms, 3):
            raise ValueError(f"displacement {number} has no forces on {n_atoms} atoms")
        if not np.isfinite(one["forces"]).all():
            raise ValueError(f"displacement {number} has a force that is not finite")
    return dataset


def _atom_order(written: PhonopyAtoms | None, supercell: PhonopyAtoms) -> list[int]:
    """Return which atom of a written supercell each atom of phonopy's is.

    They are the same but for a few materials: phonopy of 2018 put the images of an atom at 0.99999 in another order.
    """
    if written is None:
        return list(range(len(supercell)))
    order = get_atom_order(written, supercell, atol=SAME_POSITION_ANG)
    if order is None:
        raise ValueError("its supercell is not that of the unit cell and the supercell matrix")
    return order


def _reordered(dataset: dict[str, Any], order: list[int]) -> dict[str, Any]:
    """Return a displacement dataset, written in a file's order of atoms, in phonopy's."""
    moved = [
        one | {"number": order.index(one["number"]), "forces": one["forces"][order]}
        for one in dataset["first_atoms"]
    ]
    return dataset | {"first_atoms": moved}


def _born(path: Path, text: str, primitive: PhonopyAtoms) -> dict[str, Any]:
    """Read phonopy's BORN: the dielectric tensor and the charges of the primitive cell's independent atoms."""
    with _one_line(path, "BORN", "it needs a line for each symmetry-independent atom of the primitive cell"):
        return _nac(dict(parse_BORN_from_strings(text, primitive)), len(primitive))


def _nac(given: dict[str, Any], n_primitive: int) -> dict[str, Any]:
    """Return Born charges with their factor, or raise ValueError where they cannot be."""
    if np.shape(given["born"]) != (n_primitive, 3, 3) or np.shape(given["dielectric"]) != (3, 3):
        raise ValueError(f"the charges are not those of {n_primitive} atoms")
    if not np.isfinite(given["born"]).all() or not np.isfinite(given["dielectric"]).all():
        raise ValueError("a charge or the dielectric tensor is not finite")
    return {"factor": get_calculator_physical_units("vasp").nac_factor} | given


def _from_yaml(path: Path) -> PhononFile:
    """Read phonopy's yaml, or a prototype of data/prototypes."""
    raw = read_zipped(path, PARAMETERS) if path.suffix == ".zip" else read_bounded(path)
    with _one_line(path, "the YAML", "fetch it again, or write it again by phonopy"):
        data = safe_yaml(raw)
        if not isinstance(data, dict):
            raise ValueError("it is not a mapping of keys")
    if "mp_id" in data:
        return _prototype(path)
    if "unit_cell" not in data or "supercell_matrix" not in data:
        raise PhononFileError(f"{path}: has no unit_cell and supercell_matrix; give phonopy's own yaml")
    return _from_phonopy(path, data)


def _from_phonopy(path: Path, data: dict[str, Any]) -> PhononFile:
    mend = "write it again by phonopy, with displacements and forces"
    with _one_line(path, "its content", mend):
        read = load_phonopy_yaml(data)
        if read.calculator not in (None, "vasp"):
            raise ValueError(f"its units are those of {read.calculator}, not eV and angstrom")
        assert read.unitcell is not None
        unitcell = _sound(read.unitcell)
        supercell_matrix = np.array(read.supercell_matrix, dtype=np.int64).reshape(3, 3)
        given = read.primitive_matrix
        matrix = guess_primitive_matrix(unitcell) if given is None else np.reshape(given, (3, 3))
    supercell, primitive = _cells(path, unitcell, supercell_matrix, matrix)
    with _one_line(path, "its content", mend):
        order = _atom_order(read.supercell, supercell)
        dataset = _reordered(_checked(dict(read.dataset), len(supercell)), order) if read.dataset else None
        return PhononFile(
            material=_material(path),
            unitcell=unitcell,
            supercell_matrix=supercell_matrix,
            primitive_matrix=matrix,
            dataset=dataset,
            nac_params=_nac(dict(read.nac_params), len(primitive)) if read.nac_params else None,
            energy_ev=_energy(data),
        )


def _energy(data: dict[str, Any]) -> float | None:
    """Return Alexandria's energy of the unit cell (a key of theirs, NaN where they have none)."""
    energy = data.get("energy")
    return float(energy) if isinstance(energy, int | float) and math.isfinite(energy) else None


def _prototype(path: Path) -> PhononFile:
    from pesbench.sources.prototypes import load_prototype

    prototype = load_prototype(path)
    return _structure_alone(path, _from_pymatgen(prototype.structure), prototype.mp_id)


def _cif(path: Path) -> PhonopyAtoms:
    from pymatgen.io.cif import CifParser

    text = _text(path, "the CIF", read_bounded(path))
    with _one_line(path, "the CIF", "mend the cell and the sites"):
        structure = CifParser.from_str(text).parse_structures(primitive=False)[0]
        if not structure.is_ordered:
            raise ValueError("a site is shared or partly occupied")
        return _sound(_from_pymatgen(structure))


def _from_pymatgen(structure: Structure) -> PhonopyAtoms:
    return PhonopyAtoms(
        symbols=[site.specie.symbol for site in structure],
        cell=structure.lattice.matrix,
        scaled_positions=structure.frac_coords,
    )


def _structure_alone(path: Path, unitcell: PhonopyAtoms, material: str | None = None) -> PhononFile:
    supercell_matrix, primitive_matrix = (
        default_supercell_matrix(unitcell.cell),
        guess_primitive_matrix(unitcell),
    )
    _cells(path, unitcell, supercell_matrix, primitive_matrix)
    return PhononFile(
        material=material or _material(path),
        unitcell=unitcell,
        supercell_matrix=supercell_matrix,
        primitive_matrix=primitive_matrix,
        dataset=None,
        nac_params=None,
        energy_ev=None,
    )
