"""Cut symmetric, stoichiometric slabs from a bulk crystal; terminations keep their names from model to model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core.surface import SlabGenerator

if TYPE_CHECKING:
    from pymatgen.core import Structure
    from pymatgen.core.surface import Slab

Miller = tuple[int, int, int]
#: Within this distance (angstrom) the two faces of a slab count as images of each other.
SYMPREC_ANG = 0.1


@dataclass(frozen=True)
class Termination:
    """One way to cut a slab at a Miller index.

    Attributes
    ----------
    label
        ``t1``, ``t2``, ... by the height of the cut.
    shift
        Height of the cut, as a fraction of the oriented unit cell's third axis.
    """

    label: str
    shift: float


def generator(bulk: Structure, miller: Miller, min_slab_ang: float, min_vacuum_ang: float) -> SlabGenerator:
    """Return pymatgen's slab generator for a conventional cell, as used by every function here."""
    return SlabGenerator(
        bulk,
        miller,
        min_slab_size=min_slab_ang,
        min_vacuum_size=min_vacuum_ang,
        center_slab=True,
        primitive=True,
    )


def is_usable(slab: Slab, bulk: Structure) -> bool:
    """Return whether a slab has two equivalent faces and the bulk's composition."""
    stoichiometric = slab.composition.reduced_formula == bulk.composition.reduced_formula
    return bool(stoichiometric and slab.is_symmetric(symprec=SYMPREC_ANG))


def terminations(
    bulk: Structure, miller: Miller, min_slab_ang: float = 10.0, min_vacuum_ang: float = 10.0
) -> list[Termination]:
    """Enumerate the symmetric, stoichiometric terminations of a bulk crystal at one Miller index.

    Call it on the material's structure file, never on a model's relaxed cell:
    ``t1`` is then the same cut for every model.

    Parameters
    ----------
    bulk
        Conventional cell; Miller indices refer to it.
    miller
        Plane (h, k, l).

    Returns
    -------
    list
        By increasing height of the cut; empty where no such slab exists.
    """
    slabs = generator(bulk, miller, min_slab_ang, min_vacuum_ang).get_slabs()
    shifts = sorted(round(float(slab.shift), 6) % 1.0 for slab in slabs if is_usable(slab, bulk))
    return [Termination(f"t{number}", shift) for number, shift in enumerate(shifts, start=1)]


def cut(bulk: Structure, miller: Miller, shift: float, min_slab_ang: float, min_vacuum_ang: float) -> Slab:
    """Cut one slab from a model's relaxed bulk.

    Raises
    ------
    ValueError
        When the slab is not symmetric or not stoichiometric: the relaxation changed the crystal too much.
    """
    slab = generator(bulk, miller, min_slab_ang, min_vacuum_ang).get_slab(shift=shift)
    if not is_usable(slab, bulk):
        raise ValueError(
            f"cut at {miller}, shift {shift:.4f}, is not symmetric and stoichiometric on the relaxed bulk"
        )
    return slab


def area_ang2(slab: Slab) -> float:
    """Return the area of one face (angstrom^2)."""
    a, b = slab.lattice.matrix[:2]
    return float(np.linalg.norm(np.cross(a, b)))


def thickness_ang(slab: Slab) -> float:
    """Return the distance from the lowest to the highest atom along the surface normal (angstrom)."""
    a, b = slab.lattice.matrix[:2]
    normal = np.cross(a, b) / np.linalg.norm(np.cross(a, b))
    heights = slab.cart_coords @ normal
    return float(heights.max() - heights.min())
