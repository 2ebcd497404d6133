"""Read the one structure that a user brings, whatever wrote it, or say in one line what is wrong with it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pesbench.errors import PesbenchError
from pesbench.failures import is_infrastructure

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

SHORTEST_DISTANCE_ANG = 0.5
KINDS = "*.cif, POSCAR*, CONTCAR*, *.vasp, *.extxyz, *.xyz, or anything else that ASE reads"


class RequestError(PesbenchError):
    """What was asked for cannot be checked: a file, a name, or a combination of both is wrong."""


def read_structure(path: Path) -> Atoms:
    """Read and check a user's structure.

    Returns
    -------
    ase.Atoms
        Periodic in three directions, every site one whole atom, no calculator, nothing but elements, positions, cell.

    Raises
    ------
    RequestError
        One line with the file, what is wrong and the mend.
    """
    if not path.is_file():
        raise RequestError(f"{path}: no such file; give STRUCTURE the path of {KINDS}")
    with _one_line(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        atoms = _read(path)
    return _sound(path, atoms)


@contextlib.contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Turn what a reader raises into one line."""
    try:
        yield
    except PesbenchError:
        raise
    except Exception as error:
        if is_infrastructure(error):  # the machine's fault, not the file's
            raise
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise RequestError(
            f"{path}: cannot be read as a structure ({reason}); open it in a viewer, mend it, or export it again as "
            "CIF or POSCAR"
        ) from error


def _read(path: Path) -> Atoms:
    from ase.io import iread

    name = path.name.lower()
    if name.endswith((".cif", ".mcif")):
        return _of_cif(path)
    if name.startswith(("poscar", "contcar")) or name.endswith((".vasp", ".poscar")):
        return next(iread(path, format="vasp"))
    if name.endswith((".extxyz", ".xyz")):
        return next(iread(path, ":", format="extxyz"))
    return next(iread(path))


def _of_cif(path: Path) -> Atoms:
    from pymatgen.io.ase import AseAtomsAdaptor
    from pymatgen.io.cif import CifParser

    # A tolerance above one: sites on top of each other are told as shared below, not averaged away.
    structures = CifParser(path, occupancy_tolerance=100).parse_structures(primitive=False, check_occu=False)
    if len(structures) != 1:
        raise RequestError(f"{path}: holds {len(structures)} structures; leave the one that is to be checked")
    structure = structures[0]
    _refuse_shared(path, structure)
    if not structure.is_ordered:
        raise RequestError(f"{path}: a site is shared or partly occupied; give an ordered cell")
    return AseAtomsAdaptor.get_atoms(structure, msonable=False)


def _refuse_shared(path: Path, structure: Structure) -> None:
    """Refuse a structure with sites that are occupied in part or by several elements, naming them."""
    shared = [site for site in structure if not site.is_ordered or abs(site.species.num_atoms - 1) > 1e-4]
    if shared:
        which = ", ".join(dict.fromkeys(site.species_string for site in shared[:4]))
        raise RequestError(
            f"{path}: {len(shared)} of {len(structure)} sites are shared or partly occupied ({which}); a model needs "
            "whole atoms: write an ordered cell (pymatgen's OrderDisorderedStructureTransformation makes one)"
        )


def _sound(path: Path, atoms: Atoms) -> Atoms:
    from ase import Atoms as Plain

    if not len(atoms):
        raise RequestError(f"{path}: holds no atom")
    if atoms.cell.rank < 3 or not np.isfinite(atoms.cell.array).all() or atoms.get_volume() < 1e-3:
        raise RequestError(
            f"{path}: has no cell of three axes; a crystal is needed (molecules are not checked)"
        )
    if not atoms.pbc.all():
        raise RequestError(
            f"{path}: is not periodic in three directions; set pbc to T T T if it is a crystal"
        )
    if (atoms.numbers < 1).any() or not np.isfinite(atoms.positions).all():
        raise RequestError(f"{path}: has dummy atoms, or positions that are no numbers; mend the sites")
    plain = Plain(atoms.numbers, positions=atoms.positions, cell=atoms.cell.array, pbc=True)
    shortest = shortest_distance_ang(plain)
    if shortest < SHORTEST_DISTANCE_ANG:
        raise RequestError(
            f"{path}: two atoms are {shortest:.2f} Å apart; mend the sites or the unit of the cell"
        )
    return plain


def shortest_distance_ang(atoms: Atoms) -> float:
    """Return the shortest distance of two atoms, images included; infinite where none is within 2 angstrom."""
    from ase.neighborlist import neighbor_list

    distances = neighbor_list("d", atoms, 2.0)
    return float(distances.min()) if len(distances) else float("inf")
