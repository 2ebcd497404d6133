"""CHGNet's input graph built with NumPy: the same graph as the package's converter, several times faster.

In single precision, and rounded as the package does it: fractional coordinates and lattice, not positions. It decides
where a relaxation ends that starts at a saddle point: CHGNet's published phonons of Ba3SiO5 and BaBiBS4 come out so,
and are 2 % off with positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pesbench.errors import PesbenchError
from pesbench.models.edges import Edges, directed_edges, packed, pairs_of_bonds

if TYPE_CHECKING:
    from ase import Atoms
    from chgnet.graph.crystalgraph import CrystalGraph
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]


def undirected(edges: Edges) -> tuple[Ints, Ints]:
    """Return directed -> undirected edge (n,) and undirected -> its first directed edge (n / 2,)."""
    keys = np.minimum(packed(edges), packed(edges, reverse=True))
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return inverse.astype(np.int64), first.astype(np.int64)


def angles(edges: Edges, to_undirected: Ints, cutoff_ang: float) -> Ints:
    """Return CHGNet's bond graph (m, 5): center; undirected, directed bond 1; undirected, directed bond 2.

    Two different bonds of one atom make an angle; the first may equal the cutoff, the second is shorter.
    """
    one, two = pairs_of_bonds(edges, cutoff_ang)
    keep = edges.distance_ang[two] < cutoff_ang
    one, two = one[keep], two[keep]
    return np.stack([edges.center[one], to_undirected[one], one, to_undirected[two], two], axis=1)


def build(atoms: Atoms, atom_cutoff_ang: float, bond_cutoff_ang: float, device: Any) -> CrystalGraph:
    """Build the graph of one structure, with fractional coordinates and lattice ready for gradients.

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

    def floats(values: Floats | Ints, gradient: bool = False) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device, requires_grad=gradient)

    return CrystalGraph(
        atomic_number=ints(atoms.numbers),
        atom_frac_coord=floats(atoms.get_scaled_positions(wrap=False), gradient=True),
        atom_graph=ints(np.stack([edges.center, edges.neighbor], axis=1)),
        neighbor_image=floats(edges.image),
        directed2undirected=ints(to_undirected),
        undirected2directed=ints(to_directed),
        bond_graph=ints(bonds) if len(bonds) else ints(np.empty((0,), dtype=np.int64)),
        lattice=floats(atoms.cell.complete().array, gradient=True),
        atom_graph_cutoff=atom_cutoff_ang,
        bond_graph_cutoff=bond_cutoff_ang,
    )
