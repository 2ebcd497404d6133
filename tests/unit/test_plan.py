"""The plan: what was planned once stays; what is added gets chunks of its own."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from pesbench.chunks import balanced_chunks
from pesbench.plan import planned_chunks, read_plan, write_plan


def entry(chunks: dict[str, list[str]], limit: int) -> dict[str, Any]:
    return {"materials_per_chunk": limit, "chunks": chunks}


def test_without_a_plan_chunks_are_balanced() -> None:
    costs = {f"m{i}": float(i + 1) for i in range(20)}
    assert planned_chunks({}, costs, 6) == balanced_chunks(costs, 6)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_added_gets_its_own_chunks(seed: int) -> None:
    draw = random.Random(seed)
    costs = {f"m{i:04d}": draw.uniform(1, 9) for i in range(draw.randrange(1, 1500))}
    limit = draw.randrange(1, 30)
    before = planned_chunks({}, costs, limit)
    added = {f"new{i}": draw.uniform(1, 9) for i in range(100)}
    after = planned_chunks(entry(before, limit), costs | added, limit)
    assert {name: after[name] for name in before} == before
    new = {name: ids for name, ids in after.items() if name not in before}
    assert sorted(m for ids in new.values() for m in ids) == sorted(added)
    assert len(new) >= -(-100 // limit) and all(name.isdigit() for name in new)
    assert max(map(len, after.values())) <= limit
    assert planned_chunks(entry(after, limit), costs | added, limit) == after, "the same at every parse"


def test_a_chunk_that_lost_a_material_is_made_anew() -> None:
    before = {"000": ["a", "b"], "001": ["c", "d"]}
    costs = dict.fromkeys("abc", 1.0)
    assert planned_chunks(entry(before, 2), costs, 2) == {"000": ["a", "b"], "001": ["c"]}


def test_another_limit_makes_all_anew() -> None:
    costs = dict.fromkeys("abcd", 1.0)
    before = balanced_chunks(costs, 4)
    assert planned_chunks(entry(before, 4), costs, 2) == balanced_chunks(costs, 2)


def test_learned_costs_leave_planned_chunks_alone() -> None:
    costs = {f"m{i}": float(i + 1) for i in range(9)}
    before = planned_chunks({}, costs, 3)
    assert planned_chunks(entry(before, 3), {m: 1 / c for m, c in costs.items()}, 3) == before


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_damaged_plan_counts_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    assert read_plan(path) == {}
    path.write_text(text)
    assert read_plan(path) == {}
    write_plan(path, {"surfaces": entry({"000": ["a"]}, 1)})
    assert read_plan(path)["surfaces"]["chunks"] == {"000": ["a"]}
