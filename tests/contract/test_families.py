"""The families' loaders: the package's own numbers, and new checkpoints by a registry entry alone."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import tiny
from ase import units

from pesbench.errors import CheckpointError, ConfigError
from pesbench.models.conformance import check, load_structures, pin, require
from pesbench.models.loaders import load_model, set_threads
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
    pytest.importorskip(entry.family.package)
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
            from m3gnet.models import M3GNet, M3GNetCalculator, Potential

            network = M3GNet.from_dir(str(folder))
            return M3GNetCalculator(Potential(network), stress_weight=units.GPa)
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


def test_matgls_own_calculator_leaves_the_angles_out_of_the_forces(tmp_path: Path) -> None:
    """Why load_matgl does not follow it; the contract proves that ours are the gradient."""
    pytest.importorskip("matgl")
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
