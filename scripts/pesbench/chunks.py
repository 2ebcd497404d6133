"""Which materials share a job (standard library only).

A job is model x chunk. The chunks depend on nothing but the ids, their costs and the size limit, so every parse of the
workflow, on every machine, makes the same ones.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping


def balanced_chunks(costs: Mapping[str, float], materials_per_chunk: int) -> dict[str, list[str]]:
    """Share materials out to chunks of near-equal cost.

    Longest-processing-time-first: the dearest material goes to the cheapest chunk that still has room.

    Parameters
    ----------
    costs
        Cost of each material id in any unit, e.g. atoms in all its slabs; positive.
    materials_per_chunk
        Upper limit of materials in one chunk, at least 1.

    Returns
    -------
    dict
        Chunk name (``000``, ``001``, ...) -> sorted material ids; every id exactly once.
    """
    if materials_per_chunk < 1:
        raise ValueError(f"materials_per_chunk is {materials_per_chunk}, must be at least 1")
    if not costs:
        return {}
    n_chunks = math.ceil(len(costs) / materials_per_chunk)
    heap = [(0.0, index) for index in range(n_chunks)]
    members: list[list[str]] = [[] for _ in range(n_chunks)]
    for material in sorted(costs, key=lambda m: (-costs[m], m)):
        load, index = heapq.heappop(heap)
        members[index].append(material)
        if len(members[index]) < materials_per_chunk:
            heapq.heappush(heap, (load + costs[material], index))
    width = max(3, len(str(n_chunks - 1)))
    return {f"{index:0{width}d}": sorted(ids) for index, ids in enumerate(members)}
