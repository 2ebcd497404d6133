"""CHGNet's input graph built with NumPy: the same graph as the package's converter, several times faster.

All in Cartesian coordinates: the graph's lattice is the identity. Its gradient is then the virial: one
backward pass gives forces and stress, and no rounding of fractional coordinates enters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pesbench.errors import PesbenchError

if TYPE_CHECKING:
    from ase import Atoms
    from chgnet.graph.crystalgraph import CrystalGraph
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
    paired = np.isin(_key(edges, reverse=True), _key(edges))
    return edges if paired.all() else edges.select(paired)


def _key(edges: Edges, reverse: bool = False) -> Ints:
    """One integer that identifies a directed edge, or its reverse."""
    first, second = (edges.neighbor, edges.center) if reverse else (edges.center, edges.neighbor)
    image = (-edges.image if reverse else edges.image) + _OFFSET
    packed = (image[:, 0] << 20) | (image[:, 1] << 10) | image[:, 2]
    return (first << 47) | (second << 30) | packed


def undirected(edges: Edges) -> tuple[Ints, Ints]:
    """Return directed -> undirected edge (n,) and undirected -> its first directed edge (n / 2,)."""
    keys = np.minimum(_key(edges), _key(edges, reverse=True))
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return inverse.astype(np.int64), first.astype(np.int64)


def angles(edges: Edges, to_undirected: Ints, cutoff_ang: float) -> Ints:
    """Return CHGNet's bond graph (m, 5): center; undirected, directed bond 1; undirected, directed bond 2.

    Two different bonds of one atom make an angle; the first may equal the cutoff, the second is shorter.
    """
    short = np.flatnonzero(edges.distance_ang <= cutoff_ang)
    short = short[np.argsort(edges.center[short], kind="stable")]
    counts = np.bincount(edges.center[short])
    repeats = np.repeat(counts, counts)  # how many partners each short bond has, itself included
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    first = np.repeat(np.arange(short.size), repeats)
    within = np.arange(first.size) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    second = np.repeat(starts, repeats) + within
    one, two = short[first], short[second]
    keep = (one != two) & (edges.distance_ang[two] < cutoff_ang)
    one, two = one[keep], two[keep]
    return np.stack([edges.center[one], to_undirected[one], one, to_undirected[two], two], axis=1)


def build(atoms: Atoms, atom_cutoff_ang: float, bond_cutoff_ang: float, device: Any) -> CrystalGraph:
    """Build the graph of one structure, with positions and strain (its ``lattice``) ready for gradients.

    Raises
    ------
    PesbenchError
        When an atom has no neighbor within the cutoff: CHGNet was not made for isolated atoms.
    """
    import torch
    from chgnet.graph.crystalgraph import CrystalGraph

    edges = directed_edges(atoms, atom_cutoff_ang)
    isolated = np.setdiff1d(np.arange(len(atoms)), edges.center)
    if isolated.size:
        number = int(isolated[0])
        raise PesbenchError(
            f"atom {number} ({atoms.symbols[number]}) has no neighbor within {atom_cutoff_ang:g} A, "
            "and CHGNet has no answer for isolated atoms"
        )
    to_undirected, to_directed = undirected(edges)
    bonds = angles(edges, to_undirected, bond_cutoff_ang)

    def ints(values: Ints) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int32, device=device)

    def floats(values: Floats, gradient: bool = False) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device, requires_grad=gradient)

    return CrystalGraph(
        atomic_number=ints(atoms.numbers),
        atom_frac_coord=floats(atoms.positions, gradient=True),
        atom_graph=ints(np.stack([edges.center, edges.neighbor], axis=1)),
        neighbor_image=floats(edges.image @ atoms.cell.array),
        directed2undirected=ints(to_undirected),
        undirected2directed=ints(to_directed),
        bond_graph=ints(bonds) if len(bonds) else ints(np.empty((0,), dtype=np.int64)),
        lattice=floats(np.eye(3), gradient=True),
        atom_graph_cutoff=atom_cutoff_ang,
        bond_graph_cutoff=bond_cutoff_ang,
    )
