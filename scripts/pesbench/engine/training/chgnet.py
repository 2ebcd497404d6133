"""CHGNet by the package's own trainer (chgnet.trainer.Trainer)."""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pesbench.engine.training.loop import GPA_PER_EV_PER_ANG3, STAGE, Example, Plan, Session, choose, saved
from pesbench.failures import Failure

if TYPE_CHECKING:
    from pesbench.models.registry import ModelEntry

#: The trainer lowers the learning rate at most so often in an epoch.
STEPS_AN_EPOCH = 10
#: The package's data set takes VASP's stress (kbar, positive under compression) and multiplies it by -0.1.
VASP_KBAR = -10.0 * GPA_PER_EV_PER_ANG3
#: What is reported of an epoch: the trainer's name of it, and of which frames.
REPORTED = {
    "train_force_mae_ev_per_ang": ("f", "train"),
    "train_energy_mae_ev_per_atom": ("e", "train"),
    "valid_force_mae_ev_per_ang": ("f", "val"),
    "valid_energy_mae_ev_per_atom": ("e", "val"),
}


def session(
    entry: ModelEntry, checkpoint: Path | None, train: Sequence[Example], valid: Sequence[Example], plan: Plan
) -> Session:
    """Return CHGNet ready to be trained; ``valid`` may be the training frames themselves.

    The last layer is the one linear map from 64 features to the energy, the readout the four-layer perceptron that it
    ends. The energies of the elements (the package's composition model) stay as they are, from scratch they are zero.
    """
    from chgnet.data.dataset import collate_graphs
    from chgnet.trainer import Trainer
    from torch.optim.lr_scheduler import CosineAnnealingLR
    from torch.utils.data import DataLoader

    warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad")
    network, arguments = _network(checkpoint, plan)
    choose(
        network,
        {"last_layer": [network.mlp.layers[-1]], "readout": [network.mlp]}.get(plan.part, []),
        plan.part,
    )
    network.composition_model.requires_grad_(False)
    targets = "efs" if all(e.stress_ev_per_ang3 is not None for e in [*train, *valid]) else "ef"
    trainer = Trainer(
        network,
        targets=targets,
        energy_loss_ratio=plan.energy_weight,
        force_loss_ratio=plan.force_weight,
        stress_loss_ratio=plan.stress_weight,
        learning_rate=plan.learning_rate,
        epochs=plan.epochs,
        use_device=plan.device,
        print_freq=10**9,
    )
    loaders = [
        DataLoader(
            _items(part, network, targets), plan.batch_size, shuffle=part is train, collate_fn=collate_graphs
        )
        for part in (train, valid)
    ]
    # The trainer's own cosine assumes ten batches an epoch or more: with fewer it would never come down.
    steps = plan.epochs * min(STEPS_AN_EPOCH, len(loaders[0]))
    trainer.scheduler = CosineAnnealingLR(trainer.optimizer, steps, eta_min=plan.final_learning_rate)

    def run_epoch() -> dict[str, float]:
        # One epoch of the trainer's loop; its own checkpoints are off: it removes the last before it writes the next.
        trainer.starting_epoch, trainer.epochs = 0, 1
        trainer.training_history = {key: {"train": [], "val": [], "test": []} for key in targets}
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.train(*loaders, save_dir="")
        return {name: last(trainer.training_history[key][side]) for name, (key, side) in REPORTED.items()}

    def files() -> dict[str, bytes]:
        weights = network.cpu().state_dict()
        return {"tuned.pth.tar": saved({"model": {"model_args": arguments, "state_dict": weights}})}

    return Session(network, trainer.optimizer, trainer.scheduler, run_epoch, files)


def last(values: list[float]) -> float:
    """Return what the trainer noted last; NaN where it left the epoch because the energy was none."""
    return float(values[-1]) if values else math.nan


def _network(checkpoint: Path | None, plan: Plan) -> tuple[Any, dict[str, Any]]:
    """Return the published network, or one of its architecture with random weights; and its arguments."""
    import torch
    from chgnet.model import CHGNet

    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]
    has_bias = any(key.endswith("mlp_out.layers.1.bias") for key in state["state_dict"])
    torch.manual_seed(plan.seed)
    with contextlib.redirect_stdout(io.StringIO()):  # it announces its parameter count
        if plan.part != "scratch":
            return CHGNet.from_dict(state, mlp_out_bias=has_bias), state["model_args"]
        network = CHGNet(**{**state["model_args"], "mlp_out_bias": has_bias})
    torch.nn.init.zeros_(network.composition_model.fc.weight)
    return network, state["model_args"]


def _items(examples: Sequence[Example], network: Any, targets: str) -> list[Any]:
    """Return graphs with their labels, made once."""
    from chgnet.data.dataset import StructureData
    from pymatgen.io.ase import AseAtomsAdaptor

    with contextlib.redirect_stdout(io.StringIO()):
        data = StructureData(
            [AseAtomsAdaptor.get_structure(e.atoms) for e in examples],
            [e.energy_ev / len(e.atoms) for e in examples],
            [e.forces_ev_per_ang for e in examples],
            stresses=[e.stress_ev_per_ang3 * VASP_KBAR for e in examples] if "s" in targets else None,  # type: ignore[operator]
            graph_converter=network.graph_converter,
            shuffle=False,
        )
        items = [data[i] for i in range(len(examples))]
    if data.failed_idx:  # the package puts another structure in its place without a word
        formula = examples[data.failed_idx[0]].atoms.get_chemical_formula()
        raise Failure(STAGE, f"CHGNet has no graph of {formula}: an atom without neighbors?")
    return items
