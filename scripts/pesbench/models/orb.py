"""ORB, by the package orb-models: version 2 (direct forces) and version 3 (direct or conservative)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pesbench.config import check_keys
from pesbench.errors import CheckpointError, ConfigError, PesbenchError
from pesbench.models.calculator import Evaluation, Loaded
from pesbench.models.elements import ELEMENTS_OF_MPTRJ

if TYPE_CHECKING:
    from ase import Atoms

    from pesbench.models.registry import ModelEntry

ARCHITECTURES = ("orb_v2", "orb_v3_conservative", "orb_v3_direct")
CUTOFF_ANG = 6.0  # of every published checkpoint
VOIGT = np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])  # the package orders stress as xx yy zz yz xz xy


def load_orb(entry: ModelEntry, checkpoint: Path | None, device: str) -> Loaded:
    """Load one of ORB's networks.

    ``options``: ``architecture`` (orb_v2, orb_v3_conservative, orb_v3_direct); ``max_num_neighbors`` (20, or 120
    for the checkpoints whose name says inf); ``sizes``, arguments of the package's architecture where a checkpoint
    is not of the usual size. A file has the weights only: nothing in it says which of these it was trained with.

    Raises
    ------
    CheckpointError
        When weights of the network are missing in the file, or some in the file have no place.
    """
    options = _options(entry)
    import torch
    from orb_models.forcefield import pretrained
    from orb_models.forcefield.atomic_system import SystemConfig, ase_atoms_to_atom_graphs
    from orb_models.forcefield.base import batch_graphs

    torch.set_float32_matmul_precision("highest")  # no TF32: the package advises it where derivatives matter
    dtype = getattr(torch, entry.dtype)
    build = getattr(pretrained, f"{options['architecture']}_architecture")
    config = SystemConfig(radius=CUTOFF_ANG, max_num_neighbors=options["max_num_neighbors"])
    network = build(device="cpu", system_config=config, **options.get("sizes", {}))
    _fill(network, entry, checkpoint)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    network.requires_grad_(False).eval().to(device=device, dtype=dtype)
    prefix = "grad_" if hasattr(network, "grad_forces_name") else ""
    precision = {"output_dtype": dtype, "graph_construction_dtype": dtype}

    def evaluate_many(many: Sequence[Atoms]) -> list[Evaluation]:
        graphs = [
            ase_atoms_to_atom_graphs(_bare(atoms), config, device=device, **precision) for atoms in many
        ]
        out = network.predict(batch_graphs(graphs))
        energies, forces, stresses = (
            out[name].detach().cpu().numpy().astype(np.float64)
            for name in ("energy", f"{prefix}forces", f"{prefix}stress")
        )
        ends = np.cumsum([len(atoms) for atoms in many])[:-1]
        parts = zip(energies, np.split(forces, ends), stresses.reshape(-1, 6), many, strict=True)
        return [
            Evaluation(float(energy), force, stress[VOIGT] if atoms.pbc.all() else None)
            for energy, force, stress, atoms in parts
        ]

    return Loaded(lambda atoms: evaluate_many([atoms])[0], ELEMENTS_OF_MPTRJ, parameters, evaluate_many)


def _options(entry: ModelEntry) -> dict[str, Any]:
    """Check what the registry says of the network."""
    where = f"{entry.name}, options"
    check_keys(entry.options, ("architecture", "max_num_neighbors", "sizes"), where)
    architecture, neighbors = (entry.options.get(key) for key in ("architecture", "max_num_neighbors"))
    if architecture not in ARCHITECTURES:
        raise ConfigError(f"{where}: architecture is {architecture!r}, must be {', '.join(ARCHITECTURES)}")
    if type(neighbors) is not int or neighbors < 1:
        raise ConfigError(f"{where}: max_num_neighbors is {neighbors!r}, must be a whole number such as 20")
    if entry.forces_are_gradients != (architecture == "orb_v3_conservative"):
        raise ConfigError(
            f"{entry.name}: forces_are_gradients is {entry.forces_are_gradients}, which {architecture} is not"
        )
    return dict(entry.options)


def _fill(network: Any, entry: ModelEntry, checkpoint: Path | None) -> None:
    """Read the weights, and let none be missing: the package itself is silent about a missing output layer."""
    import torch
    from orb_models.forcefield.load import load_forcefield_state_dict

    assert checkpoint is not None
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        keys = load_forcefield_state_dict(network, state)
    except RuntimeError as error:
        raise CheckpointError(
            f"{entry.name}: {checkpoint} is no checkpoint of {entry.options['architecture']}: "
            f"{' '.join(str(error).split())[:200]}; correct the options of the entry"
        ) from error
    for problem, names in (
        ("lacks", keys.missing_keys),
        ("has, and the network has not,", keys.unexpected_keys),
    ):
        if names:
            raise CheckpointError(f"{entry.name}: {checkpoint} {problem} {names[0]}; correct the options")


def _bare(atoms: Atoms) -> Atoms:
    """Return the structure alone: the package reads charges and features from ``atoms.info``."""
    from ase import Atoms

    periodic = bool(atoms.pbc.any())
    if periodic and not atoms.pbc.all():
        raise PesbenchError("ORB wants a structure periodic in all three directions or in none; add vacuum")
    return Atoms(
        atoms.numbers, positions=atoms.positions, cell=atoms.cell if periodic else None, pbc=periodic
    )
