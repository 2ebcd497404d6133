"""Jobs: files kept beside the records, references in the place of a model, one material by itself."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pesbench import jobs
from pesbench.jobs import Job, OnFile, run_job
from pesbench.records import bytes_digest, read_records


@dataclass(frozen=True)
class Settings:
    """Nothing to set."""


class Counting:
    """A benchmark that keeps the structure's text reversed, and counts its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.module = SimpleNamespace(
            PROTOCOL=1, MANIFEST="none", Settings=Settings, run=self.run,
            tasks=lambda path: {"a": 1}, costs=lambda path: {},
        )  # fmt: skip

    def run(self, structure: Path, task: Any, calculator: Any, settings: Settings) -> dict[str, Any]:
        self.calls.append(structure.stem)
        text = structure.read_bytes()
        return {"task": task, "calculator": calculator, "files": {".bin": text[::-1]}}


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    benchmark = Counting()
    monkeypatch.setattr(jobs, "benchmark_module", lambda name: benchmark.module)
    return benchmark


def job(folder: Path, *materials: str) -> Job:
    for material in materials:
        (folder / f"{material}.txt").write_text(f"structure of {material}")
    return Job("counting", "reference", {m: str(folder / f"{m}.txt") for m in materials}, {})


def go(the_job: Job, output: Path) -> None:
    run_job(the_job, OnFile(), OnFile, output, io.StringIO())


def test_files_are_kept_beside_the_records_and_named_in_them(counting: Counting, tmp_path: Path) -> None:
    output = tmp_path / "m" / "chunks" / "000.jsonl"
    go(job(tmp_path, "a", "b"), output)
    first, second = read_records(output)
    kept = (tmp_path / "m" / "files" / "a.bin").read_bytes()
    assert kept == b"structure of a"[::-1] and first.files == {"a.bin": bytes_digest(kept)}
    assert first.values == {"task": 1, "calculator": None}, "a reference runs without a calculator"
    assert second.values["task"] is None, "a material that the manifest does not list has no task"


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_material_whose_kept_file_is_lost_is_computed_again_alone(
    counting: Counting, tmp_path: Path, damage: str
) -> None:
    output, the_job = tmp_path / "m" / "chunks" / "000.jsonl", job(tmp_path, "a", "b")
    go(the_job, output)
    go(the_job, output)
    assert counting.calls == ["a", "b"], "a finished chunk is not computed again"
    before = output.read_bytes()
    path = tmp_path / "m" / "files" / "b.bin"
    path.unlink() if damage == "gone" else path.write_bytes(b"x")
    go(the_job, output)
    assert counting.calls == ["a", "b", "b"]
    assert path.read_bytes() == b"structure of b"[::-1]
    strip = [json.loads(line)["record"]["files"] for line in before.decode().splitlines()]
    assert [r.files for r in read_records(output)] == strip


def test_one_material_by_itself_is_readable_and_shares_the_journal(
    counting: Counting, tmp_path: Path
) -> None:
    go(job(tmp_path, "a"), tmp_path / "m" / "materials" / "a.json")
    alone = json.loads((tmp_path / "m" / "materials" / "a.json").read_text())
    assert (
        alone["id"] == "a"
        and alone["status"] == "ok"
        and "\n" in (tmp_path / "m" / "materials" / "a.json").read_text().strip()
    )
    go(job(tmp_path, "a", "b"), tmp_path / "m" / "chunks" / "000.jsonl")
    assert counting.calls == ["a", "b"], "what ran by itself is not run again in a chunk"


def test_a_result_that_cannot_be_written_costs_its_material_only(
    counting: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(structure: Path, *_: Any) -> dict[str, Any]:
        return {"converged": np.bool_(True) if structure.stem == "a" else True}

    monkeypatch.setattr(counting.module, "run", run)
    output = tmp_path / "m" / "chunks" / "000.jsonl"
    go(job(tmp_path, "a", "b"), output)
    first, second = read_records(output)
    assert (first.status, second.status) == ("failed", "ok")
    assert "not JSON serializable" in first.message
