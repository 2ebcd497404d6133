"""Input functions of the jobs: where a structure comes from, and what a job is told.

INPUTS: RUN, COSTS, CHUNKS ... of setup.smk. OUTPUTS: the functions below.
"""


def in_archive(benchmark, material):
    """Whether the structure is read from a database's archive: for its forces, or where none is shipped."""
    listed = BENCHMARKS[benchmark].REFERENCES and material in COSTS[benchmark]
    shipped = Path(f"data/prototypes/{material}.yaml").exists()
    return bool(listed) and (RUN["reference"] == "fetched" or not shipped)


def structure_file(benchmark, material):
    """The structure file of one material: the user's own, the benchmark's, of an archive, shipped, or fetched."""
    if material not in COSTS[benchmark]:
        found = sorted(Path("structures").glob(f"{material}.*"))
        return str(found[0]) if found else f"structures/{material}.vasp"
    if hasattr(BENCHMARKS[benchmark], "structure_file"):
        return BENCHMARKS[benchmark].structure_file(material)
    if in_archive(benchmark, material):
        return naming.archive(material)
    if RUN["sources"]["structures"] == "prototypes":
        return f"data/prototypes/{material}.yaml"
    return f"{naming.RESULTS}/inputs/materials_project/{material}.yaml"


def structures_of(benchmark, materials, part):
    """What a job waits for: its structure files, and the list of what was fetched for it."""
    files = [
        structure_file(benchmark, m) for m in materials if not in_archive(benchmark, m)
    ]
    archives = any(in_archive(benchmark, m) for m in materials)
    return files + [naming.fetched(benchmark, part)] * archives


def chunk_structures(wildcards):
    """The structures of one job."""
    materials = CHUNKS[wildcards.benchmark][wildcards.chunk]
    return structures_of(wildcards.benchmark, materials, wildcards.chunk)


def material_structure(wildcards):
    """The structure of one material."""
    return structures_of(wildcards.benchmark, [wildcards.material], wildcards.material)


def fetched_part(wildcards):
    """The materials whose archives one job reads: a chunk's, or one material."""
    materials = CHUNKS[wildcards.benchmark].get(wildcards.part, [wildcards.part])
    return [m for m in materials if in_archive(wildcards.benchmark, m)]


def all_fetched():
    """Everything that has to be fetched before a node without a network can work: structures, labels, weights."""
    structures = [
        path
        for benchmark, chunks in CHUNKS.items()
        for chunk, materials in chunks.items()
        for path in structures_of(benchmark, materials, chunk)
        if path.startswith(naming.RESULTS)
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


def job_of(benchmark, model, materials):
    """Everything that a job is told."""
    return {
        "benchmark": benchmark,
        "model": model,
        "structures": {m: structure_file(benchmark, m) for m in materials},
        "settings": RUN["benchmarks"][benchmark]["settings"],
        "device": RUN["jobs"]["device"],
        "threads": RUN["jobs"]["threads"],
    }


def chunk_job(wildcards):
    """What one job is told, as JSON."""
    model = wildcards.get("model") or wildcards.reference
    materials = CHUNKS[wildcards.benchmark][wildcards.chunk]
    return json.dumps(job_of(wildcards.benchmark, model, materials), sort_keys=True)


def material_job(wildcards):
    """What the job of one material is told, as JSON."""
    job = job_of(wildcards.benchmark, wildcards.model, [wildcards.material])
    return json.dumps(job, sort_keys=True)
