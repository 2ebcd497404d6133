"""The table of models: what is installed, fetched and proven, read from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pesbench.models.registry import Registry, load_registry
from pesbench.models.zoo import overview, size_gb, standing

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def registry() -> Registry:
    return load_registry(ROOT / "data/models.yaml")


@pytest.fixture
def root(tmp_path: Path, registry: Registry) -> Path:
    """A folder of the workflow in which nothing is installed."""
    (tmp_path / "envs").symlink_to(ROOT / "envs")
    (tmp_path / ".venvs").mkdir()
    return tmp_path


def install(root: Path, environment: str) -> None:
    (root / f".venvs/{environment}.ok").touch()


def prove(root: Path, name: str, sha256: str) -> None:
    path = root / f"results/conformance/{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"checkpoint_sha256": sha256, "milliseconds_per_atom": 1.5}))


def line(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"{name} "))


def test_with_nothing_installed_it_says_what_to_type_and_what_it_takes(
    root: Path, registry: Registry
) -> None:
    text = overview(registry, root)
    environments = sorted(set(registry.environments().values()))
    total = sum(size_gb(ROOT / f"envs/{name}.txt") for name in environments)
    assert (
        f"({total:.1f} GB in all" in text and f'make environments FAMILIES="{" ".join(environments)}"' in text
    )
    assert all(line(text, name) for name in registry.models)


def test_every_environment_says_how_large_it_is(registry: Registry) -> None:
    for environment in set(registry.environments().values()):
        assert size_gb(ROOT / f"envs/{environment}.txt") > 0.5, environment


def test_a_proof_counts_for_its_own_checkpoint_only(root: Path, registry: Registry) -> None:
    entry = registry.get("emt")
    install(root, "driver")
    assert standing(entry, root).conformant == "not checked"
    prove(root, "emt", entry.checkpoint_sha256)
    assert standing(entry, root).conformant == "yes"
    assert "1.50" in line(overview(registry, root), "emt")
    (root / "results/conformance/emt.json").write_text('{"checkpoint_sha')  # cut by a kill
    assert standing(entry, root).conformant == "not checked"
    prove(root, "emt", "of another checkpoint")
    assert standing(entry, root).conformant == "not checked"


def test_a_refused_model_is_named_with_its_log(root: Path, registry: Registry) -> None:
    install(root, "driver")
    log = root / "results/logs/conformance/emt.log"
    log.parent.mkdir(parents=True)
    log.write_text("error: emt must not run: force of Cu is off\n")
    text = overview(registry, root)
    assert standing(registry.get("emt"), root).conformant == "NO"
    assert "emt must not run: results/logs/conformance/emt.log says why" in text


def test_weights_are_missing_until_every_file_and_the_list_are_there(root: Path, registry: Registry) -> None:
    entry = registry.get("m3gnet-matgl-pes")
    install(root, entry.environment)
    folder = root / "results/inputs/weights" / entry.name
    folder.mkdir(parents=True)
    (folder.parent / f"{entry.name}.sha256").write_text(entry.checkpoint.listing())
    for name in list(entry.checkpoint.files)[1:]:
        (folder / name).touch()
    assert standing(entry, root).weights == "missing" and not standing(entry, root).provable
    assert f"Weights not fetched ({entry.name}): make weights" in overview(registry, root)
    (folder / next(iter(entry.checkpoint.files))).touch()
    assert standing(entry, root).weights == "fetched" and standing(entry, root).provable


def test_weights_inside_a_package_are_looked_for_there(root: Path, registry: Registry) -> None:
    entry = registry.get("chgnet-0.3.0")
    install(root, entry.environment)
    assert standing(entry, root).weights == "missing"
    path = root / ".venvs/chgnet/lib/python3.11/site-packages/chgnet" / entry.checkpoint.path
    path.parent.mkdir(parents=True)
    path.touch()
    assert standing(entry, root).weights == "in the package"
