"""Learned costs, and what they are for: chunks that end together, on a simulated clock with measured seconds."""

from __future__ import annotations

import heapq
import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pesbench.chunks import WORKERS, chunks_of, tapered_chunks
from pesbench.costs import Learned, expected, fit, read_costs, write_costs
from pesbench.errors import RecordError
from pesbench.records import Record

ROOT = Path(__file__).resolve().parents[2]
MEASURED = json.loads((ROOT / "tests/scale/measured_phonons.json").read_text())["measured"]
#: Seconds that a job needs before its first material: libraries, model.
START_SECONDS = 10.0


def record(name: str, seconds: float, status: str = "ok", memory_mb: float = 100.0) -> Record:
    return Record(name, "b", "m", status, {}, wall_seconds=seconds, peak_memory_mb=memory_mb)


def test_an_exact_law_is_found() -> None:
    costs = {f"m{i}": 10.0 * (i + 1) for i in range(20)}
    one = fit([record(m, 0.5 * c**1.3) for m, c in costs.items()], costs)
    assert one is not None
    assert (one.exponent, one.scale_seconds) == (pytest.approx(1.3), pytest.approx(0.5))
    assert one.spread == pytest.approx(0.0, abs=1e-6) and one.records == 20
    assert one.seconds(100.0) == pytest.approx(0.5 * 100**1.3)


def test_the_predictions_of_a_noisy_law_add_up_to_what_was_measured() -> None:
    draw = random.Random(3)
    costs = {f"m{i}": 10 ** draw.uniform(1, 4) for i in range(400)}
    records = [record(m, 2.0 * c**0.8 * math.exp(draw.gauss(0, 0.6))) for m, c in costs.items()]
    one = fit(records, costs)
    assert one is not None
    assert one.exponent == pytest.approx(0.8, abs=0.08) and one.spread == pytest.approx(0.6, abs=0.06)
    assert sum(one.seconds(c) for c in costs.values()) == pytest.approx(sum(r.wall_seconds for r in records))


def test_failures_and_too_few_teach_nothing() -> None:
    costs = {f"m{i}": float(i + 1) for i in range(20)}
    assert fit([record(m, c, "failed") for m, c in costs.items()], costs) is None
    assert fit([record(f"m{i}", 1.0) for i in range(7)], costs) is None
    assert fit([record(m, 1.0) for m in costs], dict.fromkeys(costs, 2.0)) is None, "all cost the same"


def test_memory_grows_beyond_what_was_seen() -> None:
    one = Learned(1.0, 1.0, 0.1, 10, largest_cost=100.0, peak_memory_mb=1000.0)
    assert one.memory_mb(50.0) == 1000.0 and one.memory_mb(400.0) == pytest.approx(2000.0)


def test_models_count_alike_in_the_balance() -> None:
    slow, fast = Learned(100.0, 1.0, 0, 9, 1, 1), Learned(1.0, 2.0, 0, 9, 1, 1)
    costs = {"a": 1.0, "b": 3.0}
    found = expected(costs, {"slow": slow, "fast": fast})
    assert found == {"a": pytest.approx(1 / 4 + 1 / 10), "b": pytest.approx(3 / 4 + 9 / 10)}
    assert expected(costs, {}) == costs


def test_what_is_written_is_read(tmp_path: Path) -> None:
    learned = {"b": {"m": Learned(1.5, 0.9, 0.1, 10, 100.0, 1000.0)}}
    write_costs(tmp_path / "costs.json", learned, "a test")
    assert read_costs(tmp_path / "nowhere", tmp_path / "costs.json") == learned
    (tmp_path / "costs.json").write_text("{}")
    with pytest.raises(RecordError, match=r"costs\.json: not a file of learned costs"):
        read_costs(tmp_path / "costs.json")


def test_the_shipped_costs_predict_the_measured_seconds() -> None:
    one = read_costs(ROOT / "data/costs.json")["phonons"]["chgnet-0.3.0"]
    off = [math.log(seconds / one.seconds(cost)) for cost, seconds in MEASURED.values()]
    assert len(off) == 229 and math.sqrt(sum(e * e for e in off) / 229) < 0.75
    assert sum(one.seconds(c) for c, _ in MEASURED.values()) == pytest.approx(
        sum(s for _, s in MEASURED.values()), rel=1e-3
    )


# ------------------------------------------------------------------ the simulated clock


def drawn(seed: int, number: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return costs and true seconds of materials: costs of the measured ones, each off its law by another's ratio."""
    draw, pairs = random.Random(seed), list(MEASURED.values())
    law = read_costs(ROOT / "data/costs.json")["phonons"]["chgnet-0.3.0"]
    costs = {f"m{i:06d}": draw.choice(pairs)[0] for i in range(number)}
    ratio = [seconds / law.seconds(cost) for cost, seconds in pairs]
    return costs, {m: law.seconds(c) * draw.choice(ratio) for m, c in costs.items()}


def makespan(chunks: Sequence[Sequence[str]], seconds: Mapping[str, float], workers: int) -> float:
    """Return when the last of ``workers`` ends, each taking the next chunk as soon as it is free."""
    clock = [0.0] * workers
    for ids in chunks:
        heapq.heapreplace(clock, clock[0] + START_SECONDS + sum(seconds[m] for m in ids))
    return max(clock)


@pytest.mark.parametrize("workers", [1, 8, 64])
@pytest.mark.parametrize("seed", range(5))
def test_ten_thousand_materials_end_within_ten_percent_of_the_ideal(seed: int, workers: int) -> None:
    costs, seconds = drawn(seed, 10_000)
    law = read_costs(ROOT / "data/costs.json")["phonons"]
    chunks = chunks_of(expected(costs, {"m": law["chgnet-0.3.0"]}), 50)
    ideal = sum(seconds.values()) / workers
    assert makespan(list(chunks.values()), seconds, workers) < 1.10 * ideal
    assert len(chunks) < 400, "jobs have their price too"


def test_the_taper_is_what_makes_the_end_even() -> None:
    """The same chunks in the opposite order, the large ones last, leave most workers idle at the end."""
    costs, seconds = drawn(0, 10_000)
    chunks = list(tapered_chunks(costs, 50).values())
    ideal = sum(seconds.values()) / WORKERS
    assert makespan(chunks[::-1], seconds, WORKERS) > 1.2 * ideal > makespan(chunks, seconds, WORKERS)


@pytest.mark.parametrize("seed", range(10))
def test_tapered_chunks_hold_every_material_once(seed: int) -> None:
    draw = random.Random(seed)
    costs = {f"m{i}": 10 ** draw.uniform(0, 3) for i in range(draw.randrange(1, 5000))}
    limit = draw.randrange(1, 40)
    chunks = tapered_chunks(costs, limit)
    assert sorted(m for ids in chunks.values() for m in ids) == sorted(costs)
    assert all(1 <= len(ids) <= limit for ids in chunks.values()) and list(chunks) == sorted(chunks)
    mean = sum(costs.values()) / WORKERS
    loads = [sum(costs[m] for m in ids) for ids in chunks.values()]
    assert max(loads) <= 0.75 * mean + max(costs.values()), "no straggler is longer than it must be"


def test_small_runs_have_equal_chunks() -> None:
    costs = {f"m{i}": float(i + 1) for i in range(100)}
    assert [len(ids) for ids in chunks_of(costs, 25).values()] == [25] * 4
