"""What the last run set out to do, kept beside the results: later runs keep its chunks, and anybody can watch it.

Chunks that were made once stay as they are when materials are added, so that only the new ones get jobs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pesbench.chunks import chunks_of
from pesbench.files import write_atomic

Chunks = dict[str, list[str]]


def read_plan(path: Path) -> dict[str, Any]:
    """Return the plan of the last run by benchmark; nothing where there is none, or none that can be read.

    The plan can be made again, so a damaged one costs nothing but the chunks' old names.
    """
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return plan if isinstance(plan, dict) else {}


def write_plan(path: Path, plan: Mapping[str, Mapping[str, Any]]) -> None:
    """Keep a plan: for each benchmark the names of its models, settings, protocol, limit and chunks."""
    write_atomic(path, json.dumps(plan, sort_keys=True) + "\n")


def planned_chunks(earlier: Mapping[str, Any], costs: Mapping[str, float], limit: int) -> Chunks:
    """Share materials out to chunks, and leave those of an earlier plan as they were.

    Parameters
    ----------
    earlier
        The benchmark's entry of `read_plan`. A chunk of it stays where all its materials are still wanted; all are
        made anew where the limit has changed.
    costs
        Cost of each wanted material.
    limit
        Upper limit of materials in one chunk.

    Returns
    -------
    dict
        Chunk name -> sorted material ids; every wanted id exactly once.
    """
    known = earlier.get("chunks", {}) if earlier.get("materials_per_chunk") == limit else {}
    kept = {name: list(ids) for name, ids in known.items() if ids and costs.keys() >= set(ids)}
    placed = {material for ids in kept.values() for material in ids}
    new = chunks_of({m: cost for m, cost in costs.items() if m not in placed}, limit)
    names = _free_names(kept, len(new))
    return kept | dict(zip(names, new.values(), strict=True))


def _free_names(taken: Mapping[str, Any], number: int) -> list[str]:
    """Return names that no kept chunk has, counting from zero, as wide as `chunks_of` makes them."""
    width = max(3, len(str(len(taken) + number - 1)))
    names = (f"{index:0{width}d}" for index in range(len(taken) + number))
    return [name for name in names if name not in taken][:number]
