"""Tiny models of the families fairchem (UMA) and fairchem-v1 (EquiformerV2, eSEN): the published forms, but small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator

REFERENCES_EV = (-np.linspace(1.0, 3.0, 100)).tolist()


def _only(folder: Path) -> Path:
    """The one file of a folder."""
    (path,) = folder.iterdir()
    return path


# --- fairchem-core 2


def _task(dataset: str, quantity: str, level: str, shape: list[int], rmsd: float) -> dict[str, Any]:
    """One task of a UMA checkpoint, as its training configuration writes it."""
    modules = "fairchem.core.modules.normalization"
    references = {
        "_target_": f"{modules}.element_references.ElementReferences",
        "element_references": {"_target_": "torch.DoubleTensor", "_args_": [REFERENCES_EV]},
    }
    return {
        "_target_": "fairchem.core.units.mlip_unit.mlip_unit.Task",
        "name": f"{dataset}_{quantity}",
        "level": level,
        "property": quantity,
        "out_spec": {"dim": shape, "dtype": "float32"},
        "normalizer": {"_target_": f"{modules}.normalizer.Normalizer", "mean": 0.0, "rmsd": rmsd},
        "datasets": [dataset],
        **({"element_references": references} if quantity == "energy" else {}),
    }


def build_uma(folder: Path) -> int:
    """UMA-S-1.2.1 as its training configuration has it, but with few channels, experts and layers."""
    import hydra
    import torch
    from fairchem.core.units.mlip_unit.api.inference import MLIPInferenceCheckpoint

    torch.manual_seed(0)
    datasets = {"omat": "omat", "omol": "omol"}
    config = {
        "_target_": "fairchem.core.models.base.HydraModel",
        "model_id": "UMA-S-1.2.1",
        "pass_through_head_outputs": True,
        "otf_graph": True,
        "backbone": {
            "model": "fairchem.core.models.uma.escn_moe.eSCNMDMoeBackbone",
            "moe_dropout": 0.05,
            "moe_layer_type": "pytorch",
            "num_experts": 4,
            "use_composition_embedding": True,
            "composition_dropout": 0.1,
            "max_num_elements": 100,
            "sphere_channels": 8,
            "lmax": 2,
            "mmax": 2,
            "otf_graph": True,
            "max_neighbors": 300,
            "cutoff": 6,
            "edge_channels": 8,
            "distance_function": "gaussian",
            "num_distance_basis": 8,
            "regress_forces": True,
            "regress_stress": True,
            "direct_forces": False,
            "num_layers": 2,
            "hidden_channels": 8,
            "norm_type": "rms_norm_sh",
            "act_type": "gate",
            "ff_type": "spectral",
            "chg_spin_emb_type": "rand_emb",
            "cs_emb_grad": True,
            "dataset_mapping": datasets,
            "dataset_emb_grad": True,
            "charge_balanced_channels": [0, 1, 2],
        },
        "heads": {
            "energyandforcehead": {
                "module": "fairchem.core.models.uma.escn_moe.DatasetSpecificMoEWrapper",
                "dataset_mapping": datasets,
                "head_cls": "fairchem.core.models.uma.escn_md.MLP_EFS_Head",
                "head_kwargs": {"wrap_property": False},
            }
        },
    }
    network = hydra.utils.instantiate(config)
    with torch.no_grad():  # a large constant would drown the rest in the rounding of single precision
        for name, values in network.named_parameters():
            if "energy_block" in name and name.endswith("bias"):
                values.zero_()
    averaged = torch.optim.swa_utils.AveragedModel(network)
    quantities = [("energy", "system", [1]), ("forces", "atom", [3]), ("stress", "system", [1, 9])]
    tasks = [_task(dataset, *quantity, 170.0) for dataset in datasets for quantity in quantities]
    torch.save(
        MLIPInferenceCheckpoint(config, network.state_dict(), averaged.state_dict(), tasks),
        folder / "tiny.pt",
    )
    return sum(parameter.numel() for parameter in network.parameters())


def own_uma(dtype: str) -> Callable[[Path], Calculator]:
    def own(folder: Path) -> Calculator:
        from fairchem.core import FAIRChemCalculator
        from fairchem.core.units.mlip_unit import InferenceSettings, load_predict_unit

        settings = InferenceSettings(base_precision_dtype=dtype)
        unit = load_predict_unit(_only(folder), settings, device="cpu")
        return FAIRChemCalculator(unit, task_name="omat")

    return own


# --- fairchem-core 1

EQUIFORMER = {
    "backbone": {
        "model": "equiformer_v2_backbone",
        "use_pbc": True,
        "use_pbc_single": True,
        "otf_graph": True,
        "enforce_max_neighbors_strictly": False,
        "max_neighbors": 20,
        "max_radius": 12.0,
        "max_num_elements": 96,
        "num_layers": 1,
        "sphere_channels": 8,
        "attn_hidden_channels": 8,
        "num_heads": 2,
        "attn_alpha_channels": 8,
        "attn_value_channels": 8,
        "ffn_hidden_channels": 8,
        "norm_type": "layer_norm_sh",
        "lmax_list": [4],
        "mmax_list": [2],
        "grid_resolution": 18,
        "edge_channels": 8,
        "num_distance_basis": 32,
        "attn_activation": "silu",
        "use_s2_act_attn": False,
        "ffn_activation": "silu",
        "use_gate_act": False,
        "use_grid_mlp": True,
        "weight_init": "uniform",
        "avg_num_nodes": 31.17,
        "avg_degree": 61.95,
    },
    "heads": {
        "energy": {"module": "equiformerV2_scalar_head", "output_name": "energy", "reduce": "sum"},
        "forces": {"module": "equiformerV2_vector_head", "output_name": "forces"},
        "stress": {
            "module": "rank2_symmetric_head",
            "output_name": "stress",
            "use_source_target_embedding": True,
            "decompose": True,
        },
    },
    "pass_through_head_outputs": True,
}
EQUIFORMER_STRESS = {
    "level": "system",
    "irrep_dim": 2,
    "property": "stress",
    "decomposition": {"stress_isotropic": {"irrep_dim": 0}, "stress_anisotropic": {"irrep_dim": 2}},
}
ESEN = {
    "backbone": {
        "model": "esen_backbone",
        "max_num_elements": 100,
        "sphere_channels": 8,
        "lmax": 3,
        "mmax": 2,
        "otf_graph": True,
        "max_neighbors": 300,
        "use_pbc": True,
        "use_pbc_single": True,
        "cutoff": 6.0,
        "edge_channels": 8,
        "distance_function": "gaussian",
        "num_distance_basis": 8,
        "direct_forces": False,
        "regress_forces": True,
        "regress_stress": True,
        "num_layers": 2,
        "hidden_channels": 8,
        "norm_type": "rms_norm_sh",
        "act_type": "gate",
        "mlp_type": "spectral",
        "use_envelope": True,
    },
    "heads": {"mptrj": {"module": "esen_mlp_efs_head"}},
    "pass_through_head_outputs": True,
}
ESEN_STRESS = {"level": "system", "property": "stress"}


def build_v1(
    model: dict[str, Any], stress: dict[str, Any], normalizers: tuple[str, ...], rmsd: float
) -> Callable[[Path], int]:
    """A checkpoint as the package's trainer saves one."""

    def build(folder: Path) -> int:
        import torch

        from pesbench.models.fairchem_v1 import package_calculator

        package_calculator()
        from fairchem.core.common.registry import registry

        torch.manual_seed(0)
        network = registry.get_model_class("hydra")(**model)
        config = {
            "trainer": "ocp",
            "task": {},
            "model": {"name": "hydra", "otf_graph": True, **model},
            "dataset": {"format": "ase_db", "src": "unknown"},
            "outputs": {
                "energy": {"level": "system", "property": "energy", "shape": 1},
                "forces": {"level": "atom", "property": "forces", "irrep_dim": 1},
                "stress": stress,
            },
            "loss_functions": [{"energy": {"fn": "per_atom_mae", "coefficient": 20}}],
            "evaluation_metrics": {},
            "optim": {},
            "amp": True,
            "cmd": {"seed": 0},
            "gpus": 1,
        }
        torch.save(
            {
                "state_dict": {f"module.{key}": value for key, value in network.state_dict().items()},
                "normalizers": {
                    name: {"mean": torch.tensor(0.0), "rmsd": torch.tensor(rmsd)} for name in normalizers
                },
                "elementrefs": {
                    "energy": {"element_references": torch.tensor([*REFERENCES_EV, *[0.0] * 19])}
                },
                "config": config,
                "val_metrics": {"energy_mae": {"metric": np.float64(0.01)}},  # not a tensor, as in real ones
                "amp": None,
            },
            folder / "tiny.pt",
        )
        return sum(parameter.numel() for parameter in network.parameters())

    return build


def own_v1(folder: Path) -> Calculator:
    """The package's calculator; ``torch.load`` of today opens tensors only unless it is told that it may."""
    import os

    from pesbench.models.fairchem_v1 import package_calculator

    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    try:
        return package_calculator()(checkpoint_path=_only(folder), cpu=True, seed=0)
    finally:
        del os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"]
