"""M3GNet of matgl 1 by the package's own training: PotentialLightningModule, run by Lightning."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pesbench.engine.training.loop import GPA_PER_EV_PER_ANG3, Example, Plan, Session, choose, saved
from pesbench.errors import PesbenchError
from pesbench.models.m3gnet import give_old_ase_name

if TYPE_CHECKING:
    from pesbench.models.registry import ModelEntry

#: What is reported of an epoch: the module's name of it.
REPORTED = {
    "train_force_mae_ev_per_ang": "train_Force_MAE",
    "train_energy_mae_ev_per_atom": "train_Energy_MAE",
    "valid_force_mae_ev_per_ang": "val_Force_MAE",
    "valid_energy_mae_ev_per_atom": "val_Energy_MAE",
}


def session(
    entry: ModelEntry, checkpoint: Path | None, train: Sequence[Example], valid: Sequence[Example], plan: Plan
) -> Session:
    """Return M3GNet ready to be trained.

    The readout is the gated perceptron from atom features to energies, the last layer the last linear map of its two
    branches. Reference energies, mean and scale stay as published; from scratch references and mean are zero.

    Raises
    ------
    PesbenchError
        When the checkpoint is of another network.
    """
    os.environ.setdefault("DGLBACKEND", "pytorch")
    give_old_ase_name()
    warnings.simplefilter("ignore")  # dgl, matgl and Lightning say a lot
    import lightning
    import torch
    from matgl.utils.training import PotentialLightningModule

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    assert checkpoint is not None
    arguments, state = (
        torch.load(checkpoint / name, map_location="cpu", weights_only=True)
        for name in ("model.pt", "state.pt")
    )
    if arguments["model"]["@class"] != "M3GNet":
        raise PesbenchError(
            f"{entry.name}: is a {arguments['model']['@class']}; only M3GNet can be trained here"
        )
    held = _held(arguments, state, train, plan)
    network = _network(arguments, state, plan)
    gated = network.final_layer.gated
    linear = [
        [m for m in branch if isinstance(m, torch.nn.Linear)][-1] for branch in (gated.layers, gated.gates)
    ]
    choose(network, {"last_layer": linear, "readout": [gated]}.get(plan.part, []), plan.part)
    loaders = [_loader(part, network, plan, part is train) for part in (train, valid)]
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=plan.learning_rate)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, plan.epochs, eta_min=plan.final_learning_rate
    )
    module = PotentialLightningModule(
        model=network,
        element_refs=held["element_refs.property_offset"].numpy(),
        data_mean=float(held["data_mean"]),
        data_std=float(held["data_std"]),
        include_line_graph=False,
        energy_weight=plan.energy_weight,
        force_weight=plan.force_weight,
        stress_weight=plan.stress_weight,
        optimizer=optimizer,
        scheduler=scheduler,
    )

    def run_epoch() -> dict[str, float]:
        # A trainer an epoch: optimizer and scheduler are ours and go on. The module steps the scheduler itself.
        trainer = lightning.Trainer(
            max_epochs=1,
            accelerator="gpu" if plan.device == "cuda" else "cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            inference_mode=False,
        )
        trainer.fit(module, *loaders)
        return {name: float(trainer.callback_metrics[key]) for name, key in REPORTED.items()}

    def files() -> dict[str, bytes]:
        of_network = {f"model.{name}": value for name, value in network.cpu().state_dict().items()}
        kept = (checkpoint / "model.pt").read_bytes()
        return {"model.pt": kept, "state.pt": saved({**of_network, **held})}

    return Session(network, optimizer, scheduler, run_epoch, files)


def _held(
    arguments: dict[str, Any], state: dict[str, Any], train: Sequence[Example], plan: Plan
) -> dict[str, Any]:
    """Return reference energies, mean and scale; from scratch zero, zero, and the size of the forces."""
    import numpy as np
    import torch

    held = {**arguments, **state}  # older checkpoints have these with the arguments only
    references = torch.as_tensor(held.get("element_refs.property_offset", held["element_refs"]))
    mean, scale = (torch.as_tensor(held[key], dtype=torch.float32) for key in ("data_mean", "data_std"))
    if plan.part == "scratch":
        forces = np.concatenate([example.forces_ev_per_ang for example in train])
        references, mean = torch.zeros_like(references), torch.tensor(0.0)
        scale = torch.tensor(float(np.sqrt((forces**2).mean())) or 1.0)
    return {"element_refs.property_offset": references, "data_mean": mean, "data_std": scale}


def _network(arguments: dict[str, Any], state: dict[str, Any], plan: Plan) -> Any:
    import torch
    from matgl.models import M3GNet

    torch.manual_seed(plan.seed)
    network = M3GNet(**arguments["model"]["init_args"])
    if plan.part != "scratch":
        own = {k.removeprefix("model."): v for k, v in state.items() if k.startswith("model.")}
        network.load_state_dict(own)
    return network


def _loader(examples: Sequence[Example], network: Any, plan: Plan, shuffle: bool) -> Any:
    """Return batches of the package's graphs with their labels."""
    import numpy as np
    import torch
    from dgl.dataloading import GraphDataLoader
    from matgl.ext.pymatgen import Structure2Graph
    from matgl.graph.data import MGLDataset, collate_fn_pes
    from pymatgen.io.ase import AseAtomsAdaptor

    none = np.full((3, 3), np.nan)
    stresses = [none if e.stress_ev_per_ang3 is None else e.stress_ev_per_ang3 for e in examples]
    if not plan.stress_weight:
        stresses = [np.zeros((3, 3))] * len(examples)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        data = MGLDataset(
            structures=[AseAtomsAdaptor.get_structure(e.atoms) for e in examples],
            labels={
                "energies": [e.energy_ev for e in examples],
                "forces": [np.asarray(e.forces_ev_per_ang).tolist() for e in examples],
                "stresses": [(GPA_PER_EV_PER_ANG3 * s).tolist() for s in stresses],
            },
            converter=Structure2Graph(element_types=network.element_types, cutoff=network.cutoff),
            threebody_cutoff=network.threebody_cutoff,
            include_line_graph=False,
            save_cache=False,
            filename="none to read",
        )
    subset = torch.utils.data.Subset(data, range(len(examples)))
    return GraphDataLoader(subset, batch_size=plan.batch_size, shuffle=shuffle, collate_fn=collate_fn_pes)
