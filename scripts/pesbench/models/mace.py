"""MACE: the published checkpoints are whole pickled modules; the entry chooses precision and head."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols

from pesbench.config import check_keys, suggest
from pesbench.errors import ConfigError
from pesbench.models.calculator import Evaluation, Loaded
from pesbench.models.edges import directed_edges

if TYPE_CHECKING:
    from ase import Atoms

    from pesbench.models.registry import ModelEntry


def load_mace(entry: ModelEntry, checkpoint: Path | None, device: str) -> Loaded:
    """MACE, without cuEquivariance and without the dispersion correction.

    The file is opened by ``pickle``, which runs what it contains: ``load_model`` compares its SHA-256 with the
    registry's before this function sees it. ``options: {head: ...}`` chooses the level of theory of a checkpoint
    that has several.

    Raises
    ------
    ConfigError
        When the entry names no head of the checkpoint.
    """
    check_keys(entry.options, ("head",), f"{entry.name}, options")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # e3nn 0.4 is old and says so at length
        import mace.modules  # noqa: F401  (the classes that the pickle names)
        import torch

        network = torch.load(checkpoint, map_location=device, weights_only=False)
    dtype = getattr(torch, entry.dtype)
    network = network.to(dtype).eval()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    network.requires_grad_(False)
    cutoff_ang, numbers = float(network.r_max), network.atomic_numbers.tolist()
    head = _head(entry, list(getattr(network, "heads", None) or ["Default"]))

    def evaluate_many(many: Sequence[Atoms]) -> list[Evaluation]:
        graph = _graph(many, cutoff_ang, numbers, head)
        kinds = {"f": dtype, "i": torch.int64}
        out = network(
            {
                key: torch.tensor(array, dtype=kinds[array.dtype.kind], device=device)
                for key, array in graph.items()
            },
            compute_stress=True,
        )
        energies, forces, stresses = (
            out[key].detach().cpu().numpy().astype(np.float64) for key in ("energy", "forces", "stress")
        )
        parts = zip(energies, np.split(forces, graph["ptr"][1:-1]), stresses, many, strict=True)
        return [
            Evaluation(float(energy), force, stress if atoms.cell.rank == 3 else None)
            for energy, force, stress, atoms in parts
        ]

    elements = frozenset(chemical_symbols[number] for number in numbers)
    return Loaded(lambda atoms: evaluate_many([atoms])[0], elements, parameters, evaluate_many)


def _head(entry: ModelEntry, heads: list[str]) -> int:
    """Return the number of the head: the one that the entry names, else the only one or the default one."""
    usual = [name for name in heads if len(heads) == 1 or name.lower() == "default"]
    asked = entry.options.get("head", usual[0] if usual else None)
    if asked not in heads:
        raise ConfigError(f"{entry.name}, options: head is {asked!r}, {suggest(asked, heads)}")
    return heads.index(asked)


def _graph(many: Sequence[Atoms], cutoff_ang: float, numbers: list[int], head: int) -> dict[str, Any]:
    """Return MACE's input for several structures, as arrays of floats and integers."""
    edges = [directed_edges(atoms, cutoff_ang) for atoms in many]
    sizes = [len(atoms) for atoms in many]
    first = np.cumsum([0, *sizes])
    pairs = [np.stack([e.center, e.neighbor]) + n for e, n in zip(edges, first[:-1], strict=True)]
    shifts = [e.image @ atoms.cell.array for e, atoms in zip(edges, many, strict=True)]
    kinds = [numbers.index(number) for atoms in many for number in atoms.numbers]
    return {
        "positions": np.concatenate([atoms.positions for atoms in many]),
        "node_attrs": np.eye(len(numbers))[kinds],
        "edge_index": np.concatenate(pairs, axis=1),
        "unit_shifts": np.concatenate([e.image for e in edges]).astype(float),
        "shifts": np.concatenate(shifts),
        "cell": np.concatenate([atoms.cell.array for atoms in many]),
        "batch": np.repeat(np.arange(len(many)), sizes),
        "ptr": first,
        "head": np.full(len(many), head),
    }
