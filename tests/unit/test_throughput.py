"""Throughput: counted by hand on one material, without numbers where there is no accelerator, ratios that hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pesbench import throughput
from pesbench.errors import ConfigError
from pesbench.models.registry import load_registry
from pesbench.records import Record
from pesbench.throughput import NO_GPU, Throughput, collect, draw, evaluations_of, keep, measure

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def emt(monkeypatch: pytest.MonkeyPatch) -> Any:
    """EMT's entry, in the repository's folder; copper, gold and aluminium alone."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(throughput, "MATERIALS", {"phonons": ("mp-30",)})
    monkeypatch.setattr(throughput, "yardstick_seconds", lambda: 0.5)
    return load_registry(Path("data/models.yaml")).get("emt")


def test_a_material_is_counted(emt: Any, tmp_path: Path) -> None:
    [row] = measure(emt, "cpu", tmp_path)
    assert (row.benchmark, row.model, row.device, row.materials, row.note) == ("phonons", "emt", "cpu", 1, "")
    assert row.wall_s is not None and row.atoms_per_s is not None and row.share_in_model is not None
    assert row.materials_per_hour == pytest.approx(3600 / row.wall_s, rel=0.05)
    assert 0 < row.share_in_model < 1
    # A primitive cell of one atom is relaxed, then one displaced supercell evaluated.
    text = next((tmp_path / "phonons/cpu/chunks").glob("*.jsonl")).read_text()
    atoms = row.evaluations_per_relaxation + int(text.partition('"n_atoms_supercell":')[2].partition(",")[0])
    assert row.atoms_per_s == pytest.approx(atoms / (row.share_in_model * row.wall_s), rel=0.1)
    assert row.cpu_s is not None and row.atoms_per_yardstick is not None
    had = min(row.cpu_s / row.wall_s, 1)
    assert row.atoms_per_yardstick == pytest.approx(0.5 * row.atoms_per_s / had, rel=0.1)


def test_a_machine_without_an_accelerator_says_so(emt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    [row] = measure(emt, "cuda", Path())
    assert row.note == "ase runs on the CPU only" and row.wall_s is None

    def refuse(entry: Any, device: str) -> None:
        raise ConfigError("device is cuda, but PyTorch sees no GPU here")

    monkeypatch.setattr(throughput, "load_model", refuse)
    assert [row.note for row in measure(emt, "cuda", Path())] == [NO_GPU]
    with pytest.raises(ConfigError):
        measure(emt, "cpu", Path())


def test_evaluations_are_those_of_relaxations() -> None:
    record = Record("m", "b", "m", "ok", {}, evaluations=90)
    slabs = [{"steps": 3}, {"steps": 5}, {"status": "failed"}]
    assert evaluations_of(replace(record, values={"bulk": {}, "surfaces": slabs})) == (90, 3)
    assert evaluations_of(replace(record, values={"relaxation": {"evaluations": 12}})) == (12, 1)
    assert evaluations_of(replace(record, values={})) == (0, 0)


def test_ratios_are_to_the_first_model_and_to_the_cpu(tmp_path: Path) -> None:
    row = Throughput("phonons", "a", "cpu", 4, 20.0, 8.0, 720.0, 100.0, 0.9, 20.0, 50.0)
    keep([row], tmp_path)
    keep([replace(row, model="b", wall_s=99.0, cpu_s=16.0)], tmp_path)
    keep([replace(row, device="cuda", wall_s=1.6, cpu_s=1.0)], tmp_path)
    keep([Throughput("phonons", "b", "cuda", note=NO_GPU)], tmp_path)
    frame = collect(tmp_path)
    found = {(r.model, r.device): (r.over_first_model, r.over_cpu) for r in frame.itertuples()}
    assert found["a", "cpu"] == (1.0, 1.0) and found["b", "cpu"] == (0.5, 1.0)
    assert found["a", "cuda"] == (5.0, 5.0) and frame["over_cpu"].isna().sum() == 1
    draw(frame, tmp_path / "throughput.png")
    assert (tmp_path / "throughput.png").stat().st_size > 5000
