"""Bad input: one clear message that names the file, key or material, and the mend; nothing else is lost."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pesbench.errors import CheckpointError
from pesbench.jobs import Job, run_job
from pesbench.models.calculator import Evaluation, PesCalculator
from pesbench.models.loaders import Model, load_model, verified_checkpoint
from pesbench.models.registry import Checkpoint, load_registry
from pesbench.records import read_records

ROOT = Path(__file__).resolve().parents[2]
TARGET = "results/surfaces/emt/records.jsonl"
TWO = ["mp-30", "mp-81"]
SETTINGS = {"min_slab_ang": 8.0, "min_vacuum_ang": 8.0, "max_steps": 200, "optimizer": "BFGS"}


def message(output: str) -> str:
    """Return the one line that tells a user what is wrong: no traceback, no second message."""
    assert "Traceback" not in output, output
    lines = [line.strip() for line in output.splitlines()]
    told = [line for line in lines if re.match(r"(error: )?(config\.yaml|data/|results/|cannot merge)", line)]
    assert len(set(told)) == 1, output
    return told[0]


# ------------------------------------------------------------------ configuration


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"models": ["emtt"]}, ("data/models.yaml: unknown model 'emtt'", "did you mean 'emt'?")),
        ({"material": "all"}, ("config.yaml: unknown key 'material'", "did you mean 'materials'?")),
        ({"jobs": {"thread": 2}}, ("config.yaml, jobs: unknown key 'thread'", "did you mean 'threads'?")),
        (
            {"benchmarks": {"surfaces": {"fmax_ev": 0.05}}},
            ("config.yaml, benchmarks.surfaces: unknown key 'fmax_ev'", "did you mean 'fmax_ev_per_ang'?"),
        ),
        (
            {"benchmarks": {"surfaces": {"min_slab_ang": 1000.0}}},
            ("benchmarks.surfaces.min_slab_ang is 1000.0", "from 3 to 100 angstrom"),
        ),
        ({"jobs": {"threads": 0}}, ("jobs.threads is 0", "from 1 to 256 threads")),
        ({"materials": ["mp-30", "mp_126"]}, ("no material 'mp_126'", "did you mean 'mp-126'?")),
        (
            {"benchmarks": {"surface": {"default_materials": ["mp-30"]}}},
            ("config.yaml, benchmarks: no module scripts/pesbench/benchmarks/surface.py",),
        ),
    ],
    ids=["model", "key", "key of a section", "key of a benchmark", "range", "count", "material", "benchmark"],
)
def test_a_wrong_configuration_is_told_in_one_line(
    finished_once: Any, config: Any, wanted: tuple[str, ...]
) -> None:
    """Before anything runs."""
    told = message(finished_once.fail("--dry-run", config=config))
    for part in wanted:
        assert part in told


# ------------------------------------------------------------------ structures


def test_a_prototype_with_a_wrong_formula_fails_alone(workflow: Any) -> None:
    workflow.edit("data/prototypes/mp-30.yaml", "formula: Cu", "formula: Cu2O")
    output = workflow.succeed("results/tables/deng2025_s1_surfaces.csv", config={"materials": TWO})
    records = workflow.records()
    assert records["mp-81"]["status"] == "ok" and len(records["mp-81"]["values"]["surfaces"]) == 6
    bad = records["mp-30"]
    assert (bad["status"], bad["stage"]) == ("failed", "structure")
    assert "data/prototypes/mp-30.yaml: formula is Cu2O but its sites give Cu; mend either" in bad["message"]
    assert "Traceback" not in output and "mp-30 failed (structure:" in output
    rows = workflow.tables()["results/tables/deng2025_s1_surfaces.csv"].decode().splitlines()
    assert sum(",failed," in row and "mend either" in row for row in rows) == 6
    assert sum(",ok," in row for row in rows) == 6
    # Mended, it is computed, and the other is not computed again.
    workflow.edit("data/prototypes/mp-30.yaml", "formula: Cu2O", "formula: Cu")
    workflow.succeed(TARGET, config={"materials": TWO})
    assert workflow.records()["mp-30"]["status"] == "ok"
    assert [record["id"] for record in workflow.journal()].count("mp-81") == 1


# ------------------------------------------------------------------ records


def corrupt(path: Path, line: int) -> None:
    """Change one digit of one record, as a bad disk or an editor does."""
    lines = path.read_text().splitlines(keepends=True)
    lines[line] = re.sub(
        r'("energy_ev_per_atom":-?0\.\d*?)(\d)(\d*)',
        lambda m: m[1] + str((int(m[2]) + 1) % 10) + m[3],
        lines[line],
        count=1,
    )
    path.write_text("".join(lines))


def test_a_corrupt_line_of_a_journal_is_computed_again(finished: Any) -> None:
    wanted = finished.tables()
    journals = (finished.root / "results/surfaces/emt/journal").iterdir()
    journal = max(journals, key=lambda path: path.stat().st_size)
    lost = json.loads(journal.read_text().splitlines()[0])["record"]["id"]
    before = [record["id"] for record in finished.journal()]
    corrupt(journal, 0)
    (finished.root / f"results/surfaces/emt/chunks/{journal.name}").unlink()
    (finished.root / TARGET).unlink()
    output = finished.succeed(TARGET, "results/tables/deng2025_s1_surfaces.csv")
    where = f"results/surfaces/emt/journal/{journal.name}, line 1"
    assert f"{where}: corrupt record (its checksum does not match); its material is computed again" in output
    assert "1 of 2 already done" in output and f"{lost} ok" in output
    assert sorted(record["id"] for record in finished.journal()) == sorted([*before, lost])
    assert finished.tables() == wanted


def test_corrupt_chunk_records_are_not_merged(finished: Any) -> None:
    wanted, lines = finished.tables(), finished.journal()
    chunk = finished.root / "results/surfaces/emt/chunks/000.jsonl"
    corrupt(chunk, len(chunk.read_text().splitlines()) - 1)
    output = finished.fail("results/tables/deng2025_s1_surfaces.csv", "--forcerun", "merge_records")
    told = message(output)
    number = len(chunk.read_text().splitlines())
    assert f"results/surfaces/emt/chunks/000.jsonl, line {number}: corrupt record" in told
    assert "delete this file and rerun, nothing else is lost" in told
    # The mend that the message names works, and computes nothing again.
    chunk.unlink()
    finished.succeed("results/tables/deng2025_s1_surfaces.csv", "--rerun-incomplete")
    assert finished.tables() == wanted and finished.journal() == lines


# ------------------------------------------------------------------ checkpoints


@pytest.mark.parametrize("position", [0, 1000, -1])
def test_a_checkpoint_with_one_byte_flipped_is_not_opened(tmp_path: Path, position: int) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(np.random.default_rng(0).bytes(5000))
    entry = load_registry(ROOT / "data/models.yaml").get("chgnet-0.3.0")
    pinned = Checkpoint("file", path=str(weights), sha256=hashlib.sha256(weights.read_bytes()).hexdigest())
    entry = replace(entry, checkpoint=pinned)
    assert verified_checkpoint(entry) == weights
    flipped = bytearray(weights.read_bytes())
    flipped[position] ^= 1
    weights.write_bytes(flipped)
    with pytest.raises(CheckpointError) as error:
        load_model(entry)  # this environment has no torch: the weights are refused before they are opened
    told = str(error.value)
    assert "\n" not in told and str(weights) in told and "is not the pinned checkpoint" in told
    assert (
        pinned.sha256 in told
        and hashlib.sha256(bytes(flipped)).hexdigest() in told
        and "fetch the file again" in told
    )


# ------------------------------------------------------------------ forces that turn NaN, a failing machine


def job_on(materials: list[str]) -> Job:
    """Return a job on the repository's own structures (paths count from there)."""
    structures = {material: f"data/prototypes/{material}.yaml" for material in materials}
    return Job("surfaces", "emt", structures, {**SETTINGS, "fmax_ev_per_ang": 0.05})


def broken_after(evaluations: int, symbol: str, break_: Any) -> Model:
    """Return EMT that breaks after n structures with an element; others are evaluated rightly."""
    model = load_model(load_registry(ROOT / "data/models.yaml").get("emt"))
    honest, seen = model.calculator._evaluate, 0

    def evaluate(atoms: Any) -> Evaluation:
        nonlocal seen
        seen += symbol in atoms.get_chemical_symbols()
        found = honest(atoms)
        return break_(found) if symbol in atoms.get_chemical_symbols() and seen > evaluations else found

    return replace(model, calculator=PesCalculator("emt", evaluate, model.elements))


def with_nan(found: Evaluation) -> Evaluation:
    forces = found.forces_ev_per_ang.copy()
    forces[-1, 2] = np.nan
    return replace(found, forces_ev_per_ang=forces)


@pytest.mark.parametrize(("evaluations", "stage", "surfaces"), [(2, "bulk relaxation", 0), (8, "", 6)])
def test_forces_that_turn_nan_fail_their_material_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evaluations: int, stage: str, surfaces: int
) -> None:
    """In the bulk the material fails; in a slab that slab fails, and the material keeps the others."""
    monkeypatch.chdir(ROOT)
    entry = load_registry(ROOT / "data/models.yaml").get("emt")
    output = tmp_path / "surfaces/emt/chunks/000.jsonl"
    run_job(
        job_on(["mp-124", "mp-30", "mp-81"]), entry, lambda: broken_after(evaluations, "Cu", with_nan), output
    )
    records = {record.id: record for record in read_records(output)}
    assert records["mp-124"].status == records["mp-81"].status == "ok"
    bad = records["mp-30"]
    assert (bad.status, bad.stage) == ("failed", stage)
    found = bad.values.get("surfaces", [])
    assert len(found) == surfaces
    messages = [bad.message, *(entry["message"] for entry in found if entry["status"] == "failed")]
    assert any("emt: forces of Cu, " in text and "not finite" in text for text in messages)
    if surfaces:
        assert found[0]["status"] == "ok" and found[-1]["status"] == "failed"
        assert 0.06 < found[0]["gamma_ev_per_ang2"] < 0.09


def test_a_machine_that_runs_out_of_memory_is_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job fails, so that it is resubmitted with more; what was finished is kept."""

    def no_memory(found: Evaluation) -> Evaluation:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.chdir(ROOT)
    entry = load_registry(ROOT / "data/models.yaml").get("emt")
    output = tmp_path / "surfaces/emt/chunks/000.jsonl"
    with pytest.raises(RuntimeError, match="out of memory"):
        run_job(job_on(["mp-124", "mp-30"]), entry, lambda: broken_after(3, "Cu", no_memory), output)
    assert not output.exists()
    calls = []
    run_job(job_on(["mp-124", "mp-30"]), entry, lambda: calls.append(1) or load_model(entry), output)
    journal = (tmp_path / "surfaces/emt/journal/000.jsonl").read_text().splitlines()
    assert [json.loads(line)["record"]["id"] for line in journal] == ["mp-124", "mp-30"] and calls == [1]
    assert [record.status for record in read_records(output)] == ["ok", "ok"]


# ------------------------------------------------------------------ a full disk


def worker(results: Path) -> list[str]:
    job = {"benchmark": "surfaces", "model": "emt", "settings": {**SETTINGS, "fmax_ev_per_ang": 0.05}}
    job["structures"] = {
        material: f"data/prototypes/{material}.yaml" for material in ("mp-124", "mp-30", "mp-81")
    }
    return [
        sys.executable,
        "scripts/run_chunk.py",
        json.dumps(job),
        str(results / "surfaces/emt/chunks/000.jsonl"),
    ]


def journal_ids(results: Path) -> list[str]:
    lines = (results / "surfaces/emt/journal/000.jsonl").read_text().split("\n")[:-1]
    return [json.loads(line)["record"]["id"] for line in lines]


def run_worker(results: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(worker(results), cwd=ROOT, capture_output=True, text=True, check=False, **options)


def finish_after(results: Path, first: subprocess.CompletedProcess[str], kept: int) -> None:
    """Look at how a job ended on a full disk, and that the next one goes on."""
    assert first.returncode == 1, first.stderr
    told = [line for line in first.stderr.splitlines() if line.startswith("error: ")]
    assert len(told) == 1 and "Traceback" not in first.stderr, first.stderr
    assert (
        "journal/000.jsonl: " in told[0] and "was not saved" in told[0] and "make room and rerun" in told[0]
    )
    assert journal_ids(results) == ["mp-124", "mp-30", "mp-81"][:kept]
    again = run_worker(results)
    assert again.returncode == 0 and f"{kept} of 3 already done" in again.stderr, again.stderr
    assert journal_ids(results) == ["mp-124", "mp-30", "mp-81"]
    assert [r.status for r in read_records(results / "surfaces/emt/chunks/000.jsonl")] == ["ok"] * 3


def mounted(folder: Path, kilobytes: int) -> bool:
    """Mount a tiny disk, where this user may."""
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_a_full_disk_costs_the_material_in_progress(tmp_path: Path) -> None:
    """A disk of five pages, four of them taken: one record fits, the next is cut off."""
    results = tmp_path / "results"
    if os.geteuid() != 0 or not mounted(results, 20):
        pytest.skip("only root may mount a small disk")
    try:
        ballast = results / "ballast"
        ballast.write_bytes(b"x" * 16384)
        first = run_worker(results)
        kept = len(journal_ids(results))
        assert kept == 1
        ballast.unlink()
        finish_after(results, first, kept)
    finally:
        subprocess.run(["umount", str(results)], check=True)


def test_a_file_that_may_not_grow_costs_the_material_in_progress(tmp_path: Path) -> None:
    """The same by a limit on the size of files, which any user may set."""
    results = tmp_path / "results"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    first = run_worker(results, preexec_fn=limit)
    kept = len(journal_ids(results))
    assert 1 <= kept < 3
    finish_after(results, first, kept)
