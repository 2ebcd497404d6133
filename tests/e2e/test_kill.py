"""SIGKILL at many moments: the rerun makes the same bytes, and repeats nothing but what was in progress."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

#: `make kills` asks for more.
KILLS = int(os.environ.get("PESBENCH_KILLS", "20"))
MATERIALS = ["mp-30", "mp-124", "mp-81"]
#: Tighter than need be, so that most of a run is work on materials.
SETTINGS = {
    "fmax_ev_per_ang": 0.001,
    "min_slab_ang": 8.0,
    "min_vacuum_ang": 8.0,
    "max_steps": 500,
    "optimizer": "FIRE",
}
CONFIG = {"materials": MATERIALS, "jobs": {"materials_per_chunk": 2}, "benchmarks": {"surfaces": SETTINGS}}
TARGET = "results/tables/deng2025_s1_surfaces.csv"
LOW_INDEX = ('"[1, 1, 1]"', '"[1, 0, 0]"', '"[1, 1, 0]"')


@pytest.fixture
def victim(workflow: Any) -> Any:
    """The workflow with three surfaces a material: pymatgen's cuts of the others take most of a small run."""
    path = workflow.root / "data/manifests/deng2025_s1.csv"
    lines = path.read_text().splitlines(keepends=True)
    low = [line for line in lines if line.startswith("#") or any(index in line for index in LOW_INDEX)]
    path.write_text("".join(dict.fromkeys([*(line for line in lines if line.startswith("mp_id,")), *low])))
    return workflow


def moments(seed: int) -> list[float]:
    """Return fractions of a run's duration, one in each twentieth, in random order."""
    draw = random.Random(seed)
    fractions = [(index + draw.random()) / KILLS for index in range(KILLS)]
    draw.shuffle(fractions)
    return fractions


@dataclass
class Campaign:
    """Kills of one command at many moments of its duration, and reruns that go on from them.

    A run goes on from up to three kills; then, or when it is finished sooner, what it made is compared with
    what an undisturbed run made, and the next one starts from nothing.
    """

    workflow: Any
    words: list[str]
    #: What an undisturbed run makes, and what has to be done before a rerun.
    result: Callable[[], Any]
    before_rerun: Callable[[], object] = lambda: None
    inside: int = 0
    between: int = 0
    compared: int = 0

    def run(self, seed: int) -> None:
        """Measure an undisturbed run, then kill."""
        started = time.monotonic()
        self.finish()
        duration = time.monotonic() - started
        self.wanted = self.result()
        self.costs = {record["id"]: record["evaluations"] for record in self.workflow.journal()}
        assert set(self.costs) == set(MATERIALS) and min(self.costs.values()) > 20
        self.clean()
        left = duration
        for killed, fraction in enumerate(moments(seed), start=1):
            seconds = fraction * left
            while not self.kill_after(seconds):  # it went on from kills, or the machine is less busy now
                self.compare(killed)
                seconds *= 0.8
            # What goes on from here is shorter; a start takes its time anew.
            left *= 1 - fraction / 2
            self.look()
            self.before_rerun()
            if killed % 3 == 0:
                self.finish()
                self.compare(killed)
                left = duration

    def finish(self) -> None:
        """Run undisturbed."""
        assert self.workflow.start(self.words).wait(timeout=300) == 0

    def kill_after(self, seconds: float) -> bool:
        """Start, and SIGKILL the whole session; return whether it was still running."""
        process = self.workflow.start(self.words)
        try:
            assert process.wait(timeout=seconds) == 0
        except subprocess.TimeoutExpired:
            self.workflow.kill(process)
            return True
        return False

    def look(self) -> None:
        """Count the kills inside the work on materials, and those with some materials done and some not."""
        chunks = self.workflow.root / "results/surfaces/emt"
        journals = list(chunks.glob("journal/*.jsonl"))
        wanted = math.ceil(len(MATERIALS) / 2) if "--cores" in self.words else 1
        self.inside += bool(journals) and len(list(chunks.glob("chunks/*.jsonl"))) < wanted
        self.between += 0 < len(self.workflow.journal()) < len(MATERIALS)

    def compare(self, killed: int) -> None:
        """Compare with the undisturbed run; no material was committed twice; start from nothing."""
        assert self.result() == self.wanted, f"other results after {killed} kills"
        records = self.workflow.journal()
        keys = Counter((record["id"], json.dumps(record["digests"])) for record in records)
        assert set(keys.values()) == {1}, f"evaluated twice after {killed} kills: {keys}"
        assert {record["id"]: record["evaluations"] for record in records} == self.costs
        self.compared += 1
        self.clean()

    def clean(self) -> None:
        """Remove everything that runs made."""
        for name in ("results", ".snakemake"):
            shutil.rmtree(self.workflow.root / name, ignore_errors=True)


def test_a_killed_worker_goes_on_where_it_was(victim: Any) -> None:
    structures = {material: f"data/prototypes/{material}.yaml" for material in MATERIALS}
    job = {"benchmark": "surfaces", "model": "emt", "structures": structures, "settings": SETTINGS}
    chunk = "results/surfaces/emt/chunks/000.jsonl"

    def numbers() -> dict[str, Any]:
        """Everything in the chunk's records but times."""
        records = [json.loads(line)["record"] for line in (victim.root / chunk).read_text().splitlines()]
        return {r["id"]: (r["status"], r["values"], r["evaluations"], r["digests"]) for r in records}

    campaign = Campaign(victim, [sys.executable, "scripts/run_chunk.py", json.dumps(job), chunk], numbers)
    campaign.run(seed=1)
    assert campaign.compared >= 5
    assert campaign.inside >= 0.6 * KILLS, f"only {campaign.inside} of {KILLS} kills fell inside the work"
    assert campaign.between >= 0.3 * KILLS, f"only {campaign.between} kills between the materials"


def make_paper(workflow: Any) -> list[str]:
    """Return the command line of a run of the surface tables as ``make paper`` starts it."""
    return workflow.command(TARGET, "--rerun-incomplete", "--quiet", "progress", config=CONFIG)


def unlock(workflow: Any) -> None:
    """Remove the lock that a killed Snakemake leaves behind, as ``make paper`` does."""
    workflow.succeed("--unlock", config=CONFIG)


def test_a_killed_workflow_makes_the_same_tables(victim: Any) -> None:
    campaign = Campaign(victim, make_paper(victim), victim.tables, lambda: unlock(victim))
    campaign.run(seed=2)
    assert campaign.wanted[TARGET].count(b",ok,") == 3 * len(MATERIALS)
    assert campaign.compared >= 5
    assert campaign.inside >= 0.4 * KILLS, f"only {campaign.inside} of {KILLS} kills fell inside the work"


def worker_of(snakemake: subprocess.Popen[bytes]) -> int | None:
    """Return the id of the process run_chunk.py in the session of a Snakemake."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if os.getsid(int(folder.name)) == snakemake.pid and b"scripts/run_chunk.py" in words[1:2]:
                return int(folder.name)
        except (ProcessLookupError, FileNotFoundError):
            continue
    return None


def test_a_worker_killed_below_snakemake_is_a_failed_job(victim: Any) -> None:
    """Snakemake sees it, says so, and the next run goes on; nothing needs to be unlocked."""
    words = make_paper(victim)
    journal = victim.root / "results/surfaces/emt/journal"
    process = victim.start(words)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in journal.glob("*.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    worker = worker_of(process)
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    assert process.wait(timeout=60) == 1
    first = victim.journal()
    assert len(first) == 1
    victim.succeed(TARGET, "--rerun-incomplete", config=CONFIG)
    assert first[0] in victim.journal() and len(victim.journal()) == len(MATERIALS)


def test_a_worker_that_outlives_its_snakemake_is_waited_for(victim: Any) -> None:
    """Only Snakemake is killed: its orphan holds the journal, and the rerun repeats none of its materials."""
    words = make_paper(victim)
    process = victim.start(words)
    deadline = time.monotonic() + 60
    while worker_of(process) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    unlock(victim)
    victim.succeed(TARGET, "--rerun-incomplete", config=CONFIG)
    assert Counter(record["id"] for record in victim.journal()) == Counter(MATERIALS)


@pytest.mark.parametrize("seed", [1, 2])
def test_moments_are_spread(seed: int) -> None:
    fractions = moments(seed)
    assert fractions != sorted(fractions)
    assert [int(KILLS * fraction) for fraction in sorted(fractions)] == list(range(KILLS))
