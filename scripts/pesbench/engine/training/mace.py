"""MACE by the functions of the package's own trainer (mace.tools.train): one epoch, one evaluation."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pesbench.engine.training.loop import GPA_PER_EV_PER_ANG3, Example, Plan, Session, choose, saved

if TYPE_CHECKING:
    from pesbench.models.registry import ModelEntry

#: Norm to which the trainer cuts a gradient, its own default.
MOST_GRADIENT = 10.0
#: From scratch: cutoff, shells, layers of the package's own default; the channels are a setting.
CUTOFF_ANG, BESSEL, LARGEST_L, LAYERS, CORRELATION = 5.0, 8, 3, 2, 3


class Losses:
    """Takes what the trainer logs of each batch, in the place of its file."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def log(self, report: dict[str, Any]) -> None:
        """Keep one batch's loss."""
        self.values.append(float(report["loss"]))


def session(
    entry: ModelEntry, checkpoint: Path | None, train: Sequence[Example], valid: Sequence[Example], plan: Plan
) -> Session:
    """Return MACE ready to be trained, in the precision of its entry.

    A fine-tuned network keeps all elements and the heads of the published one. The readout is the readout blocks, the
    last layer the last linear map of each. From scratch it is the package's default architecture with
    ``plan.mace_channels`` channels and the elements of the frames: no checkpoint is opened.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # e3nn 0.4 is old and says so at length
        import torch
        from mace.modules import WeightedEnergyForcesStressLoss
        from mace.tools.train import evaluate, train_one_epoch
    torch.set_default_dtype(getattr(torch, entry.dtype))
    if plan.part == "scratch":
        network = _scratch(train, plan, entry.options.get("head", "Default"))
    else:
        network = _published(checkpoint, entry.dtype, plan.device)
    blocks = list(network.readouts)
    last = [getattr(block, "linear_2", None) or block.linear for block in blocks]
    choose(network, {"last_layer": last, "readout": blocks}.get(plan.part, []), plan.part)
    heads = list(getattr(network, "heads", None) or ["Default"])
    head = entry.options.get("head", next((h for h in heads if h.lower() == "default"), heads[0]))
    loaders = [_loader(part, network, plan, heads, head, part is train) for part in (train, valid)]
    # The setting's stress weight counts squares of GPa, the package's squares of eV/A^3.
    stress_weight = plan.stress_weight * GPA_PER_EV_PER_ANG3**2
    loss = WeightedEnergyForcesStressLoss(plan.energy_weight, plan.force_weight, stress_weight).to(
        plan.device
    )
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=plan.learning_rate)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, plan.epochs, eta_min=plan.final_learning_rate
    )
    common = {
        "model": network,
        "loss_fn": loss,
        "output_args": {"forces": True, "virials": False, "stress": True},
        "device": torch.device(plan.device),
    }

    # TorchScript's optimizer rewrites the network after its first calls, and rounds otherwise: a training that goes on
    # in a new process would not end with the same bytes.
    @torch.jit.optimized_execution(False)
    def run_epoch() -> dict[str, float]:
        losses = Losses()
        train_one_epoch(
            data_loader=loaders[0],
            optimizer=optimizer,
            epoch=0,
            max_grad_norm=MOST_GRADIENT,
            ema=None,
            logger=losses,
            distributed=False,
            **common,
        )
        scheduler.step()
        _, report = evaluate(data_loader=loaders[1], **common)
        return {
            "train_loss": sum(losses.values) / len(losses.values),
            "valid_force_mae_ev_per_ang": float(report["mae_f"]),
            "valid_energy_mae_ev_per_atom": float(report["mae_e_per_atom"]),
        }

    return Session(network, optimizer, scheduler, run_epoch, lambda: {"tuned.model": saved(network.cpu())})


def _published(checkpoint: Path | None, dtype: str, device: str) -> Any:
    """Open a checkpoint whose SHA-256 was compared before."""
    import torch

    network = torch.load(checkpoint, map_location=device, weights_only=False)
    return network.to(getattr(torch, dtype))


def _loader(
    examples: Sequence[Example], network: Any, plan: Plan, heads: list[str], head: str, shuffle: bool
) -> Any:
    from mace.tools.torch_geometric.dataloader import DataLoader

    numbers, cutoff_ang = network.atomic_numbers.tolist(), float(network.r_max)
    graphs = _graphs(examples, numbers, cutoff_ang, heads, head)
    return DataLoader(dataset=graphs, batch_size=plan.batch_size, shuffle=shuffle, drop_last=False)


def _graphs(
    examples: Sequence[Example], numbers: list[int], cutoff_ang: float, heads: list[str], head: str
) -> list[Any]:
    """Return the package's graphs with their labels."""
    from mace.data import AtomicData
    from mace.data.utils import Configuration
    from mace.tools import AtomicNumberTable

    graphs = []
    for example in examples:
        labels = {
            "energy": example.energy_ev,
            "forces": example.forces_ev_per_ang,
            "stress": example.stress_ev_per_ang3,
        }
        configuration = Configuration(
            atomic_numbers=example.atoms.numbers,
            positions=example.atoms.positions,
            properties=labels,
            property_weights={name: float(value is not None) for name, value in labels.items()},
            cell=example.atoms.cell.array,
            pbc=tuple(example.atoms.pbc.tolist()),
            head=head,
        )
        graphs.append(AtomicData.from_config(configuration, AtomicNumberTable(numbers), cutoff_ang, heads))
    return graphs


def _scratch(train: Sequence[Example], plan: Plan, head: str) -> Any:
    """Return a network of random weights, scaled as the package does it: by the forces of the training frames."""
    import numpy as np
    import torch
    from mace import modules  # before e3nn: mace lets it read its own tables
    from mace.tools.torch_geometric.dataloader import DataLoader
    from e3nn import o3  # isort: skip

    numbers = sorted({int(n) for example in train for n in example.atoms.numbers})
    energies = np.zeros((1, len(numbers)))  # the labels are aligned: their mean is zero
    graphs = _graphs(train, numbers, CUTOFF_ANG, [head], head)
    loader = DataLoader(dataset=graphs, batch_size=len(graphs), shuffle=False, drop_last=False)
    neighbours = modules.compute_avg_num_neighbors(loader)
    forces = np.concatenate([example.forces_ev_per_ang for example in train])
    torch.manual_seed(plan.seed)
    return modules.ScaleShiftMACE(
        r_max=CUTOFF_ANG,
        num_bessel=BESSEL,
        num_polynomial_cutoff=5,
        max_ell=LARGEST_L,
        interaction_cls=modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        interaction_cls_first=modules.interaction_classes["RealAgnosticInteractionBlock"],
        num_interactions=LAYERS,
        num_elements=len(numbers),
        hidden_irreps=o3.Irreps(f"{plan.mace_channels}x0e + {plan.mace_channels}x1o"),
        MLP_irreps=o3.Irreps("16x0e"),
        gate=torch.nn.functional.silu,
        atomic_energies=energies,
        avg_num_neighbors=float(neighbours),
        atomic_numbers=numbers,
        correlation=CORRELATION,
        atomic_inter_scale=[float(np.sqrt((forces**2).mean())) or 1.0],
        atomic_inter_shift=[0.0],
        heads=[head],
    )
