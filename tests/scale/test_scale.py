"""Plans of 8 models and 10 000 materials: processor time, memory, and that only what is added gets jobs.

The target, ten seconds, was met at 6.6 s on one machine; another takes 12 s for the same code, idle. So the tests
count in yardsticks, a piece of plain Python timed beside the plan, and ``make bench`` tells seconds.
The outputs are made by hand, older first; no job runs.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
MODELS, MATERIALS, CHUNK = 8, 10_000, 50
#: 9.6 to 11.5 were seen at 11.5 to 13.3 s; half as much again, as ten seconds are to the 6.6 of the other machine.
YARDSTICKS = 16
QUIET = ("--quiet", "rules", "reason", "host")

spec = importlib.util.spec_from_file_location("synthetic", HERE / "synthetic.py")
assert spec and spec.loader
synthetic = importlib.util.module_from_spec(spec)
sys.modules["synthetic"] = synthetic
spec.loader.exec_module(synthetic)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return synthetic.Synthetic.build(tmp_path_factory.mktemp("large") / "w", MODELS, MATERIALS, CHUNK)


@pytest.fixture(scope="module")
def bound() -> float:
    """Processor seconds that a plan may take on this machine."""
    return YARDSTICKS * float(sorted(synthetic.yardstick() for _ in range(3))[1])


def finish(workflow: Any) -> None:
    """Make every output of a finished run, in the order of a run, without its contents."""
    from pesbench.plan import planned_chunks, write_plan

    costs = {f"s-{index:06d}": float(1 + index * 7919 % 997) for index in range(MATERIALS)}
    chunks, models = planned_chunks({}, costs, CHUNK), [f"emt-{index}" for index in range(MODELS)]
    root = workflow.root / "results"
    write_plan(root / "plan.json", {"synthetic": {"materials_per_chunk": CHUNK, "chunks": chunks}})
    stages = [
        [f"conformance/{model}.json" for model in models],
        [f"synthetic/{model}/chunks/{chunk}.jsonl" for model in models for chunk in chunks],
        [f"synthetic/{model}/records.jsonl" for model in models],
        ["tables/synthetic.csv"],
    ]
    newest = max(path.stat().st_mtime for path in (workflow.root / "scripts").rglob("*.py"))
    for stage, names in enumerate(stages, start=1):
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.utime(path, (newest + stage, newest + stage))
    # What merging was told and read is remembered, as after a run; a missing chunk is noticed by that alone.
    merged = [f"results/{name}" for name in stages[2]]
    only = ("--allowed-rules", "merge_records", "--forcerun", "merge_records")
    workflow.call("--touch", "--quiet", "all", *only, targets=merged)


def test_a_plan_takes_ten_seconds_and_three_hundred_megabytes(large: Any, bound: float) -> None:
    cost = large.call("--dry-run", *QUIET)
    assert cost.jobs["merge_records"] == MODELS
    assert MODELS * MATERIALS / CHUNK <= cost.jobs["model_chunk"] <= 600 * MODELS
    assert cost.cpu_seconds <= bound and cost.memory_mb <= 300, cost


def test_a_finished_run_has_nothing_to_do_and_only_what_is_added_is_planned(large: Any, bound: float) -> None:
    finish(large)
    cost = large.call(*QUIET)
    assert cost.jobs == {} and cost.cpu_seconds <= bound and cost.memory_mb <= 300, cost
    before = len(list((large.root / "results/synthetic/emt-0/chunks").iterdir()))
    large.resize(MODELS + 1, MATERIALS, CHUNK)
    jobs = large.call("--dry-run", *QUIET).jobs
    assert (jobs["model_chunk"], jobs["conformance"]) == (before, 1), "the new model's, and no other's"
    large.resize(MODELS, MATERIALS + 100, CHUNK)
    jobs = large.call("--dry-run", *QUIET).jobs
    assert jobs["model_chunk"] == MODELS * 2 and "conformance" not in jobs, "two chunks of fifty a model"
