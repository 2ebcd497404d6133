"""M3GNet in TensorFlow, as published, and the models of the package matgl 1: its ports of M3GNet and CHGNet to DGL.

As for CHGNet, the graph is made with NumPy and all in Cartesian coordinates: the shifts of periodic images are
vectors, the lattice is the identity. One backward pass gives the forces and, by the identity, the virial.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols

from pesbench.config import check_keys
from pesbench.errors import CheckpointError, PesbenchError
from pesbench.models.calculator import UNTRAINED_IN_MPTRJ, Evaluation, Loaded
from pesbench.models.edges import Edges, directed_edges, pairs_of_bonds

if TYPE_CHECKING:
    from ase import Atoms

    from pesbench.models.registry import ModelEntry


def _edges(atoms: Atoms, cutoff_ang: float) -> Edges:
    """Find the neighbors; the networks cannot work with none at all."""
    edges = directed_edges(atoms, cutoff_ang)
    if not edges.center.size:
        symbol = atoms.symbols[0]
        raise PesbenchError(
            f"no atom ({symbol}) has a neighbor within {cutoff_ang:g} A: the network has no answer"
        )
    return edges


def give_old_ase_name() -> None:
    """Put ExpCellFilter where older versions of ASE had it: m3gnet and matgl 1 import it from there, unused here.

    The environments have the ASE of all others, which the engine's optimizers are written for.
    """
    import ase.constraints
    from ase.filters import ExpCellFilter

    setattr(ase.constraints, "ExpCellFilter", ExpCellFilter)  # noqa: B010 (unknown to type checkers otherwise)


def load_matgl(entry: ModelEntry, checkpoint: Path | None, device: str) -> Loaded:
    """M3GNet or CHGNet of matgl 1 (DGL), as the checkpoint says.

    M3GNet's three-body terms take neighbors by indices that count the short bonds only, as if they counted all bonds
    (matgl/layers/_three_body.py); the published weights were trained so, and are right only so. The networks
    are therefore called as they stand. Left to itself, CHGNet of this version makes its graph of angles apart from the
    gradient, and its forces and stress lack what the angles contribute (matgl's issue 834). The package's training
    hands it that graph and has the gradient through it; so it is here.

    Raises
    ------
    CheckpointError
        When the checkpoint is of another network.
    """
    check_keys(entry.options, (), f"{entry.name}, options")
    os.environ.setdefault("DGLBACKEND", "pytorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dgl and matgl are old and say so at length
        import dgl
        import torch
        from matgl.graph.compute import compute_pair_vector_and_distance, create_line_graph
        from matgl.models import CHGNet, M3GNet

    assert checkpoint is not None
    arguments = torch.load(checkpoint / "model.pt", map_location="cpu", weights_only=True)
    state = torch.load(checkpoint / "state.pt", map_location="cpu", weights_only=True)
    kind, networks = arguments["model"]["@class"], {"M3GNet": M3GNet, "CHGNet": CHGNet}
    if kind not in networks:
        raise CheckpointError(
            f"{entry.name}: the checkpoint is a {kind}, and this loader knows M3GNet and CHGNet"
        )
    network = networks[kind](**arguments["model"]["init_args"]).eval()
    of_network = {
        key.removeprefix("model."): value for key, value in state.items() if key.startswith("model.")
    }
    network.load_state_dict(of_network)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    network.requires_grad_(False)
    held = {**arguments, **state}  # older checkpoints have these with the arguments only
    scale, offset = (torch.as_tensor(held[key]) for key in ("data_std", "data_mean"))
    references = torch.as_tensor(held.get("element_refs.property_offset", held["element_refs"]))
    indices = {symbol: index for index, symbol in enumerate(network.element_types)}

    def evaluate(atoms: Atoms) -> Evaluation:
        edges = _edges(atoms, network.cutoff)
        positions = torch.tensor(atoms.positions, dtype=torch.float32, requires_grad=True)
        lattice = torch.eye(3, requires_grad=True)
        shifts = torch.tensor(edges.image @ atoms.cell.array, dtype=torch.float32)
        types = torch.tensor([indices[symbol] for symbol in atoms.symbols], dtype=torch.int32)
        graph = dgl.graph((torch.tensor(edges.center), torch.tensor(edges.neighbor)), num_nodes=len(atoms))
        graph.ndata["node_type"], graph.ndata["pos"] = types, positions @ lattice
        graph.edata["pbc_offset"], graph.edata["pbc_offshift"] = shifts, shifts @ lattice
        angles = None
        if kind == "CHGNet":
            graph.edata["bond_vec"], graph.edata["bond_dist"] = compute_pair_vector_and_distance(graph)
            angles = create_line_graph(graph, network.three_body_cutoff, directed=True)
        energy = scale * network(g=graph, l_g=angles) + offset + references[types].sum()
        gradients = torch.autograd.grad(energy, [positions, lattice])
        return _evaluation(atoms, energy.item(), *(gradient.numpy() for gradient in gradients))

    return Loaded(evaluate, frozenset(indices) - UNTRAINED_IN_MPTRJ, parameters)


def load_m3gnet(entry: ModelEntry, checkpoint: Path | None, device: str) -> Loaded:
    """M3GNet as published, in TensorFlow: one compiled function for structures of every size."""
    check_keys(entry.options, (), f"{entry.name}, options")
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # the weights are in a format that Keras 3 does not read
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        # It sorts sums by names that differ from load to load: without it the same input gives the same bits.
        tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
        give_old_ase_name()
        from m3gnet.graph import Index
        from m3gnet.models import M3GNet

        assert checkpoint is not None
        network = M3GNet.from_dir(str(checkpoint))
    # Elements that no training structure had have a reference energy of zero, and random embeddings.
    references = np.abs(np.asarray(network.element_refs))
    elements = frozenset(chemical_symbols[number] for number in np.flatnonzero(references > 1e-6))

    def spec(kind: Any, *shape: int | None) -> Any:
        return tf.TensorSpec(shape, kind)

    signature = [
        spec(tf.int32, None, 1),
        *(spec(tf.float32, None, 3),) * 2,
        *(spec(tf.int32, None, 2),) * 2,
        spec(tf.int32, None),
    ]

    @tf.function(input_signature=signature)
    def derivatives(numbers: Any, positions: Any, shifts: Any, bonds: Any, triples: Any, counts: Any) -> Any:
        graph: list[Any] = [None] * 17
        lattice = tf.eye(3)
        with tf.GradientTape() as tape:
            tape.watch([positions, lattice])
            graph[Index.ATOMS] = numbers
            graph[Index.ATOM_POSITIONS] = positions @ lattice
            graph[Index.LATTICES] = lattice[None]
            graph[Index.PBC_OFFSETS], graph[Index.BOND_ATOM_INDICES] = shifts, bonds
            graph[Index.N_ATOMS], graph[Index.N_BONDS] = tf.shape(numbers)[:1], tf.shape(bonds)[:1]
            graph[Index.TRIPLE_BOND_INDICES], graph[Index.N_TRIPLE_IJ] = triples, counts
            energy = network(graph)
        return energy, *tape.gradient(energy, [positions, lattice])

    def evaluate(atoms: Atoms) -> Evaluation:
        edges = _edges(atoms, network.cutoff)
        one, two = pairs_of_bonds(edges, network.threebody_cutoff)
        arrays = (
            atoms.numbers[:, None].astype(np.int32),
            atoms.positions.astype(np.float32),
            (edges.image @ atoms.cell.array).astype(np.float32),
            np.stack([edges.center, edges.neighbor], axis=1).astype(np.int32),
            np.stack([one, two], axis=1).astype(np.int32),
            np.bincount(one, minlength=edges.center.size).astype(np.int32),
        )
        energy, *gradients = derivatives(*(tf.constant(array) for array in arrays))
        return _evaluation(atoms, float(energy[0, 0]), *(gradient.numpy() for gradient in gradients))

    network.predict_structure(
        _smallest(elements)
    )  # builds the layers, which takes their sizes from a structure
    evaluate(_smallest(elements))
    return Loaded(evaluate, elements, int(network.count_params()))


def _smallest(elements: frozenset[str]) -> Atoms:
    """A structure with bonds and angles."""
    from ase import Atoms

    return Atoms(min(elements), cell=np.eye(3) * 3.0, pbc=True)


def _evaluation(atoms: Atoms, energy_ev: float, gradient: Any, virial: Any) -> Evaluation:
    """Put an energy and its gradients by positions and by the deformation of space together."""
    stress = virial.astype(np.float64) / atoms.get_volume() if atoms.cell.rank == 3 else None
    return Evaluation(energy_ev, -gradient.astype(np.float64), stress)
