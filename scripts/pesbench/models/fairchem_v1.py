"""Models of fairchem-core 1: EquiformerV2 and eSEN as trained on OMat24. Version 2 cannot read their files."""

from __future__ import annotations

import importlib
import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pesbench.config import check_keys
from pesbench.errors import PesbenchError
from pesbench.models.calculator import Evaluation, Loaded
from pesbench.models.edges import directed_edges
from pesbench.models.elements import ELEMENTS_OF_MPTRJ
from pesbench.models.fairchem import bare, quiet

if TYPE_CHECKING:
    from ase import Atoms

    from pesbench.models.registry import ModelEntry

# What a checkpoint may name. The package would import all that it has, unmaintained models included.
PARTS = (
    *("trainers.ocp_trainer", "models.base", "models.escn.escn", "models.esen.esen"),
    *("models.equiformer_v2.equiformer_v2", "models.equiformer_v2.heads"),
    "models.equiformer_v2.trainers.forces_trainer",
)


def load_fairchem_v1(entry: ModelEntry, checkpoint: Path | None, device: str) -> Loaded:
    """Load a model by the package's own calculator: its trainer knows the checkpoint's normalizers and references.

    The file is opened by ``pickle``, which runs what it contains: ``load_model`` compares its SHA-256 with the
    registry's before this function sees it.
    """
    check_keys(entry.options, (), f"{entry.name}, options")
    with quiet(), _unpickling():
        calculator_class = package_calculator()
        package = calculator_class(checkpoint_path=checkpoint, cpu=device == "cpu", seed=0)
        import torch
        from fairchem.core.datasets import data_list_collater
    network = package.trainer.model
    parameters = sum(parameter.numel() for parameter in network.parameters())
    network.requires_grad_(False)
    # EquiformerV2 breaks off without any neighbors; eSEN does not, and has no such attribute.
    needs_neighbors_ang = getattr(network.backbone, "max_radius", None)

    def evaluate(atoms: Atoms) -> Evaluation:
        if needs_neighbors_ang and not directed_edges(atoms, needs_neighbors_ang).center.size:
            symbol = atoms.symbols[0]
            raise PesbenchError(
                f"no atom ({symbol}) has a neighbor within {needs_neighbors_ang:g} A: EquiformerV2 has no answer"
            )
        graph = data_list_collater([package.a2g.convert(bare(atoms))], otf_graph=True)
        # The network turns every edge by a random angle: the same input must give the same bits.
        with quiet(), torch.random.fork_rng():
            torch.manual_seed(0)
            out = package.trainer.predict(graph, per_image=False, disable_tqdm=True)
        energy, forces, stress = (
            out[key].detach().cpu().numpy().astype(np.float64) for key in ("energy", "forces", "stress")
        )
        return Evaluation(energy.item(), forces, stress.reshape(3, 3) if atoms.pbc.all() else None)

    return Loaded(evaluate, ELEMENTS_OF_MPTRJ, parameters)


def package_calculator() -> Any:
    """Import the package's calculator, and the classes that a checkpoint may name.

    It wants the compiled package torch-scatter, which exists for few versions of PyTorch, for one function, which
    torch-geometric has in plain PyTorch.
    """
    import torch_geometric.utils

    stand_in: Any = types.ModuleType("torch_scatter")
    stand_in.scatter = torch_geometric.utils.scatter
    sys.modules.setdefault("torch_scatter", stand_in)
    from fairchem.core.common.registry import registry
    from fairchem.core.common.relaxation.ase_utils import OCPCalculator

    for part in PARTS:
        importlib.import_module(f"fairchem.core.{part}")
    registry.register("imports_setup", True)
    return OCPCalculator


@contextmanager
def _unpickling() -> Iterator[None]:
    """Let ``torch.load`` unpickle: the package is older than its default of opening tensors only."""
    name = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before
