"""The registry: what is shipped is complete, and every mistake in it has one message."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pesbench.errors import CheckpointError, ConfigError
from pesbench.models.loaders import load_model
from pesbench.models.registry import Registry, load_registry
from pesbench.naming import weights_folder

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "data/models.yaml"
# Registered, and refused until somebody who has the file pins what it gives.
UNPROVEN = {
    *("mace-mp-0-small", "mace-mp-0-medium", "mace-mp-0-large", "mace-mpa-0", "mace-omat-0"),
    *("mattersim-v1-1m", "mattersim-v1-5m", "m3gnet-matgl-direct", "chgnet-matgl-11m"),
    *("orb-v2", "orb-v3-conservative-inf-omat", "orb-v3-conservative-inf-mpa", "orb-v3-direct-inf-omat"),
    *("eqv2-m-omat-mp-salex", "esen-30m-oam", "uma-s-1p2p1-omat"),
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry(SHIPPED)


def changed(folder: Path, old: str, new: str) -> Path:
    """A copy of the registry with one thing changed."""
    text = SHIPPED.read_text()
    assert old in text
    path = folder / "models.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_shipped_models(registry: Registry) -> None:
    assert registry.environments() == {
        "emt": "driver",
        **dict.fromkeys(("chgnet-0.3.0", "chgnet-0.2.0", "chgnet-r2scan"), "chgnet"),
        **dict.fromkeys(("sevennet-0", "sevennet-l3i5", "sevennet-mf-0"), "sevennet"),
        "m3gnet-mp-2021.2.8-efs": "m3gnet",
        **dict.fromkeys(("m3gnet-matgl-pes", "m3gnet-matgl-direct", "chgnet-matgl-11m"), "matgl-dgl"),
        **dict.fromkeys(("mace-mp-0-small", "mace-mp-0-medium", "mace-mp-0-large"), "mace"),
        **dict.fromkeys(("mace-mpa-0", "mace-omat-0"), "mace"),
        **dict.fromkeys(("mattersim-v1-1m", "mattersim-v1-5m"), "mattersim"),
        **dict.fromkeys(("orb-v2", "orb-v3-direct-inf-omat"), "orb"),
        **dict.fromkeys(("orb-v3-conservative-inf-omat", "orb-v3-conservative-inf-mpa"), "orb"),
        **dict.fromkeys(("eqv2-m-omat-mp-salex", "esen-30m-oam"), "fairchem-v1"),
        "uma-s-1p2p1-omat": "fairchem",
    }
    for entry in registry.models.values():
        unproven = entry.name in UNPROVEN
        assert (entry.conformance is None) == unproven
        assert unproven or len(entry.conformance.structures) >= 5
        assert (ROOT / "envs" / f"{entry.environment}.txt").is_file()
        assert (entry.checkpoint_sha256 == "none") == (entry.name == "emt")


def test_pinned_versions_are_those_of_the_environment(registry: Registry) -> None:
    for entry in registry.models.values():
        if entry.name in UNPROVEN:
            continue
        pins = (ROOT / "envs" / f"{entry.environment}.txt").read_text()
        assert entry.conformance is not None
        for package, version in entry.conformance.environment.items():
            assert re.search(rf"^(# no-deps: )?{package}=={re.escape(version)}$", pins, flags=re.MULTILINE), (
                package,
                version,
            )


def test_entries_are_frozen(registry: Registry) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        registry.get("emt").dtype = "float32"


def test_registry_needs_neither_torch_nor_ase() -> None:
    code = (
        "import sys, pathlib; from pesbench.models.registry import load_registry; "
        f"load_registry(pathlib.Path({str(SHIPPED)!r})); "
        "print([m for m in ('torch', 'ase', 'numpy', 'pymatgen') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_unknown_model_names_the_nearest(registry: Registry) -> None:
    with pytest.raises(ConfigError, match=r"unknown model 'chgnet-0\.3', did you mean 'chgnet-0\.3\.0'\?"):
        registry.get("chgnet-0.3")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    dtype: float64\n", "    dtpye: float64\n", "emt: unknown key 'dtpye', did you mean 'dtype'"),
        ("    dtype: float64\n", "", "emt: key 'dtype' is missing"),
        ("    dtype: float64\n", "    dtype: float46\n", "dtype is 'float46', did you mean 'float64'"),
        ("    dtype: float64\n", "    dtype: 64\n", "emt: dtype is 64, must be text"),
        ("family: ase\n", "family: asee\n", "emt: unknown family 'asee', did you mean 'ase'"),
        ("where: none", "where: nowhere", "where is 'nowhere', must be one of none, wheel, file"),
        ("sha256: d14ab7", "sha256: D14AB7", "must be 64 hexadecimal digits in lower case"),
        ("sha256: d14ab7", "sha256: 14ab7", "must be 64 hexadecimal digits in lower case"),
        ("      package: chgnet\n", "", "chgnet-0.3.0, checkpoint: key 'package' is missing"),
        ("parameters: 77", "parameters: many", "parameters is 'many', must be a whole number"),
        ("parameters: 77", "parameters: true", "parameters is True, must be a whole number"),
        ("parameters: 77", "parameters: unknown", "'unknown', must be a whole number (unknown: without conf"),
        ("sha256: d14ab7", "sha256: unknown #", "must be 64 hexadecimal digits in lower case"),
        ("10.1016/0039", "doi:10.1016/0039", "citation is 'doi:10.1016/0039"),
        ("ev_per_atom: 0.0001", "ev_per_atom: 1e-4", "YAML wants 1.0e-4, not 1e-4"),
        ("gpa: 0.01", "gpas: 0.01", "emt, conformance, tolerance: unknown key 'gpas', did you mean 'gpa'"),
        ("  chgnet-0.3.0:\n", "  emt:\n", "'emt' appears twice"),
        ("models:\n", "modles:\n", "unknown key 'modles', did you mean 'models'"),
        ("models:\n", "models: [\n", "is not valid YAML"),
        ("forces_are_gradients: true", "forces_are_gradients: 1", "must be true or false"),
        (
            "dtype: float64\n",
            "dtype: float64\n    broken_symmetries: [rotations]\n",
            "emt: broken_symmetries has 'rotations', did you mean 'rotation'",
        ),
        (
            "dtype: float64\n",
            "dtype: float64\n    broken_symmetries: rotation\n",
            "broken_symmetries is 'rotation', must be a list",
        ),
        ("      gated: >-", "      gatd: >-", "checkpoint: unknown key 'gatd', did you mean 'gated'"),
        ("url: https://", "url: http://", "must begin with https://"),
        (
            "        model.pt: 6",
            "        ../model.pt: 6",
            "'../model.pt', must be a plain name, without folders",
        ),
        ("        model.pt: 6", "        model.pt: x", "model.pt is 'x2678f"),
    ],
)
def test_mistakes_have_one_message(old: str, new: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        load_registry(changed(tmp_path, old, new))
    assert "models.yaml" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [("force_ev_per_ang: [", "force_ev_per_ang: [1.0, "), ("stress_gpa: [", "stress_gpa: [x, 1.0, ")],
)
def test_pinned_values_have_their_shape(old: str, new: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"emt, conformance, Cu, .* must be a list of [36] numbers"):
        load_registry(changed(tmp_path, old, new))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"models\.yaml cannot be read: No such file"):
        load_registry(tmp_path / "models.yaml")


def test_file_checkpoint_counts_from_the_registry(tmp_path: Path) -> None:
    sha256 = "0" * 64
    path = changed(tmp_path, "{where: none}", f"{{where: file, path: w/x.pt, sha256: '{sha256}'}}")
    entry = load_registry(path).get("emt")
    assert entry.checkpoint.path == str(tmp_path / "w/x.pt")
    with pytest.raises(CheckpointError, match=r"x\.pt cannot be read: No such file"):
        load_model(entry)
    (tmp_path / "w").mkdir()
    (tmp_path / "w/x.pt").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=f"was not opened: SHA-256 expected {sha256}, found 2d7116"):
        load_model(entry)


def test_fetched_checkpoint_is_verified_before_it_is_opened(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = registry.get("m3gnet-matgl-pes")
    listing = (
        f"{entry.checkpoint.files['model.pt']}  model.pt\n{entry.checkpoint.files['state.pt']}  state.pt\n"
    )
    assert entry.checkpoint_sha256 == hashlib.sha256(listing.encode()).hexdigest()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        CheckpointError, match=r"model\.pt cannot be read: No such file.*; fetch it with: make weights"
    ):
        load_model(entry)
    folder = tmp_path / weights_folder(entry.name)
    folder.mkdir(parents=True)
    (folder / "model.pt").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"model\.pt is not the pinned checkpoint and was not opened"):
        load_model(entry)


def test_package_that_is_not_installed(registry: Registry) -> None:
    entry = registry.get("chgnet-0.3.0")
    gone = dataclasses.replace(
        entry, checkpoint=dataclasses.replace(entry.checkpoint, package="no_such_package")
    )
    with pytest.raises(CheckpointError, match="is not installed here; run it in the environment 'chgnet'"):
        load_model(gone)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "float32"}, "dtype is float32, but family ase runs in float64"),
        ({"options": {"modal": "PBE"}}, "emt, options: unknown key 'modal'"),
    ],
)
def test_entry_that_its_family_cannot_load(change: dict, message: str, registry: Registry) -> None:
    with pytest.raises(ConfigError, match=message):
        load_model(dataclasses.replace(registry.get("emt"), **change))


def test_parameters_are_counted(registry: Registry) -> None:
    with pytest.raises(CheckpointError, match="has 77 parameters, the registry says 78"):
        load_model(dataclasses.replace(registry.get("emt"), parameters=78))


def test_unknown_sha256_is_refused_and_pinned_from_the_download(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = registry.get("chgnet-matgl-11m")
    assert not entry.checkpoint.pinned and entry.checkpoint_sha256 == "unknown"
    folder = tmp_path / weights_folder(entry.name)
    folder.mkdir(parents=True)
    data = {"model.pt": b"arguments", "state.pt": b"weights"}
    for name, content in data.items():
        (folder / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        CheckpointError, match=r"model\.pt, state\.pt is not known.*pin_checkpoint\.py chgnet-mat"
    ) as e:
        load_model(entry)
    assert f"{entry.checkpoint.url}/model.pt" in str(e.value) and "\n" not in str(e.value)

    def pin(*words: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            str(ROOT / "scripts/pin_checkpoint.py"),
            *words,
            "--registry",
            str(SHIPPED),
        ]
        return subprocess.run(command, capture_output=True, text=True)

    lines = pin(entry.name, str(folder)).stdout
    pinned = changed(tmp_path, "      files: {model.pt: unknown, state.pt: unknown}\n", lines)
    files = load_registry(pinned).get("m3gnet-matgl-direct").checkpoint.files
    assert files == {name: hashlib.sha256(content).hexdigest() for name, content in data.items()}
    (folder / "state.pt").unlink()
    for words, message in [
        ((entry.name, str(folder)), "state.pt: No such file or directory; download https://"),
        (("emt", "."), "emt: its weights are not fetched; nothing to pin"),
    ]:
        refused = pin(*words)
        assert refused.returncode == 1 and message in refused.stderr and refused.stderr.count("\n") == 1
        assert not refused.stdout


def test_unknown_number_of_parameters_waits_for_conformance(registry: Registry) -> None:
    assert registry.get("mace-omat-0").parameters is None
    emt = dataclasses.replace(registry.get("emt"), parameters=None)
    assert load_model(emt).parameters == 77
