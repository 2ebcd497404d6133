"""Status: counts, rates and time left from plan and journals alone; live, beside a job that holds its journal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pesbench.errors import RecordError
from pesbench.plan import write_plan
from pesbench.records import Record, append, open_journal
from pesbench.report.page import build_status
from pesbench.status import hours, is_held, look, standing, told

ROOT = Path(__file__).resolve().parents[2]


def record(name: str, status: str = "ok", seconds: float = 10.0, message: str = "") -> Record:
    return Record(
        name, "b", "m", status, {"settings": "s"}, "relax" if message else "", message, wall_seconds=seconds
    )


def test_counts_rate_and_time_left() -> None:
    costs = dict.fromkeys("abcdef", 1.0)
    found = [record("a"), record("b", "failed", message="boom"), record("c", "not_converged"), record("z")]
    one = standing("b", "m", found, costs, running=2)
    assert (one.wanted, one.done, one.ok, one.failed, one.not_converged) == (6, 3, 1, 1, 1)
    assert one.per_hour == pytest.approx(2 * 3600 * 3 / 30)
    assert one.eta_seconds == pytest.approx(30 / 2), "three left, ten seconds each, two jobs"


def test_dear_materials_that_are_left_count_by_their_cost() -> None:
    found = [record("a", seconds=10.0)]
    one = standing("b", "m", found, {"a": 1.0, "b": 9.0}, running=1)
    assert one.eta_seconds == pytest.approx(90.0)
    idle = standing("b", "m", found, {"a": 1.0, "b": 9.0})
    assert (idle.eta_seconds, idle.per_hour) == (pytest.approx(90.0), pytest.approx(360.0)), "of one job"
    assert standing("b", "m", [], {"a": 1.0}, running=1).eta_seconds is None


def test_a_record_made_again_counts_once() -> None:
    one = standing("b", "m", [record("a", "failed", message="x"), record("a")], {"a": 1.0})
    assert (one.ok, one.failed, one.troubles) == (1, 0, ())


def test_the_most_frequent_trouble_comes_first() -> None:
    found = [record(f"a{i}", "failed", message="no memory of it") for i in range(4)]
    found += [record("b", "failed", message="odd")]
    one = standing("b", "m", found, {r.id: 1.0 for r in found})
    assert [(t.reason, len(t.materials)) for t in one.troubles] == [
        ("relax: no memory of it", 4), ("relax: odd", 1),
    ]  # fmt: skip
    text = told([one])
    assert "4 x failed, m: relax: no memory of it (a0, a1, a2, ...)" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (0.0, "0:00 h"), (90 * 60.0, "1:30 h"), (3599.0, "1:00 h")]
)
def test_hours(seconds: float | None, text: str) -> None:
    assert hours(seconds) == text


def test_a_held_journal_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert not is_held(path)
    with open_journal(path) as journal:
        append(journal, record("a"))
        code = "import sys; from pathlib import Path; from pesbench.status import is_held; "
        code += "print(is_held(Path(sys.argv[1])))"
        env = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
        done = subprocess.run(
            [sys.executable, "-c", code, path], env=env, capture_output=True, text=True, check=True
        )
        assert done.stdout == "True\n"
    assert not is_held(path)


def test_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="nothing was started here yet"):
        look(tmp_path)


def test_the_page_shows_what_the_text_shows(tmp_path: Path) -> None:
    one = standing("b", "m", [record("a", "failed", message="<b>")], {"a": 1.0, "c": 1.0}, running=1)
    build_status([one], tmp_path / "status.html")
    page = (tmp_path / "status.html").read_text()
    assert "1/2" in page and "relax: &lt;b&gt;" in page and "1 of 2 records" in page


def test_settings_and_checkpoint_of_the_plan_are_what_counts(tmp_path: Path) -> None:
    """Records of other settings are not done; the command says so in one table."""
    (tmp_path / "data").symlink_to(ROOT / "data", target_is_directory=True)
    from pesbench.benchmarks import surfaces
    from pesbench.jobs import Job, settings_digest
    from pesbench.models.registry import load_registry

    settings = {"fmax_ev_per_ang": 0.05}
    entry = load_registry(ROOT / "data/models.yaml").get("emt")
    right = settings_digest(Job("surfaces", "emt", {}, settings), entry, surfaces)
    digests = {"settings": right, "checkpoint": entry.checkpoint_sha256, "input": "0"}
    with open_journal(tmp_path / "results/surfaces/emt/journal/000.jsonl") as journal:
        append(journal, Record("mp-30", "surfaces", "emt", "ok", digests, wall_seconds=2.0))
        append(journal, Record("mp-81", "surfaces", "emt", "ok", {**digests, "settings": "other"}))
    part = {"models": ["emt"], "references": [], "settings": settings, "materials_per_chunk": 8}
    write_plan(tmp_path / "results/plan.json", {"surfaces": {**part, "chunks": {"000": ["mp-30", "mp-81"]}}})
    done = subprocess.run(
        [sys.executable, "-m", "pesbench", "status"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")},
        capture_output=True,
        text=True,
        check=True,
    )
    line = done.stdout.splitlines()[2].split()
    assert line[:6] == ["surfaces", "emt", "1/2", "1", "0", "0"] and line[7] == "1800"
    assert json.loads((tmp_path / "results/plan.json").read_text())["surfaces"]["models"] == ["emt"]
