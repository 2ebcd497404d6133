"""Load a model of the registry: verify its weights, then one lazy loader a family, one calculator for all."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols

from pesbench.config import check_keys
from pesbench.errors import CheckpointError, ConfigError
from pesbench.models.calculator import (
    ElementError,
    Evaluation,
    Loaded,
    NonFiniteError,
    PesCalculator,
)
from pesbench.models.elements import ELEMENTS_OF_MPTRJ
from pesbench.models.fairchem import load_fairchem
from pesbench.models.fairchem_v1 import load_fairchem_v1
from pesbench.models.m3gnet import load_m3gnet, load_matgl
from pesbench.models.mace import load_mace
from pesbench.models.mattersim import load_mattersim
from pesbench.models.orb import load_orb
from pesbench.models.pinning import refusal
from pesbench.naming import weights_folder
from pesbench.packages import package_versions

__all__ = ["ElementError", "Model", "NonFiniteError", "load_model", "set_threads"]

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

    from pesbench.models.registry import ModelEntry

CPU_ONLY = frozenset(
    {"ase", "matgl-dgl", "m3gnet"}
)  # the pinned wheels of dgl and TensorFlow are for the CPU


@dataclass(frozen=True)
class Model:
    """A loaded model: ``calculator`` is all that the engine needs, the rest is provenance."""

    name: str
    family: str
    device: str
    dtype: str
    checkpoint_sha256: str
    parameters: int
    versions: Mapping[str, str]
    calculator: PesCalculator

    @property
    def evaluations(self) -> int:
        """Structures evaluated so far."""
        return self.calculator.evaluations

    @property
    def seconds(self) -> float:
        """Wall seconds spent in the model so far."""
        return self.calculator.seconds

    @property
    def elements(self) -> frozenset[str]:
        """Chemical symbols that the model knows."""
        return self.calculator.elements


def load_model(entry: ModelEntry, device: str = "cpu") -> Model:
    """Verify and load one model.

    Parameters
    ----------
    device
        ``cpu``, ``cuda``, or ``auto`` (CUDA where there is a GPU).

    Raises
    ------
    CheckpointError
        When the weights are missing or are not the pinned ones; they are not opened then.
    ConfigError
        When the device, the dtype or an option of the entry does not suit the family.
    """
    if entry.family.name not in LOADERS:
        raise ConfigError(f"{entry.name}: family '{entry.family.name}' has no loader in models/loaders.py")
    loader, *dtypes = LOADERS[entry.family.name]
    if entry.dtype not in dtypes:
        raise ConfigError(
            f"{entry.name}: dtype is {entry.dtype}, but family {entry.family.name} runs in {' or '.join(dtypes)}"
        )
    checkpoint = verified_checkpoint(entry)
    where = "cpu" if entry.family.name in CPU_ONLY else _device(device)
    loaded = _flushed(loader(entry, checkpoint, where))
    if entry.parameters not in (None, loaded.parameters):
        raise CheckpointError(
            f"{entry.name}: the checkpoint has {loaded.parameters} parameters, the registry says "
            f"{entry.parameters}; correct the entry"
        )
    return Model(
        name=entry.name,
        family=entry.family.name,
        device=where,
        dtype=entry.dtype,
        checkpoint_sha256=entry.checkpoint_sha256,
        parameters=loaded.parameters,
        versions=package_versions(),
        calculator=PesCalculator(entry.name, loaded.evaluate, loaded.elements, loaded.evaluate_many, where),
    )


def checkpoint_path(entry: ModelEntry) -> Path:
    """Return where the weights should be, without importing the package that carries them."""
    if entry.checkpoint.where == "file":
        return Path(entry.checkpoint.path)
    if entry.checkpoint.where == "fetched":
        return Path(entry.checkpoint.path or weights_folder(entry.name))
    spec = importlib.util.find_spec(entry.checkpoint.package)
    if spec is None or not spec.submodule_search_locations:
        raise CheckpointError(
            f"{entry.name}: the package {entry.checkpoint.package}, which has its weights, is not installed "
            f"here; run it in the environment '{entry.environment}' (envs/{entry.environment}.txt)"
        )
    return Path(next(iter(spec.submodule_search_locations))) / entry.checkpoint.path


def verified_checkpoint(entry: ModelEntry) -> Path | None:
    """Return the path of the weights if every SHA-256 is the pinned one; None where there are none.

    Of several fetched files it is their folder, of a single one the file.
    """
    if entry.checkpoint.where == "none":
        return None
    if not entry.checkpoint.pinned:
        checkpoint = entry.checkpoint
        raise CheckpointError(refusal(entry.name, checkpoint.url, checkpoint.files, checkpoint.gated))
    path = checkpoint_path(entry)
    files = {path / name: sha256 for name, sha256 in entry.checkpoint.files.items()}
    for file, sha256 in (files or {path: entry.checkpoint.sha256}).items():
        _verify(entry, file, sha256)
    return next(iter(files)) if len(files) == 1 else path


def _verify(entry: ModelEntry, path: Path, sha256: str) -> None:
    mend = {
        "wheel": f"rebuild the environment '{entry.environment}'",
        "fetched": "fetch it with: make weights",
    }.get(entry.checkpoint.where, "fetch the file again")
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        reason = f"the weights {path} cannot be read: {error.strerror}; {mend}"
        raise CheckpointError(f"{entry.name}: {reason}") from error
    if found != sha256:
        raise CheckpointError(
            f"{entry.name}: {path} is not the pinned checkpoint and was not opened: "
            f"SHA-256 expected {sha256}, found {found}; {mend}"
        )


def set_threads(count: int) -> None:
    """Let the model compute with this many threads; the same number gives the same bits."""
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(count)
    if importlib.util.find_spec("torch") is not None:
        import torch

        torch.set_num_threads(count)


def _flushed(loaded: Loaded) -> Loaded:
    """Have what is too small for a normal float (1e-38) count as zero while a network of PyTorch works.

    Gradients through cutoffs and sigmoids are full of such numbers, and processors take a hundred times as long for
    each: CHGNet spent 40 % of its time on them.
    """
    if importlib.util.find_spec("torch") is None:
        return loaded
    import torch

    def flushed(evaluate: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def evaluated(asked: Any) -> Any:
            torch.set_flush_denormal(True)
            try:
                return evaluate(asked)
            finally:
                torch.set_flush_denormal(False)

        return evaluated

    many = loaded.evaluate_many and flushed(loaded.evaluate_many)
    return replace(loaded, evaluate=flushed(loaded.evaluate), evaluate_many=many)


def _device(asked: str) -> str:
    import torch

    if asked not in ("cpu", "cuda", "auto"):
        raise ConfigError(f"device is '{asked}', must be cpu, cuda or auto")
    available = torch.cuda.is_available()
    if asked == "cuda" and not available:
        raise ConfigError(
            "device is cuda, but PyTorch sees no GPU here: use cpu or auto, or a CUDA build of PyTorch"
        )
    return "cuda" if available and asked != "cpu" else "cpu"


def _load_ase(entry: ModelEntry, checkpoint: Path | None, device: str) -> Loaded:
    """ASE's effective medium theory, as an honest and fast stand-in for a model."""
    from ase.calculators.emt import EMT, parameters

    check_keys(entry.options, (), f"{entry.name}, options")

    def evaluate(atoms: Atoms) -> Evaluation:
        emt = (
            EMT()
        )  # a new one each time: its neighbor list remembers, but the same input must give the same bits
        with np.errstate(all="ignore"):  # what is not finite is refused later, with a better message
            emt.calculate(atoms, ["energy", "forces"])
        stress = _tensor(emt.results["stress"]) if atoms.cell.rank == 3 else None
        return Evaluation(emt.results["energy"], emt.results["forces"], stress)

    return Loaded(evaluate, frozenset(parameters), sum(len(values) for values in parameters.values()))


def _load_chgnet(entry: ModelEntry, checkpoint: Path | None, device: str) -> Loaded:
    """CHGNet. One backward pass gives forces and stress: half the time of the package's own calculator."""
    import torch
    from chgnet.model import CHGNet

    from pesbench.models.chgnet_graph import build

    check_keys(entry.options, (), f"{entry.name}, options")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["model"]
    # Version 0.2.0 has a bias that later ones dropped; the stored weights tell.
    has_bias = any(key.endswith("mlp_out.layers.1.bias") for key in state["state_dict"])
    with contextlib.redirect_stdout(io.StringIO()):  # it announces its parameter count
        network = CHGNet.from_dict(state, mlp_out_bias=has_bias).to(device).eval()
    parameters = network.n_params
    network.requires_grad_(False)
    # It turns the graph's volume into a number on every call; harmless, and the volume is not used.
    warnings.filterwarnings("ignore", message="Converting a tensor with requires_grad", module=r"chgnet\.")
    atom_cutoff = float(network.graph_converter.atom_graph_cutoff)
    bond_cutoff = float(network.graph_converter.bond_graph_cutoff)

    def evaluate_many(many: Sequence[Atoms]) -> list[Evaluation]:
        graphs = [build(atoms, atom_cutoff, bond_cutoff, device) for atoms in many]
        energies = network(graphs, task="e")["e"]
        if network.is_intensive:
            energies = energies * torch.tensor([len(atoms) for atoms in many], device=energies.device)
        leaves = [leaf for graph in graphs for leaf in (graph.atom_frac_coord, graph.lattice)]
        gradients = iter(torch.autograd.grad(energies.sum(), leaves))
        found = []
        for atoms, energy in zip(many, energies.tolist(), strict=True):
            by_scaled, by_lattice = (next(gradients).cpu().numpy().astype(np.float64) for _ in range(2))
            # positions = scaled @ cell: by the chain rule, dE/dscaled = dE/dpositions @ cell.T
            minus_forces = np.linalg.solve(atoms.cell.complete().array, by_scaled.T).T
            virial = atoms.cell.array.T @ by_lattice
            stress = virial / atoms.get_volume() if atoms.cell.rank == 3 else None
            found.append(Evaluation(energy, -minus_forces, stress))
        return found

    return Loaded(lambda atoms: evaluate_many([atoms])[0], ELEMENTS_OF_MPTRJ, parameters, evaluate_many)


def _load_sevennet(entry: ModelEntry, checkpoint: Path | None, device: str) -> Loaded:
    """SevenNet by its own calculator, which takes forces and stress from one gradient over the edges.

    ``options: {modal: ...}`` chooses the level of theory of a multi-fidelity checkpoint.
    """
    check_keys(entry.options, ("modal",), f"{entry.name}, options")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="No tensor product accelerator", category=UserWarning)
        warnings.filterwarnings("ignore", message=".torch.jit.script. is dep", category=DeprecationWarning)
        from sevenn import _keys as KEY
        from sevenn.atom_graph_data import AtomGraphData
        from sevenn.calculator import SevenNetCalculator
        from sevenn.train.dataload import unlabeled_atoms_to_graph
        from torch_geometric.data import Batch

        package = SevenNetCalculator(checkpoint, device=device, modal=entry.options.get("modal"))
    package.model.requires_grad_(False)
    parameters = sum(parameter.numel() for parameter in package.model.parameters())

    def evaluate(atoms: Atoms) -> Evaluation:
        package.calculate(atoms)
        results = package.results
        stress = _tensor(results["stress"]) if atoms.cell.rank == 3 else None
        return Evaluation(results["energy"], results["forces"], stress)

    def evaluate_many(many: Sequence[Atoms]) -> list[Evaluation]:
        graphs = [
            AtomGraphData.from_numpy_dict(unlabeled_atoms_to_graph(atoms, package.cutoff, with_shift=False))
            for atoms in many
        ]
        batch = Batch.from_data_list(graphs)
        if package.modal:
            batch[KEY.DATA_MODALITY] = [package.modal] * len(many)
        package.model.set_is_batch_data(True)
        try:
            found = package.model(batch.to(device))
        finally:
            package.model.set_is_batch_data(False)
        energies, forces, stresses = (
            found[key].detach().cpu().numpy().astype(np.float64)
            for key in (KEY.PRED_TOTAL_ENERGY, KEY.PRED_FORCE, KEY.PRED_STRESS)
        )
        ends = np.cumsum([len(atoms) for atoms in many])
        parts = zip(
            energies, np.split(forces, ends[:-1]), -stresses[:, [0, 1, 2, 4, 5, 3]], many, strict=True
        )
        return [
            Evaluation(float(energy), force, _tensor(stress) if atoms.cell.rank == 3 else None)
            for energy, force, stress, atoms in parts
        ]

    elements = frozenset(chemical_symbols[number] for number in package.type_map)
    return Loaded(evaluate, elements, parameters, evaluate_many)


def _tensor(voigt: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the (3, 3) tensor of ASE's Voigt order."""
    return np.asarray(voigt, dtype=np.float64)[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]


# Family -> its loader and the precisions in which it runs.
LOADERS: dict[str, tuple[Callable[[ModelEntry, Path | None, str], Loaded], *tuple[str, ...]]] = {
    "ase": (_load_ase, "float64"),
    "chgnet": (_load_chgnet, "float32"),
    "sevennet": (_load_sevennet, "float32"),
    "matgl-dgl": (load_matgl, "float32"),
    "m3gnet": (load_m3gnet, "float32"),
    "mace": (load_mace, "float32", "float64"),
    "mattersim": (load_mattersim, "float32"),
    "orb": (load_orb, "float32", "float64"),
    "fairchem": (load_fairchem, "float32", "float64"),
    "fairchem-v1": (load_fairchem_v1, "float32"),
}
