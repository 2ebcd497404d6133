"""MatterSim v1: an M3GNet with a smooth radial basis, in PyTorch.

As for CHGNet, the graph is made with NumPy and all in Cartesian coordinates: see m3gnet.py. The package's own
potential gives the stress in GPa; here it comes from the virial, in eV/A^3.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols

from pesbench.config import check_keys
from pesbench.errors import CheckpointError
from pesbench.models.calculator import UNTRAINED_IN_MPTRJ, Evaluation, Loaded
from pesbench.models.edges import directed_edges, pairs_of_bonds

if TYPE_CHECKING:
    from ase import Atoms

    from pesbench.models.registry import ModelEntry


def load_mattersim(entry: ModelEntry, checkpoint: Path | None, device: str) -> Loaded:
    """MatterSim v1, without the training state that its checkpoints carry.

    Raises
    ------
    CheckpointError
        When the checkpoint lacks weights of the network: the package itself would leave them random.
    """
    check_keys(entry.options, (), f"{entry.name}, options")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from mattersim.forcefield.m3gnet.m3gnet import M3Gnet

    stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
    network = M3Gnet(device=device, **stored["model_args"])
    _fill(entry, network, stored["model"])
    network = network.to(device).eval()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    network.requires_grad_(False)
    cutoffs_ang = (float(network.model_args["cutoff"]), float(network.model_args["threebody_cutoff"]))

    def evaluate_many(many: Sequence[Atoms]) -> list[Evaluation]:
        kinds = {"f": torch.float32, "i": torch.int64}
        graph = {
            key: torch.tensor(array, dtype=kinds[array.dtype.kind], device=device)
            for key, array in _graph(many, *cutoffs_ang).items()
        }
        positions = graph["atom_pos"].requires_grad_()
        deformation = torch.eye(3, device=device).repeat(len(many), 1, 1).requires_grad_()
        graph["cell"] = deformation
        graph["atom_pos"] = torch.einsum("bi,bij->bj", positions, deformation[graph["batch"]])
        energies = network(graph)
        gradients = torch.autograd.grad(energies.sum(), [positions, deformation])
        minus_forces, virials = (gradient.cpu().numpy().astype(np.float64) for gradient in gradients)
        ends = np.cumsum([len(atoms) for atoms in many])[:-1]
        parts = zip(energies.tolist(), np.split(-minus_forces, ends), virials, many, strict=True)
        return [
            Evaluation(energy, forces, virial / atoms.get_volume() if atoms.cell.rank == 3 else None)
            for energy, forces, virial, atoms in parts
        ]

    # ASSUME: the 89 elements of its training data are the Materials Project's.
    elements = frozenset(chemical_symbols[1 : network.max_z + 1]) - UNTRAINED_IN_MPTRJ
    return Loaded(lambda atoms: evaluate_many([atoms])[0], elements, parameters, evaluate_many)


def _fill(entry: ModelEntry, network: Any, state: dict[str, Any]) -> None:
    """Take the weights; what only later versions of the package store, and compute, may be missing."""
    missing, unknown = network.load_state_dict(state, strict=False)
    trained = {name for name, _ in network.named_parameters()} | {"normalizer.scale", "normalizer.shift"}
    wrong = [*sorted(trained.intersection(missing)), *unknown]
    if wrong:
        raise CheckpointError(
            f"{entry.name}: the checkpoint and the network of mattersim do not match in {', '.join(wrong[:3])}; "
            f"rebuild the environment '{entry.environment}'"
        )


def _graph(many: Sequence[Atoms], cutoff_ang: float, threebody_cutoff_ang: float) -> dict[str, Any]:
    """Return the network's input for several structures, as arrays; indices count through all of them."""
    edges = [directed_edges(atoms, cutoff_ang) for atoms in many]
    triples = [np.stack(pairs_of_bonds(e, threebody_cutoff_ang), axis=1) for e in edges]
    sizes, bonds = [len(atoms) for atoms in many], np.array([e.center.size for e in edges])
    atom, bond = np.cumsum([0, *sizes]), np.cumsum([0, *bonds])
    pairs = [np.stack([e.center, e.neighbor]) + n for e, n in zip(edges, atom[:-1], strict=True)]
    triple = np.concatenate([t + n for t, n in zip(triples, bond[:-1], strict=True)])
    shifts = [e.image @ atoms.cell.array for e, atoms in zip(edges, many, strict=True)]
    return {
        "atom_pos": np.concatenate([atoms.positions for atoms in many]),
        "atom_attr": np.concatenate([atoms.numbers for atoms in many])[:, None],
        "pbc_offsets": np.concatenate(shifts),
        "edge_index": np.concatenate(pairs, axis=1),
        "three_body_indices": triple,
        "three_body_edge_map": triple[:, 0],
        "bond_index_bias": np.zeros((len(triple), 1), dtype=np.int64),
        "num_triple_ij": np.bincount(triple[:, 0], minlength=bond[-1]),
        "num_bonds": bonds,
        "num_atoms": np.array(sizes),
        "num_graphs": np.array(len(many)),
        "batch": np.repeat(np.arange(len(many)), sizes),
    }
