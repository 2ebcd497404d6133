"""Tiny models of the family orb: the published architectures, but small."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ase.calculators.calculator import Calculator

SIZES = {
    "orb_v2": {"num_message_passing_steps": 2},
    "orb_v3_conservative": {
        "latent_dim": 32,
        "base_mlp_hidden_dim": 32,
        "head_mlp_hidden_dim": 16,
        "num_message_passing_steps": 2,
    },
}
SIZES["orb_v3_direct"] = SIZES["orb_v3_conservative"]
LOUDER = {
    "orb_v2": {"forces": 10.0},
    "orb_v3_conservative": {"energy": 30.0},
    "orb_v3_direct": {"forces": 150.0},
}


def options(architecture: str, max_num_neighbors: int) -> dict[str, Any]:
    """What the registry says of such a model."""
    return {
        "architecture": architecture,
        "max_num_neighbors": max_num_neighbors,
        "sizes": SIZES[architecture],
    }


def network(architecture: str, max_num_neighbors: int) -> Any:
    """The package's network with random weights, whose output layers answer louder."""
    import torch
    from orb_models.forcefield import pretrained
    from orb_models.forcefield.atomic_system import SystemConfig

    torch.manual_seed(0)
    config = SystemConfig(radius=6.0, max_num_neighbors=max_num_neighbors)
    build = getattr(pretrained, f"{architecture}_architecture")
    made = build(device="cpu", system_config=config, **SIZES[architecture])
    with torch.no_grad():
        for name, factor in LOUDER[architecture].items():
            made.heads[name].mlp[-2].weight *= factor
    return made


def build_orb(*architecture: Any) -> Callable[[Path], int]:
    def build(folder: Path) -> int:
        import torch

        made = network(*architecture)
        torch.save(made.state_dict(), folder / "tiny.ckpt")
        return sum(parameter.numel() for parameter in made.parameters())

    return build


def own_orb(*architecture: Any, precision: str = "float32-highest") -> Callable[[Path], Calculator]:
    """The package's calculator, of weights that the package's function for published files has read."""

    def own(folder: Path) -> Calculator:
        import torch
        from orb_models.forcefield import pretrained
        from orb_models.forcefield.calculator import ORBCalculator

        before = torch.get_default_dtype()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = pretrained.load_model(
                network(*architecture),
                str(folder / "tiny.ckpt"),
                device="cpu",
                precision=precision,
                compile=False,
            )
        calculator = ORBCalculator(made, device="cpu")
        plain = calculator.calculate

        def calculate(*arguments: Any, **keywords: Any) -> None:
            """The package computes in the precision that PyTorch defaults to at the time."""
            torch.set_default_dtype(next(made.parameters()).dtype)
            plain(*arguments, **keywords)
            torch.set_default_dtype(before)

        calculator.calculate = calculate
        torch.set_default_dtype(before)
        return calculator

    return own
