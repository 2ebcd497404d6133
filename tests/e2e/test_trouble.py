"""Kills during append and merge, a closed results folder, two drivers on one folder: said clearly, nothing damaged."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pesbench.records import Record, from_line, read_journal, read_records, write_records

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("PESBENCH_KILLS", "12"))
MATERIALS = 1500
#: A job of many materials that cost nothing: it does little but append.
APPEND = f"""
import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from pesbench import jobs

@dataclass(frozen=True)
class Settings:
    pass

jobs.benchmark_module = lambda name: SimpleNamespace(
    PROTOCOL=1, MANIFEST="none", Settings=Settings, tasks=lambda path: {{}}, costs=lambda path: {{}},
    run=lambda structure, *rest: {{"text": structure.name * 40}},
)
jobs.package_versions = dict
root = Path(sys.argv[1])
structures = {{f"m{{i:04d}}": sys.argv[2] for i in range({MATERIALS})}}
job = jobs.Job("b", "m", structures, {{}})
jobs.run_job(job, jobs.OnFile(), jobs.OnFile, root / "chunks/000.jsonl", open("/dev/null", "w"))
"""
#: Merges two chunks again and again.
MERGE = """
import sys
from pathlib import Path
from pesbench.records import merge, write_records
root = Path(sys.argv[1])
chunks = sorted((root / "chunks").glob("*.jsonl"))
ids = [f"m{i:04d}" for i in range(400)]
print("ready", flush=True)
while True:
    write_records(root / "records.jsonl", merge(chunks, ids))
"""


def start(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen[str]) -> bool:
    """SIGKILL; return whether it was still at work."""
    working = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    return working


def plain(path: Path) -> list[tuple[str, str]]:
    return [(r.id, str(r.values)) for r in read_records(path)]


def test_kills_during_append_lose_only_the_line_in_progress(tmp_path: Path) -> None:
    draw, structure = random.Random(5), tmp_path / "structure"
    structure.write_text("x")
    assert start(APPEND, tmp_path / "whole", structure).wait(timeout=120) == 0
    wanted = plain(tmp_path / "whole/chunks/000.jsonl")
    assert len(wanted) == MATERIALS
    killed = torn = rounds = 0
    while killed < KILLS:
        root = tmp_path / f"cut{rounds}"
        rounds += 1
        journal, before = root / "journal/000.jsonl", 0
        for _ in range(4):
            process = start(APPEND, root, structure)
            while process.poll() is None and (not journal.exists() or journal.stat().st_size <= before):
                time.sleep(0.0005)
            time.sleep(draw.uniform(0, 0.1))
            killed += kill(process)
            torn += bool(journal.exists() and not journal.read_bytes().endswith(b"\n"))
            before = journal.stat().st_size
            for line in journal.read_text().split("\n")[:-1]:
                from_line(line)
        assert start(APPEND, root, structure).wait(timeout=120) == 0
        assert plain(root / "chunks/000.jsonl") == wanted
        again = Counter(record.id for record in read_journal(journal))
        assert set(again.values()) == {1} and len(again) == MATERIALS
        shutil.rmtree(root)


def test_kills_during_merge_leave_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    draw = random.Random(6)
    records = [
        Record(f"m{i:04d}", "b", "m", "ok", {"settings": "s"}, values={"x": "y" * 300}) for i in range(400)
    ]
    write_records(tmp_path / "chunks/000.jsonl", records[::2])
    write_records(tmp_path / "chunks/001.jsonl", records[1::2])
    write_records(tmp_path / "wanted.jsonl", records)
    wanted, output = (tmp_path / "wanted.jsonl").read_bytes(), tmp_path / "records.jsonl"
    during = 0
    for _ in range(KILLS):
        output.unlink(missing_ok=True)
        process = start(MERGE, tmp_path)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        if draw.random() < 0.5:
            time.sleep(draw.uniform(0, 0.15))
        else:  # surely between the first byte and the renaming, unless the machine is faster than this loop
            while process.poll() is None and not any(tmp_path.glob(".records.jsonl.*")):
                pass
        kill(process)
        during += bool(list(tmp_path.glob(".records.jsonl.*")))
        for left in tmp_path.glob(".records.jsonl.*"):
            left.unlink()
        assert not output.exists() or output.read_bytes() == wanted
    assert during >= 1 or KILLS < 10, "no kill fell between the first byte and the renaming"


# ------------------------------------------------------------------ places that are closed or taken


def closed(workflow: Any, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake where results/ is mounted read-only, in a mount namespace that ends with it."""
    (workflow.root / "results").mkdir(exist_ok=True)
    command = " ".join(workflow.command(*words))
    script = f"mount --bind results results && mount -o remount,bind,ro results && exec {command}"
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], cwd=workflow.root, env=workflow.environment(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.fixture
def mountable(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("mounting a folder read-only takes root and unshare")
    script = f"mount --bind {tmp_path} {tmp_path} && mount -o remount,bind,ro {tmp_path}"
    if subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, check=False
    ).returncode:
        pytest.skip("this machine does not let root mount")


@pytest.mark.usefixtures("mountable")
def test_a_read_only_results_folder_is_said_before_anything_runs(workflow: Any) -> None:
    done = closed(workflow, "results/surfaces/emt/records.jsonl")
    assert done.returncode != 0
    assert "results/plan.json: cannot be written (Read-only file system)" in done.stdout, done.stdout
    assert "make the folder writable and rerun" in done.stdout and "Traceback" not in done.stdout
    workflow.succeed("--unlock")
    workflow.succeed("results/surfaces/emt/records.jsonl")
    assert len(workflow.journal()) == 3


@pytest.mark.usefixtures("mountable")
def test_a_job_says_that_its_folder_is_read_only(workflow: Any) -> None:
    job = '{"benchmark": "surfaces", "model": "emt", "structures": {}, "settings": {}}'
    (workflow.root / "results").mkdir()
    script = "mount --bind results results && mount -o remount,bind,ro results && exec "
    script += f"{sys.executable} scripts/run_chunk.py '{job}' results/surfaces/emt/chunks/000.jsonl"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        cwd=workflow.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("error: results/surfaces/emt/journal/000.jsonl: cannot be written (Read-only")


#: Runs a workflow on a disk with so much room, makes room, runs it again, and keeps what is then there.
FULL = """
mount -t tmpfs -o size=400k tmpfs results
head -c $(((400 - $1) * 1024)) /dev/zero > results/ballast
$2 > first.log 2>&1
echo $? > code
rm results/ballast
mkdir kept
cat results/surfaces/emt/journal/*.jsonl > kept/journal 2> kept/none
set -e
$2 --rerun-incomplete > second.log 2>&1
cp -r results/surfaces results/conformance kept
"""


@pytest.mark.usefixtures("mountable")
@pytest.mark.parametrize(
    ("room_kb", "what"),
    [(0, "results/plan.json"), (4, "conformance/emt.json"), (20, "journal/"), (36, "chunks/")],
)
def test_a_disk_that_fills_is_one_message_and_costs_nothing(
    workflow: Any, finished_once: Any, room_kb: int, what: str
) -> None:
    (workflow.root / "results").mkdir()
    words = " ".join(workflow.command("results/surfaces/emt/records.jsonl"))
    subprocess.run(
        ["unshare", "--mount", "sh", "-c", FULL, "sh", str(room_kb), words],
        cwd=workflow.root, env=workflow.environment(), check=True, timeout=300,
    )  # fmt: skip
    said = (workflow.root / "first.log").read_text()
    assert (workflow.root / "code").read_text() != "0\n"
    [line] = [line for line in said.splitlines() if "no space left on the device" in line]
    assert what in line and "make room and rerun" in line and "Traceback" not in said, said
    complete = (workflow.root / "kept/journal").read_text().split("\n")[:-1]
    lines = (workflow.root / "kept/surfaces/emt/records.jsonl").read_text().splitlines()
    assert set(complete) <= set(lines), "what was finished is not computed again"
    found = {r["id"]: (r["values"], r["digests"]) for r in (json.loads(line)["record"] for line in lines)}
    assert found == {name: (r["values"], r["digests"]) for name, r in finished_once.records().items()}


def test_a_second_driver_is_turned_away_and_harms_nothing(workflow: Any) -> None:
    words = workflow.command("results/surfaces/emt/records.jsonl")
    first = workflow.start(words)
    deadline = time.monotonic() + 60
    while not list((workflow.root / ".snakemake/locks").glob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    output = workflow.fail("results/surfaces/emt/records.jsonl")
    assert "cannot be locked" in output
    assert first.wait(timeout=120) == 0
    assert Counter(r["id"] for r in workflow.journal()) == Counter(["mp-30", "mp-81", "mp-124"])


def test_a_second_make_is_turned_away(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs/driver.txt").touch()
    (tmp_path / ".venvs").mkdir()
    (tmp_path / ".venvs/driver.ok").touch()
    with open(tmp_path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(["make", "paper"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "another make works in this folder: wait for it" in done.stdout
