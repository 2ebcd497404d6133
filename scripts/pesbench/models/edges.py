"""Neighbors within a cutoff, as directed edges: what the input graph of every family is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

SAME_SITE_ANG = 1e-8
_OFFSET = 512  # periodic images -512..511 fit into 10 bits each


@dataclass(frozen=True)
class Edges:
    """Directed edges center -> neighbor: indices (n,), periodic image (n, 3), distance (n,)."""

    center: Ints
    neighbor: Ints
    image: Ints
    distance_ang: Floats

    def select(self, keep: NDArray[np.bool_]) -> Edges:
        """Return the edges that are marked."""
        return Edges(self.center[keep], self.neighbor[keep], self.image[keep], self.distance_ang[keep])


def directed_edges(atoms: Atoms, cutoff_ang: float) -> Edges:
    """Find every neighbor within the cutoff; an edge whose reverse was rounded out of it is left out."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    positions = np.ascontiguousarray(atoms.positions, dtype=float)
    center, neighbor, image, distance = find_points_in_spheres(
        positions,
        positions,
        r=cutoff_ang,
        pbc=np.ascontiguousarray(atoms.pbc, dtype=np.int64),
        lattice=np.ascontiguousarray(atoms.cell.array, dtype=float),
        tol=SAME_SITE_ANG,
    )
    found = Edges(center, neighbor, image.astype(np.int64), distance)
    edges = found.select((center != neighbor) | (distance > SAME_SITE_ANG))
    paired = np.isin(packed(edges, reverse=True), packed(edges))
    return edges if paired.all() else edges.select(paired)


def packed(edges: Edges, reverse: bool = False) -> Ints:
    """One integer that identifies a directed edge, or its reverse."""
    first, second = (edges.neighbor, edges.center) if reverse else (edges.center, edges.neighbor)
    image = (-edges.image if reverse else edges.image) + _OFFSET
    return (first << 47) | (second << 30) | (image[:, 0] << 20) | (image[:, 1] << 10) | image[:, 2]


def pairs_of_bonds(edges: Edges, cutoff_ang: float) -> tuple[Ints, Ints]:
    """Return every ordered pair of different edges of one atom that are no longer than the cutoff.

    Ordered by center, then by the first edge, then by the second; indices into ``edges``.
    """
    short = np.flatnonzero(edges.distance_ang <= cutoff_ang)
    short = short[np.argsort(edges.center[short], kind="stable")]
    counts = np.bincount(edges.center[short])
    repeats = np.repeat(counts, counts)  # how many partners each short bond has, itself included
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    first = np.repeat(np.arange(short.size), repeats)
    within = np.arange(first.size) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    second = np.repeat(starts, repeats) + within
    different = first != second
    return short[first[different]], short[second[different]]
