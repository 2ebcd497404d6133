"""Chunks: every material once, the limit kept, the loads near each other, the same on every machine."""

import random
import time
from collections.abc import Mapping

import pytest

from pesbench.chunks import balanced_chunks


def random_costs(seed: int) -> tuple[dict[str, float], int]:
    """Return costs over three orders of magnitude, as slabs have, and a chunk size."""
    source = random.Random(seed)
    costs = {
        f"mp-{source.randrange(10**6)}": 10 ** source.uniform(0, 3) for _ in range(source.randrange(1, 200))
    }
    return costs, source.randrange(1, 20)


def loads(chunks: Mapping[str, list[str]], costs: Mapping[str, float]) -> list[float]:
    return [sum(costs[m] for m in members) for members in chunks.values()]


@pytest.mark.parametrize("seed", range(60))
def test_every_material_once_within_the_limit(seed: int) -> None:
    costs, limit = random_costs(seed)
    chunks = balanced_chunks(costs, limit)
    assert sorted(m for members in chunks.values() for m in members) == sorted(costs)
    assert all(1 <= len(members) <= limit for members in chunks.values())
    assert len(chunks) == -(-len(costs) // limit)
    assert all(members == sorted(members) for members in chunks.values())
    assert list(chunks) == [f"{i:03d}" for i in range(len(chunks))]


@pytest.mark.parametrize("seed", range(60))
def test_loads_differ_by_less_than_the_dearest_material(seed: int) -> None:
    costs, limit = random_costs(seed)
    sums = loads(balanced_chunks(costs, limit), costs)
    assert max(sums) - min(sums) <= max(costs.values())


def test_dear_materials_are_spread_out() -> None:
    costs = {"a": 100.0, "b": 100.0} | {f"cheap{i}": 1.0 for i in range(6)}
    chunks = balanced_chunks(costs, 4)
    assert loads(chunks, costs) == [103.0, 103.0]
    assert {"a", "b"}.isdisjoint(set(chunks["000"]) & set(chunks["001"])) and "a" in chunks["000"]


@pytest.mark.parametrize("seed", range(20))
def test_order_of_the_materials_does_not_matter(seed: int) -> None:
    costs, limit = random_costs(seed)
    expected = balanced_chunks(costs, limit)
    shuffled = list(costs.items())
    random.Random(seed + 1).shuffle(shuffled)
    assert balanced_chunks(dict(shuffled), limit) == expected


def test_equal_costs_are_told_apart_by_id() -> None:
    costs = dict.fromkeys(["d", "b", "c", "a"], 1.0)
    assert balanced_chunks(costs, 2) == {"000": ["a", "c"], "001": ["b", "d"]}


def test_costs_matter() -> None:
    ids = [f"m{i}" for i in range(8)]
    equal = balanced_chunks(dict.fromkeys(ids, 1.0), 4)
    assert balanced_chunks({m: 2.0**i for i, m in enumerate(ids)}, 4) != equal


def test_ten_thousand_materials_are_quick_and_sorted_by_name() -> None:
    source = random.Random(0)
    costs = {f"mp-{i}": source.uniform(1, 100) for i in range(10_000)}
    started = time.process_time()
    chunks = balanced_chunks(costs, 8)
    assert time.process_time() - started < 0.2
    assert len(chunks) == 1250 and list(chunks) == sorted(chunks) and "0000" in chunks and "1249" in chunks
    assert max(loads(chunks, costs)) < 1.1 * sum(costs.values()) / 1250


def test_nothing_gives_nothing() -> None:
    assert balanced_chunks({}, 8) == {}


@pytest.mark.parametrize("limit", [0, -1])
def test_chunk_must_hold_something(limit: int) -> None:
    with pytest.raises(ValueError, match=f"materials_per_chunk is {limit}, must be at least 1"):
        balanced_chunks({"mp-30": 1.0}, limit)
