"""High-energy states of a crystal: cells to start from, rattled cells, strained snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure


def starting_cell(structure: Structure, min_atoms: int) -> Atoms:
    """Return the conventional cell, its shortest axis doubled until it has enough atoms."""
    from pymatgen.io.ase import AseAtomsAdaptor

    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    while len(atoms) < min_atoms:
        repeat = [1, 1, 1]
        repeat[int(np.argmin(atoms.cell.lengths().round(6)))] = 2
        atoms = atoms.repeat(repeat)
    atoms.info = {}
    return atoms


def rattled(atoms: Atoms, deviation_ang: float, seed: int) -> Atoms:
    """Return a copy with every coordinate moved by normal noise of this standard deviation (angstrom), by ASE."""
    copy = atoms.copy()
    copy.rattle(stdev=deviation_ang, seed=seed)
    return copy


def strained(atoms: Atoms, strain: float) -> Atoms:
    """Return a copy whose three axes are longer by ``strain`` (0.03: 3 %), the atoms moved with them."""
    copy = atoms.copy()
    copy.set_cell(copy.cell.array * (1.0 + strain), scale_atoms=True)
    return copy


def strains(count: int, number: int, size: float) -> list[float]:
    """Return the strain of each of ``count`` snapshots: ``number`` of them, spread evenly, in turn +size and -size."""
    chosen = [int((k + 0.5) * count / number) for k in range(number)]
    found = [0.0] * count
    for turn, index in enumerate(chosen):
        found[index] = size if turn % 2 == 0 else -size
    return found
