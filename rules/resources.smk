"""What a job asks a cluster for: memory and time by what its chunk costs, more at each attempt.

INPUTS: RUN, COSTS, EXPECTED, CHUNKS, LEARNED of setup.smk. OUTPUTS: the functions below.
"""

# A job asks for so many times what its materials are expected to take: one may well take three times its share.
TIME_RESERVE = 3.0
MEMORY_RESERVE = 1.3
# Beside the materials: the libraries and the model are loaded (minutes).
START_MIN = 5


@cache
def whole_cost(benchmark):
    """What all materials of a benchmark are expected to cost."""
    return sum(EXPECTED[benchmark][m] for m in MATERIALS[benchmark])


@cache
def chunk_cost(benchmark, chunk):
    """What a chunk is expected to cost, in parts per million of all chunks."""
    cost = sum(EXPECTED[benchmark][m] for m in CHUNKS[benchmark][chunk])
    return round(1e6 * cost / whole_cost(benchmark))


def chunk_priority(wildcards):
    """The dearest jobs start first, so that all workers finish together."""
    return chunk_cost(wildcards.benchmark, wildcards.chunk)


@cache
def needs(benchmark, name, chunk):
    """Memory (MB) and time (minutes) of the first attempt: as configured, or more where earlier records say so."""
    ids, costs = CHUNKS[benchmark][chunk], COSTS[benchmark]
    share = chunk_cost(benchmark, chunk) * len(CHUNKS[benchmark]) / 1e6
    memory_mb, minutes = RUN["jobs"]["mem_mb"], RUN["jobs"]["runtime_min"] * max(
        1.0, share
    )
    one = LEARNED.get(benchmark, {}).get(name)
    if one:
        dearest, seconds = max(costs[m] for m in ids), sum(
            one.seconds(costs[m]) for m in ids
        )
        memory_mb = max(memory_mb, MEMORY_RESERVE * one.memory_mb(dearest))
        minutes = max(minutes, START_MIN + TIME_RESERVE * seconds / 60)
    return round(memory_mb), round(minutes)


def chunk_memory_mb(wildcards, attempt):
    """Memory of one job, times the attempt."""
    name = wildcards.get("model") or wildcards.reference
    return attempt * needs(wildcards.benchmark, name, wildcards.chunk)[0]


def chunk_minutes(wildcards, attempt):
    """Time of one job, times the attempt."""
    name = wildcards.get("model") or wildcards.reference
    return attempt * needs(wildcards.benchmark, name, wildcards.chunk)[1]
