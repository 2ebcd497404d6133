"""How far a run is: done, failed, running, time left, for each benchmark and model.

Everything is read from what runs leave behind anyway: the plan of the last run and the journals, which are written
one record at a time. A job that works holds its journal's lock. Nothing is written, so a run is not disturbed.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pesbench import naming
from pesbench.config import benchmark_module
from pesbench.costs import Costs, expected, fit
from pesbench.errors import RecordError
from pesbench.jobs import Job, OnFile, settings_digest
from pesbench.models.registry import Registry, load_registry
from pesbench.plan import read_plan
from pesbench.records import Record, read_journal

WORST = 5


@dataclass(frozen=True)
class Trouble:
    """Materials of one model that went wrong in the same way."""

    model: str
    status: str
    reason: str
    materials: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """How far one model is on one benchmark.

    Attributes
    ----------
    wanted, ok, not_converged, failed
        Numbers of materials.
    running
        Jobs at work: those that hold their journal's lock.
    job_seconds
        Seconds that the finished materials took, all jobs added up.
    left_seconds
        What the others are expected to take one after the other, by the cost of what is finished; None where
        nothing is finished.
    """

    benchmark: str
    model: str
    wanted: int
    ok: int = 0
    not_converged: int = 0
    failed: int = 0
    running: int = 0
    job_seconds: float = 0.0
    left_seconds: float | None = None
    troubles: tuple[Trouble, ...] = field(default=())

    @property
    def done(self) -> int:
        """Materials with a record, whatever its status."""
        return self.ok + self.not_converged + self.failed

    @property
    def per_hour(self) -> float | None:
        """Materials an hour at the number of jobs that run now, or of one job where none runs."""
        return max(self.running, 1) * 3600 * self.done / self.job_seconds if self.job_seconds else None

    @property
    def eta_seconds(self) -> float | None:
        """Seconds until the last material is done, at the same number of jobs; None where nothing is done yet."""
        if self.done == self.wanted:
            return 0.0
        return None if self.left_seconds is None else self.left_seconds / max(self.running, 1)


def standing(
    benchmark: str, model: str, records: Iterable[Record], costs: Mapping[str, float], running: int = 0
) -> Standing:
    """Count the records of one model.

    Parameters
    ----------
    costs
        Cost of each wanted material; records of others do not count.
    """
    own = {r.id: r for r in records if r.id in costs}
    states = Counter(r.status for r in own.values())
    learned = fit(own.values(), costs)
    load = expected(costs, {"": learned} if learned else {})
    finished, seconds = sum(load[m] for m in own), sum(r.wall_seconds for r in own.values())
    left = sum(load.values()) - finished
    return Standing(
        benchmark=benchmark,
        model=model,
        wanted=len(costs),
        ok=states["ok"],
        not_converged=states["not_converged"],
        failed=states["failed"],
        running=running,
        job_seconds=seconds,
        left_seconds=seconds * left / finished if finished else None,
        troubles=_troubles(own.values()),
    )


def _troubles(records: Iterable[Record]) -> tuple[Trouble, ...]:
    """Return what went wrong, the most frequent first."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for r in records:
        if r.status != "ok":
            reason = f"{r.stage}: {r.message}" if r.stage else r.message or "a part of it"
            found.setdefault((r.model, r.status, reason), []).append(r.id)
    ranked = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(Trouble(*key, tuple(sorted(ids))) for key, ids in ranked)


def look(root: Path = Path()) -> list[Standing]:
    """Return how far the last run below ``root`` is.

    Raises
    ------
    RecordError
        Where no run was ever started.
    """
    path = root / naming.PLAN
    plan = read_plan(path)
    if not plan:
        raise RecordError(f"{path}: no plan, nothing was started here yet; start a run, e.g. make paper")
    registry = load_registry(root / "data/models.yaml")
    return [
        _look_at(root, benchmark, model, part, registry)
        for benchmark, part in plan.items()
        for model in [*part["models"], *part["references"]]
        if part["chunks"]
    ]


def _look_at(root: Path, benchmark: str, model: str, part: Mapping[str, Any], registry: Registry) -> Standing:
    module = benchmark_module(benchmark)
    all_costs = module.costs(root / module.MANIFEST)
    wanted = (material for ids in part["chunks"].values() for material in ids)
    costs = {material: all_costs.get(material, 1.0) for material in wanted}
    records = _records(root, benchmark, model, part, registry)
    return standing(benchmark, model, records, costs, sum(map(is_held, _journals(root, benchmark, model))))


def _journals(root: Path, benchmark: str, model: str) -> list[Path]:
    return sorted((root / naming.RESULTS / benchmark / model / "journal").glob("*.jsonl"))


def _records(
    root: Path, benchmark: str, model: str, part: Mapping[str, Any], registry: Registry
) -> list[Record]:
    """Return the records of one model that were made with the plan's settings and today's checkpoint."""
    entry = OnFile() if model in part["references"] else registry.get(model)
    settings = settings_digest(
        Job(benchmark, model, {}, part["settings"]), entry, benchmark_module(benchmark)
    )
    wanted = (settings, entry.checkpoint_sha256)
    # The journals are being written: what is torn now is whole the next time, so nothing is said about it.
    found = (r for path in _journals(root, benchmark, model) for r in read_journal(path, io.StringIO()))
    return [r for r in found if (r.digests.get("settings"), r.digests.get("checkpoint")) == wanted]


def learn(root: Path = Path()) -> Costs:
    """Learn from the journals of the last run what its materials cost, wherever there are records enough."""
    plan, registry = read_plan(root / naming.PLAN), load_registry(root / "data/models.yaml")
    learned: Costs = {}
    for benchmark, part in plan.items():
        module = benchmark_module(benchmark)
        costs = module.costs(root / module.MANIFEST)
        for model in [*part["models"], *part["references"]]:
            one = fit(_records(root, benchmark, model, part, registry), costs)
            if one:
                learned.setdefault(benchmark, {})[model] = one
    return learned


def is_held(journal: Path) -> bool:
    """Return whether a job holds a journal: its lock cannot be had."""
    with contextlib.suppress(FileNotFoundError), open(journal, "rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # a file system without locks
            return False
    return False


def hours(seconds: float | None) -> str:
    """Return a time as hours and minutes, ``-`` where it is not known."""
    if seconds is None:
        return "-"
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02d} h"


COLUMNS = ("benchmark", "model", "done", "ok", "not conv.", "failed", "jobs", "materials/h", "left")


def cells(one: Standing) -> tuple[str, ...]:
    """Return one line of the table, by `COLUMNS`."""
    rate = "-" if one.per_hour is None else f"{one.per_hour:.0f}"
    done = f"{one.done}/{one.wanted}"
    counts = (one.ok, one.not_converged, one.failed, one.running)
    return (one.benchmark, one.model, done, *map(str, counts), rate, hours(one.eta_seconds))


def told(standings: Iterable[Standing]) -> str:
    """Return the table and the worst failures as text."""
    standings = list(standings)
    lines = [COLUMNS, *map(cells, standings)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(
            word.ljust(width) if index < 2 else word.rjust(width)
            for index, (word, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    text.insert(1, "-" * (sum(widths) + 2 * (len(widths) - 1)))
    troubles = sorted(
        (t for one in standings for t in one.troubles), key=lambda t: (t.status, -len(t.materials))
    )
    if troubles:
        text += ["", "went wrong most often:"]
    for trouble in troubles[:WORST]:
        named = ", ".join(trouble.materials[:3]) + (", ..." if len(trouble.materials) > 3 else "")
        number = len(trouble.materials)
        text.append(f"  {number} x {trouble.status}, {trouble.model}: {trouble.reason} ({named})")
    if len(troubles) > WORST:
        text.append(f"  and {len(troubles) - WORST} more kinds: results/report, or the records")
    return "\n".join(text)
