"""Input functions: what has to be fetched, and what can be proven here.

INPUTS: REGISTRY, MODELS, CHUNKS ... of setup.smk. OUTPUTS: the functions below.
"""


def weights_to_fetch(wildcards):
    """The lists of fetched weights of every model whose environment stands."""
    return [
        naming.weights(name)
        for name, entry in REGISTRY.models.items()
        if entry.checkpoint.where == "fetched"
        and entry.checkpoint.pinned
        and is_installed(entry.environment, Path())
    ]


def provable(wildcards):
    """The proofs of every model whose environment, weights and pinned values are there."""
    return [
        naming.conformance(name)
        for name, entry in REGISTRY.models.items()
        if standing(entry, Path()).provable
    ]


def all_fetched():
    """Everything that has to be fetched before a node without a network can work: structures, labels, weights."""
    structures = [
        path
        for benchmark, chunks in CHUNKS.items()
        for chunk, materials in chunks.items()
        for path in structures_of(benchmark, materials, chunk)
        if is_made(path)
    ]
    labels = [
        naming.labelled(name)
        for module in BENCHMARKS.values()
        for name in getattr(module, "LABELS", ())
    ]
    weights = [
        naming.weights(name)
        for name, entry in MODELS.items()
        if entry.checkpoint.where == "fetched"
    ]
    return structures + labels + weights


def fetched_part(wildcards):
    """The materials whose archives one job reads: a chunk's, or one material."""
    materials = CHUNKS[wildcards.benchmark].get(wildcards.part, [wildcards.part])
    return [m for m in materials if in_archive(wildcards.benchmark, m)]


def on_file(wildcards):
    """What a reference's job waits for: the list of what was fetched for it."""
    return naming.fetched(wildcards.benchmark, wildcards.reference, wildcards.chunk)


def reference_job(wildcards):
    """What a reference's job is told, as JSON: the files that the database has of the chunk's materials."""
    benchmark, reference = wildcards.benchmark, wildcards.reference
    files = {
        m: naming.reference_file(reference, m)
        for m in CHUNKS[benchmark][wildcards.chunk]
    }
    return json.dumps(job_of(benchmark, reference, files), sort_keys=True)
