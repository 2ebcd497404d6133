"""Which materials share a job (standard library only).

A job is model x chunk. The chunks depend on nothing but the ids, their costs and the size limit, so every parse of the
workflow, on every machine, makes the same ones.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping

#: Materials from which on a run is large: work for many workers, and long against the start of a job.
LARGE = 5_000
#: Jobs at one time for which a large run's chunks are made; with fewer they do as well.
WORKERS = 64
#: The load of a chunk, as a share of one worker's part of what is left.
LARGEST_SHARE = 3 / 4
#: The smallest load of a chunk that its cost alone asks for, as a share of one worker's: below it a job's start counts.
SMALLEST_SHARE = 1 / 25


def chunks_of(costs: Mapping[str, float], materials_per_chunk: int) -> dict[str, list[str]]:
    """Share materials out to chunks: equal ones, or `tapered_chunks` in a large run."""
    return (tapered_chunks if len(costs) >= LARGE else balanced_chunks)(costs, materials_per_chunk)


def tapered_chunks(costs: Mapping[str, float], materials_per_chunk: int) -> dict[str, list[str]]:
    """Share materials out to chunks that get smaller, the dearest materials first.

    Guided self-scheduling (Polychronopoulos and Kuck, IEEE Trans. Comput. C-36, 1425, 1987): each chunk takes three
    quarters of a worker's part of what is left. Started in the order of their names, the large ones keep the starts of
    jobs few, and the small ones at the end let all workers finish together, whatever the costs were off by.

    Parameters, returns: as `balanced_chunks`.
    """
    left = sum(costs.values())
    smallest = SMALLEST_SHARE * left / WORKERS
    chunks: list[list[str]] = []
    load = target = 0.0
    for material in sorted(costs, key=lambda m: (-costs[m], m)):
        full = chunks and len(chunks[-1]) == materials_per_chunk
        if not chunks or full or load + costs[material] > target:
            left -= load
            load, target = 0.0, max(LARGEST_SHARE * left / WORKERS, smallest)
            chunks.append([])
        chunks[-1].append(material)
        load += costs[material]
    width = max(3, len(str(len(chunks) - 1)))
    return {f"{index:0{width}d}": sorted(ids) for index, ids in enumerate(chunks)}


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
