"""Tiny, randomly initialized models of the families whose published weights cannot be had everywhere.

A tiny model is of the real class, is saved in the format of the published checkpoints, is fetched from a mirror, and
goes through ``load_model`` with an entry of its own. What it must give is pinned from the package's own calculator.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers

from pesbench.models.calculator import Evaluation, PesCalculator
from pesbench.models.conformance import load_structures, pin
from pesbench.models.loaders import load_model
from pesbench.models.registry import ModelEntry, load_registry
from pesbench.naming import weights, weights_folder
from pesbench.sources.weights import fetch_weights

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "data/models.yaml"
TOLERANCE = {"ev_per_atom": 1e-4, "ev_per_ang": 1e-3, "gpa": 1e-2}
ELEMENTS = ("H", "Li", "C", "N", "O", "F", "Al", "Si", "Ni", "Cu", "Pt", "Au")
ENTRY = """
  {name}:
    family: {family}
    options: {options}
    checkpoint:
      where: fetched
      url: https://weights.invalid/{name}
      mirror: {name}
      files: {files}
    dtype: {dtype}
    level_of_theory: none (random weights)
    training: {{data: none, structures: 0}}
    parameters: {parameters}
    licence: none
    citation: 10.0000/none
    forces_are_gradients: {gradients}
"""


@dataclass(frozen=True)
class Tiny:
    """How to make one tiny model.

    Attributes
    ----------
    build
        Writes the checkpoint into a folder, and returns its number of parameters.
    own
        The package's own calculator, from that folder.
    """

    family: str
    dtype: str
    build: Callable[[Path], int]
    own: Callable[[Path], Calculator]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    forces_are_gradients: bool = True

    @property
    def here(self) -> bool:
        """Whether this environment has the family's package."""
        return importlib.util.find_spec(load_registry(SHIPPED).families[self.family].package) is not None


def make(name: str, folder: Path) -> ModelEntry:
    """Build a tiny model in ``folder`` and return its entry; it loads while ``folder`` is the working directory."""
    tiny, source = TINY[name], folder / "mirror" / name
    source.mkdir(parents=True)
    parameters = tiny.build(source)
    hashes = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(source.iterdir())}
    block = ENTRY.format(
        name=name,
        family=tiny.family,
        options=tiny.options,
        files=hashes,
        dtype=tiny.dtype,
        parameters=parameters,
        gradients=str(tiny.forces_are_gradients).lower(),
    )
    registry = folder / "models.yaml"
    registry.write_text(SHIPPED.read_text() + block)
    entry = load_registry(registry).get(name)
    before = Path.cwd()
    os.chdir(folder)
    try:
        fetch_weights(entry.checkpoint, Path(weights_folder(name)), Path(weights(name)), folder / "mirror")
        model = load_model(entry)
    finally:
        os.chdir(before)
    theirs = PesCalculator(name, packages_own(tiny.own(source)), model.elements)
    structures = load_structures(ROOT / "data/conformance/structures.json")
    pinned = pin(dataclasses.replace(model, calculator=theirs), structures, TOLERANCE)
    registry.write_text(SHIPPED.read_text() + block + pinned)
    return load_registry(registry).get(name)


def packages_own(calculator: Calculator) -> Callable[[Any], Evaluation]:
    """Ask a package's own calculator in our form."""

    def evaluate(atoms: Any) -> Evaluation:
        work = atoms.copy()
        work.calc = calculator
        return Evaluation(work.get_potential_energy(), work.get_forces(), work.get_stress(voigt=False))

    return evaluate


# --- mace


def build_mace(heads: list[str] | None = None, **architecture: Any) -> Callable[[Path], int]:
    """MACE as published, but with few channels."""

    def build(folder: Path) -> int:
        import torch
        from mace import modules  # before e3nn: mace lets it read its own tables
        from e3nn import o3  # isort: skip

        torch.manual_seed(0)
        count = len(heads or ["Default"])
        residual = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
        network = modules.ScaleShiftMACE(
            **{
                "r_max": 5.0,
                "num_bessel": 6,
                "num_polynomial_cutoff": 5,
                "max_ell": 2,
                "interaction_cls": residual,
                "interaction_cls_first": residual,
                "num_interactions": 2,
                "num_elements": len(ELEMENTS),
                "hidden_irreps": o3.Irreps("8x0e + 8x1o"),
                "MLP_irreps": o3.Irreps(f"{8 * count}x0e"),
                "atomic_energies": np.linspace(-3, -1, count * len(ELEMENTS)).reshape(count, -1),
                "avg_num_neighbors": 20.0,
                "atomic_numbers": [atomic_numbers[symbol] for symbol in ELEMENTS],
                "correlation": 2,
                "gate": torch.nn.functional.silu,
                "atomic_inter_scale": [100.0] * count,
                "atomic_inter_shift": [0.1] * count,
                "heads": heads,
                **architecture,
            }
        )
        torch.save(network, folder / "tiny.model")
        return sum(parameter.numel() for parameter in network.parameters())

    return build


def own_mace(dtype: str, **options: Any) -> Callable[[Path], Calculator]:
    def own(folder: Path) -> Calculator:
        from mace.calculators import MACECalculator

        return MACECalculator(folder / "tiny.model", device="cpu", default_dtype=dtype, **options)

    return own


TINY = {
    "tiny-mace": Tiny("mace", "float64", build_mace(), own_mace("float64")),
    "tiny-mace-single": Tiny("mace", "float32", build_mace(), own_mace("float32")),
    "tiny-mace-heads": Tiny(
        "mace",
        "float64",
        build_mace(["pbe", "r2scan"], pair_repulsion=True, distance_transform="Agnesi"),
        own_mace("float64", head="r2scan"),
        options={"head": "r2scan"},
    ),
}
