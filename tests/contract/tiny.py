"""Tiny, randomly initialized models of the families whose published weights cannot be had everywhere.

A tiny model is of the real class, is saved in the format of the published checkpoints, is fetched from a mirror, and
goes through ``load_model`` with an entry of its own. What it must give is pinned from the package's own calculator.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers
from tiny_fairchem import (
    EQUIFORMER,
    EQUIFORMER_STRESS,
    ESEN,
    ESEN_STRESS,
    build_uma,
    build_v1,
    own_uma,
    own_v1,
)
from tiny_orb import build_orb, own_orb
from tiny_orb import options as orb_options

from pesbench.models.calculator import Evaluation, PesCalculator
from pesbench.models.conformance import load_structures, pin
from pesbench.models.loaders import load_model
from pesbench.models.m3gnet import give_old_ase_name
from pesbench.models.registry import ModelEntry, load_registry
from pesbench.naming import weights, weights_folder

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
    broken_symmetries: [{broken}]
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
    broken_symmetries: tuple[str, ...] = ()

    @property
    def here(self) -> bool:
        """Whether this environment has the family's package."""
        return installed(load_registry(SHIPPED).families[self.family].package)


def installed(package: str) -> bool:
    """Whether this environment has a package, or a part of one; nothing is imported."""
    top, _, part = package.partition(".")
    spec = importlib.util.find_spec(top)
    places = [] if spec is None else spec.submodule_search_locations or []
    return any((Path(place) / part.replace(".", "/")).exists() for place in places)


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
        broken=", ".join(tiny.broken_symmetries),
    )
    registry = folder / "models.yaml"
    registry.write_text(SHIPPED.read_text() + block)
    entry = load_registry(registry).get(name)
    before = Path.cwd()
    os.chdir(folder)
    try:
        shutil.copytree(source, weights_folder(name))
        Path(weights(name)).write_text(entry.checkpoint.listing())
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

        return MACECalculator(next(folder.glob("*.model")), device="cpu", default_dtype=dtype, **options)

    return own


# --- mattersim


def build_mattersim(folder: Path) -> int:
    """MatterSim v1 (an M3GNet), in the form in which its trainer saves it."""
    import torch
    from mattersim.forcefield import Potential
    from mattersim.forcefield.m3gnet.m3gnet import M3Gnet

    torch.manual_seed(0)
    network = M3Gnet(num_blocks=2, units=16, max_l=3, max_n=3, device="cpu")
    network.normalizer.scale.fill_(200.0)
    network.normalizer.shift.copy_(torch.linspace(-3, -1, network.max_z + 1))
    Potential(network, device="cpu").save(str(folder / "tiny.pth"))
    return sum(parameter.numel() for parameter in network.parameters())


def own_mattersim(folder: Path) -> Calculator:
    from mattersim.forcefield import MatterSimCalculator

    return MatterSimCalculator.from_checkpoint(str(next(folder.glob("*.pth"))), device="cpu")


# --- matgl 1


def build_matgl_chgnet(older: bool = False) -> Callable[[Path], int]:
    """CHGNet of matgl 1, with the published model's choices and fewer channels.

    ``older`` leaves mean, scale and reference energies out of the stored state, as older versions of matgl did.
    """

    def build(folder: Path) -> int:
        os.environ["DGLBACKEND"] = "pytorch"
        import torch
        from matgl.apps.pes import Potential
        from matgl.models import CHGNet

        torch.manual_seed(0)
        network = CHGNet(
            **{f"dim_{part}_embedding": 16 for part in ("atom", "bond", "angle")},
            **{f"{part}_hidden_dims": [16] for part in ("atom_conv", "bond_conv", "bond_update")},
            final_hidden_dims=[16, 16],
            max_n=9,
            max_f=4,
            num_blocks=3,
            learn_basis=False,
            normalization="layer",
        )
        references = torch.linspace(-3, -1, len(network.element_types))
        Potential(network, data_std=torch.tensor(50.0), element_refs=references).save(folder)
        if older:
            state = torch.load(folder / "state.pt", weights_only=True)
            kept = {key: value for key, value in state.items() if key.startswith("model.")}
            torch.save(kept, folder / "state.pt")
        return sum(parameter.numel() for parameter in network.parameters())

    return build


def matgl_potential(folder: Path) -> Any:
    """matgl's potential, from the two files that ``Potential.load`` takes the weights from."""
    os.environ["DGLBACKEND"] = "pytorch"
    import matgl.models
    import torch
    from matgl.apps.pes import Potential

    arguments = torch.load(folder / "model.pt", map_location="cpu", weights_only=True)
    network = arguments["model"]
    arguments["model"] = getattr(matgl.models, network["@class"])(**network["init_args"])
    potential = Potential(**{key: value for key, value in arguments.items() if not key.startswith("@")})
    state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
    potential.load_state_dict(state, strict=False)
    return potential


def own_matgl(folder: Path) -> Calculator:
    """matgl's calculator; CHGNet is given the graph of angles as in matgl's training: see load_matgl."""
    from ase import units

    give_old_ase_name()
    from matgl.ext.ase import PESCalculator
    from matgl.graph.compute import compute_pair_vector_and_distance, create_line_graph

    potential = matgl_potential(folder)
    network = potential.model.forward

    def forward(g: Any, state_attr: Any = None, l_g: Any = None) -> Any:
        g.edata["bond_vec"], g.edata["bond_dist"] = compute_pair_vector_and_distance(g)
        return network(g, state_attr, create_line_graph(g, potential.model.three_body_cutoff, directed=True))

    if type(potential.model).__name__ == "CHGNet":
        potential.model.forward = forward
    return PESCalculator(potential, stress_weight=units.GPa)


TINY = {
    "tiny-chgnet-matgl": Tiny("matgl-dgl", "float32", build_matgl_chgnet(), own_matgl),
    "tiny-chgnet-matgl-older": Tiny("matgl-dgl", "float32", build_matgl_chgnet(older=True), own_matgl),
    "tiny-mattersim": Tiny("mattersim", "float32", build_mattersim, own_mattersim),
    "tiny-mace": Tiny("mace", "float64", build_mace(), own_mace("float64")),
    "tiny-mace-single": Tiny("mace", "float32", build_mace(), own_mace("float32")),
    "tiny-mace-heads": Tiny(
        "mace",
        "float64",
        build_mace(["pbe", "r2scan"], pair_repulsion=True, distance_transform="Agnesi"),
        own_mace("float64", head="r2scan"),
        options={"head": "r2scan"},
    ),
    "tiny-orb-v2": Tiny(
        "orb",
        "float32",
        build_orb("orb_v2", 20),
        own_orb("orb_v2", 20),
        options=orb_options("orb_v2", 20),
        forces_are_gradients=False,
        broken_symmetries=("rotation", "translation", "supercell"),
    ),
    "tiny-orb-v3-conservative": Tiny(
        "orb",
        "float64",
        build_orb("orb_v3_conservative", 120),
        own_orb("orb_v3_conservative", 120, precision="float64"),
        options=orb_options("orb_v3_conservative", 120),
        broken_symmetries=("rotation", "supercell"),
    ),
    "tiny-orb-v3-direct": Tiny(
        "orb",
        "float64",
        build_orb("orb_v3_direct", 120),
        own_orb("orb_v3_direct", 120, precision="float64"),
        options=orb_options("orb_v3_direct", 120),
        forces_are_gradients=False,
        broken_symmetries=("rotation",),
    ),
    "tiny-uma": Tiny("fairchem", "float64", build_uma, own_uma("float64"), options={"task": "omat"}),
    "tiny-eqv2": Tiny(
        "fairchem-v1",
        "float32",
        build_v1(
            EQUIFORMER, EQUIFORMER_STRESS, ("energy", "forces", "stress_isotropic", "stress_anisotropic"), 3.0
        ),
        own_v1,
        forces_are_gradients=False,
        broken_symmetries=("rotation", "net_force"),
    ),
    "tiny-esen": Tiny(
        "fairchem-v1", "float32", build_v1(ESEN, ESEN_STRESS, ("energy", "forces", "stress"), 45.0), own_v1
    ),
}
