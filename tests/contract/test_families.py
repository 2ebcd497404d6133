"""The families' loaders: the package's own numbers, and new checkpoints by a registry entry alone."""

from __future__ import annotations

import dataclasses
import logging
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import tiny
import tiny_fairchem
from ase import units

from pesbench.errors import CheckpointError, ConfigError
from pesbench.models.conformance import check, load_structures, pin, require
from pesbench.models.loaders import load_model, set_threads
from pesbench.models.m3gnet import give_old_ase_name
from pesbench.models.orb import CUTOFF_ANG, load_orb
from pesbench.models.registry import ModelEntry, load_registry
from pesbench.naming import weights, weights_folder

ROOT = Path(__file__).resolve().parents[2]
STRUCTURES = load_structures(ROOT / "data/conformance/structures.json")
TOLERANCE = {"ev_per_atom": 1e-4, "ev_per_ang": 1e-3, "gpa": 1e-2}
ENTRY = """
  {name}:
    family: {family}
    checkpoint: {{where: wheel, package: {package}, path: {path}, sha256: {sha256}}}
    dtype: float32
    level_of_theory: r2SCAN
    training: {{data: mine, structures: 1}}
    parameters: {parameters}
    licence: MIT
    citation: 10.1021/jacs.4c14455
    forces_are_gradients: true
"""
SHIPPED = load_registry(ROOT / "data/models.yaml")
# Checkpoints that could be somebody's own: entries that the registry does not have, of families that it knows.
ADDED = {
    "my-chgnet": {
        "family": "chgnet",
        "package": "chgnet",
        "path": "pretrained/0.2.0/chgnet_0.2.0_e30f77s348m32.pth.tar",
        "sha256": "ef624f78b6db9d315b4ef256f1bb3207449924191b91720dc17d3f60c5df980e",
        "parameters": 400438,
    },
    "sevennet-mf-0-r2scan": {
        "family": "sevennet",
        "package": "sevenn",
        "path": "pretrained_potentials/SevenNet_MF_0/checkpoint_sevennet_mf_0.pth",
        "sha256": "81791329b37d445f46b531578c182c41792d98c7814222c9e5dde276402225fd",
        "parameters": 846168,
    },
}
OPTIONS = {"sevennet-mf-0-r2scan": "    options: {modal: R2SCAN}\n"}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # fetched weights lie below results/
    set_threads(1)


def at_hand(name: str) -> ModelEntry:
    """The registry's entry, where this environment can load it."""
    entry = SHIPPED.get(name)
    if not tiny.installed(entry.family.package):
        pytest.skip(f"{entry.family.package} is not installed here")
    if entry.checkpoint.where == "fetched" and not (
        entry.checkpoint.pinned and Path(weights(name)).is_file()
    ):
        pytest.skip("its weights are not here: `make weights` fetches them")
    return entry


def with_entries(folder: Path, *blocks: str) -> Path:
    """A copy of the registry with entries appended."""
    path = folder / "models.yaml"
    path.write_text((ROOT / "data/models.yaml").read_text() + "".join(blocks))
    return path


@pytest.mark.parametrize("name", list(ADDED))
def test_checkpoint_of_a_known_family_needs_one_entry(name: str, tmp_path: Path) -> None:
    pytest.importorskip(ADDED[name]["package"])
    block = ENTRY.format(name=name, **ADDED[name]) + OPTIONS.get(name, "")
    entry = load_registry(with_entries(tmp_path, block)).get(name)
    model = load_model(entry)
    few = {key: STRUCTURES[key] for key in ("Cu", "LiF")}
    pinned = load_registry(with_entries(tmp_path, block, pin(model, few, TOLERANCE))).get(name)
    require(check(load_model(pinned), pinned, STRUCTURES))
    assert pinned.conformance is not None and list(pinned.conformance.structures) == ["Cu", "LiF"]


def packages_own(entry: ModelEntry):
    """The calculator that the package's documentation tells its users to take."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if entry.family.name == "chgnet":
            from chgnet.model import CHGNet, CHGNetCalculator

            network = CHGNet.load(model_name=entry.name.removeprefix("chgnet-"), verbose=False)
            return CHGNetCalculator(model=network, use_device="cpu")
        folder = Path(weights_folder(entry.name))
        if entry.family.name == "mace":
            return tiny.own_mace(entry.dtype, **entry.options)(folder)
        if entry.family.name == "mattersim":
            return tiny.own_mattersim(folder)
        if entry.family.name == "matgl-dgl":
            return tiny.own_matgl(folder)
        if entry.family.name == "m3gnet":
            give_old_ase_name()
            from m3gnet.models import M3GNet, M3GNetCalculator, Potential

            network = M3GNet.from_dir(str(folder))
            return M3GNetCalculator(Potential(network), stress_weight=units.GPa)
        if entry.family.name == "orb":
            from orb_models.forcefield import pretrained
            from orb_models.forcefield.calculator import ORBCalculator

            file = str(Path(weights_folder(entry.name)) / next(iter(entry.checkpoint.files)))
            fill = pretrained.ORB_PRETRAINED_MODELS[entry.name]
            return ORBCalculator(fill(file, "cpu", precision="float32-highest", compile=False), device="cpu")
        if entry.family.name == "fairchem":
            return tiny_fairchem.own_uma(entry.dtype)(Path(weights_folder(entry.name)))
        if entry.family.name == "fairchem-v1":
            return tiny_fairchem.own_v1(Path(weights_folder(entry.name)))
        from sevenn.calculator import SevenNetCalculator

        keyword = entry.name.replace("sevennet", "7net")
        return SevenNetCalculator(keyword, device="cpu", modal=entry.options.get("modal"))


@pytest.mark.parametrize("name", [name for name in SHIPPED.models if name != "emt"])
def test_same_numbers_as_the_package_itself(name: str) -> None:
    entry = at_hand(name)
    ours, theirs = load_model(entry).calculator, packages_own(entry)
    for atoms in STRUCTURES.values():
        mine, other = atoms.copy(), atoms.copy()
        mine.calc, other.calc = ours, theirs
        per_atom = (mine.get_potential_energy() - other.get_potential_energy()) / len(atoms)
        assert abs(per_atom) < 5e-6
        np.testing.assert_allclose(mine.get_forces(), other.get_forces(), atol=2e-4)
        np.testing.assert_allclose(mine.get_stress(voigt=False), other.get_stress(voigt=False), atol=2e-5)


def test_head_of_a_checkpoint_with_several_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mace")
    entry = tiny.make("tiny-mace-heads", tmp_path)
    monkeypatch.chdir(tmp_path)
    energies = []
    for head in ("pbe", "r2scan"):
        atoms = STRUCTURES["Cu"].copy()
        atoms.calc = load_model(dataclasses.replace(entry, options={"head": head})).calculator
        energies.append(atoms.get_potential_energy())
    assert abs(energies[0] - energies[1]) > 0.1
    for options, message in [
        ({}, "head is None, known: pbe, r2scan"),
        ({"head": "pb"}, "did you mean 'pbe'"),
    ]:
        with pytest.raises(ConfigError, match=message):
            load_model(dataclasses.replace(entry, options=options))


def test_mattersim_checkpoint_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("mattersim")
    import torch

    from pesbench.models.mattersim import load_mattersim

    tiny.TINY["tiny-mattersim"].build(tmp_path)
    stored = torch.load(tmp_path / "tiny.pth", weights_only=True)
    weight = next(name for name in stored["model"] if name.startswith("final."))
    for key, refused in [
        ("sbf.coef", False),
        ("normalizer.shift", True),
        (weight, True),
    ]:
        state = {name: value for name, value in stored["model"].items() if name != key}
        torch.save({**stored, "model": state}, tmp_path / "less.pth")
        if not refused:  # computed, and not in the published files
            load_mattersim(SHIPPED.get("mattersim-v1-1m"), tmp_path / "less.pth", "cpu")
            continue
        with pytest.raises(
            CheckpointError, match=f"do not match in {key}; rebuild the environment 'mattersim'"
        ):
            load_mattersim(SHIPPED.get("mattersim-v1-1m"), tmp_path / "less.pth", "cpu")


def test_matgls_own_calculator_leaves_the_angles_out_of_the_forces(tmp_path: Path) -> None:
    """Why load_matgl does not follow it; the contract proves that ours are the gradient."""
    pytest.importorskip("matgl")
    give_old_ase_name()
    from matgl.ext.ase import PESCalculator

    set_threads(1)
    tiny.TINY["tiny-chgnet-matgl"].build(tmp_path)
    one, other = STRUCTURES["Cu"].copy(), STRUCTURES["Cu"].copy()
    one.calc, other.calc = PESCalculator(tiny.matgl_potential(tmp_path)), tiny.own_matgl(tmp_path)
    assert one.get_potential_energy() == pytest.approx(other.get_potential_energy(), abs=1e-5)
    assert np.abs(one.get_forces() - other.get_forces()).max() > 0.05


def test_chgnet_graph_is_the_packages_graph() -> None:
    pytest.importorskip("chgnet")
    from chgnet.graph import CrystalGraphConverter
    from pymatgen.io.ase import AseAtomsAdaptor

    from pesbench.models.chgnet_graph import build

    converter = CrystalGraphConverter(atom_graph_cutoff=6, bond_graph_cutoff=3)
    for atoms in STRUCTURES.values():
        theirs, ours = converter(AseAtomsAdaptor.get_structure(atoms)), build(atoms, 6.0, 3.0, "cpu")
        assert len(ours.atom_graph) == len(theirs.atom_graph)
        for rounded in ("atom_frac_coord", "lattice"):  # to the last bit, but for a rounding of a rounding
            one, other = (getattr(graph, rounded).detach().numpy() for graph in (ours, theirs))
            np.testing.assert_allclose(one, other, rtol=1.2e-7, atol=1e-15)
        # not the images: pymatgen counts them from the wrapped positions
        np.testing.assert_allclose(_lengths(ours), _lengths(theirs), atol=2e-5)
        assert ours.bond_graph.shape == theirs.bond_graph.shape
        assert np.bincount(ours.bond_graph[:, 0]).tolist() == np.bincount(theirs.bond_graph[:, 0]).tolist()
        pairs = np.bincount(ours.directed2undirected.numpy())
        assert (pairs == 2).all() and len(pairs) == len(ours.undirected2directed)


def _lengths(graph) -> np.ndarray:
    """Sorted bond lengths, center and neighbor first."""
    positions = (graph.atom_frac_coord @ graph.lattice).detach().numpy()
    vectors = graph.neighbor_image.numpy() @ graph.lattice.detach().numpy()
    pairs = graph.atom_graph.numpy()
    length = np.linalg.norm(positions[pairs[:, 1]] + vectors - positions[pairs[:, 0]], axis=1)
    return np.array(sorted(zip(pairs[:, 0], pairs[:, 1], np.round(length, 5), strict=True)))


def test_modal_is_an_option_of_sevennet_only(tmp_path: Path) -> None:
    pytest.importorskip("chgnet")
    block = ENTRY.format(name="my-chgnet", **ADDED["my-chgnet"]) + "    options: {model: PBE}\n"
    with pytest.raises(ConfigError, match="my-chgnet, options: unknown key 'model'"):
        load_model(load_registry(with_entries(tmp_path, block)).get("my-chgnet"))


@pytest.mark.parametrize("name", ["chgnet-0.3.0", "sevennet-0"])
def test_one_flipped_byte_is_refused_before_it_is_opened(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = load_registry(ROOT / "data/models.yaml").get(name)
    pytest.importorskip(entry.family.package)
    import torch

    from pesbench.models.loaders import checkpoint_path

    data = bytearray(checkpoint_path(entry).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "flipped.pth").write_bytes(data)
    text = (ROOT / "data/models.yaml").read_text()
    text = text.replace(f"      path: {entry.checkpoint.path}\n", "      path: flipped.pth\n")
    text = text.replace(
        f"      where: wheel\n      package: {entry.checkpoint.package}\n      path: flipped",
        "      where: file\n      path: flipped",
    )
    (tmp_path / "models.yaml").write_text(text)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the file was opened"))
    with pytest.raises(CheckpointError) as caught:
        load_model(load_registry(tmp_path / "models.yaml").get(name))
    message = str(caught.value)
    assert (
        "flipped.pth" in message and entry.checkpoint.sha256 in message and "fetch the file again" in message
    )
    assert "\n" not in message


@pytest.mark.parametrize(
    "name", [name for name, entry in SHIPPED.models.items() if entry.family.name == "orb"]
)
def test_orb_entry_describes_the_network_that_the_package_fills(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files do not say which architecture and how many neighbors they are for; the package's names do."""
    pytest.importorskip("orb_models")
    from orb_models.forcefield import pretrained

    filled = {}

    def load_model(network, weights_path, *_, **__):
        filled.update(network=network, address=weights_path)
        return network

    monkeypatch.setattr(pretrained, "load_model", load_model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pretrained.ORB_PRETRAINED_MODELS[name](device="cpu", compile=False)
    entry = SHIPPED.get(name)
    file = next(iter(entry.checkpoint.files))
    assert filled["address"] == f"{entry.checkpoint.url}/{file}"
    theirs = filled["network"]
    assert sum(parameter.numel() for parameter in theirs.parameters()) == entry.parameters
    assert theirs.system_config.max_num_neighbors == entry.options["max_num_neighbors"]
    assert theirs.system_config.radius == CUTOFF_ANG
    ours = getattr(pretrained, f"{entry.options['architecture']}_architecture")(device="cpu")
    shapes = [{key: value.shape for key, value in one.state_dict().items()} for one in (ours, theirs)]
    assert shapes[0] == shapes[1]


def test_orb_does_not_leave_an_output_layer_at_random(tmp_path: Path) -> None:
    """The package itself says nothing when a file lacks one."""
    pytest.importorskip("orb_models")
    import torch

    entry = tiny.make("tiny-orb-v3-direct", tmp_path)
    path = tmp_path / "tiny.ckpt"
    state = torch.load(tmp_path / "mirror/tiny-orb-v3-direct/tiny.ckpt", weights_only=True)
    torch.save({key: value for key, value in state.items() if not key.startswith("heads.stress.")}, path)
    with pytest.raises(CheckpointError, match=r"tiny\.ckpt lacks heads\.stress\.\S+; correct the options"):
        load_orb(entry, path, "cpu")
    other = dataclasses.replace(entry, options={**entry.options, "architecture": "orb_v2", "sizes": {}})
    with pytest.raises(CheckpointError, match="is no checkpoint of orb_v2"):
        load_orb(other, path, "cpu")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"architecture": "orb-v2"}, "architecture is 'orb-v2', must be orb_v2, "),
        ({"max_num_neighbors": "inf"}, "max_num_neighbors is 'inf', must be a whole number such as 20"),
        ({"architecture": "orb_v3_conservative"}, "forces_are_gradients is False"),
        ({"task": "omat"}, "unknown key 'task'"),
    ],
)
def test_bad_orb_options_are_named(options: dict, said: str) -> None:
    pytest.importorskip("orb_models")
    entry = SHIPPED.get("orb-v2")
    with pytest.raises(ConfigError, match=re.escape(said)):
        load_orb(dataclasses.replace(entry, options={**entry.options, **options}), None, "cpu")


@pytest.mark.parametrize("task", ["omta", None])
def test_uma_task_is_chosen_from_those_of_the_checkpoint(
    task: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not tiny.installed(SHIPPED.families["fairchem"].package):
        pytest.skip("fairchem-core 2 is not installed here")
    entry = tiny.make("tiny-uma", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"tiny-uma, options: task is {task!r}, .*omat"):
        load_model(dataclasses.replace(entry, options={"task": task} if task else {}))


def test_uma_in_single_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not tiny.installed(SHIPPED.families["fairchem"].package):
        pytest.skip("fairchem-core 2 is not installed here")
    entry = tiny.make("tiny-uma", tmp_path)
    monkeypatch.chdir(tmp_path)
    double, single = (load_model(dataclasses.replace(entry, dtype=dtype)) for dtype in ("float64", "float32"))
    for atoms in STRUCTURES.values():
        one, other = atoms.copy(), atoms.copy()
        one.calc, other.calc = double.calculator, single.calculator
        difference = abs(one.get_potential_energy() - other.get_potential_energy()) / len(atoms)
        assert 0 < difference < 2e-5
        np.testing.assert_allclose(one.get_forces(), other.get_forces(), atol=2e-4)
        np.testing.assert_allclose(one.get_stress(), other.get_stress(), atol=2e-5)


def test_fairchem_1_leaves_no_trace_in_the_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not tiny.installed(SHIPPED.families["fairchem-v1"].package):
        pytest.skip("fairchem-core 1 is not installed here")
    entry = tiny.make("tiny-esen", tmp_path)
    monkeypatch.chdir(tmp_path)
    handlers, level = logging.root.handlers[:], logging.root.level
    load_model(entry).calculator.get_potential_energy(STRUCTURES["Cu"])
    assert logging.root.handlers == handlers and logging.root.level == level
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mirror", "models.yaml", "results"]
