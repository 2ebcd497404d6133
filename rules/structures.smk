"""Input functions of the jobs: where a structure comes from, and what a job is told.

INPUTS: RUN, COSTS, CHUNKS ... of setup.smk. OUTPUTS: the functions below.
"""


def in_archive(benchmark, material):
    """Whether the structure is read from a database's archive: for its forces, or where none is shipped."""
    listed = BENCHMARKS[benchmark].REFERENCES and material in COSTS[benchmark]
    return bool(listed) and (RUN["reference"] != "published" or material not in SHIPPED)


def home(benchmark):
    """The database whose cells the models run on: the first of the benchmark's."""
    return next(iter(BENCHMARKS[benchmark].REFERENCES))


def structure_file(benchmark, material):
    """The structure file of one material: the user's own, the benchmark's, of an archive, shipped, or fetched."""
    if material not in COSTS[benchmark]:
        found = sorted(Path("structures").glob(f"{material}.*"))
        return str(found[0]) if found else f"structures/{material}.vasp"
    if hasattr(BENCHMARKS[benchmark], "structure_file"):
        return BENCHMARKS[benchmark].structure_file(material)
    if in_archive(benchmark, material):
        return naming.reference_file(home(benchmark), material)
    if RUN["sources"]["structures"] == "prototypes":
        return f"data/prototypes/{material}.yaml"
    return f"{naming.RESULTS}/inputs/materials_project/{material}.yaml"


def structures_of(benchmark, materials, part):
    """What a job waits for: its structure files, and the list of what was fetched for it."""
    files = [
        structure_file(benchmark, m) for m in materials if not in_archive(benchmark, m)
    ]
    if any(in_archive(benchmark, m) for m in materials):
        files.append(naming.fetched(benchmark, home(benchmark), part))
    return files


def is_made(path):
    """Whether a structure file comes from a rule; the others are there from the start."""
    return path.startswith(naming.RESULTS)


@cache
def structures_to_make(benchmark, chunk):
    """The structures that other rules make for one chunk, and the list of what was fetched for it."""
    files = structures_of(benchmark, CHUNKS[benchmark][chunk], chunk)
    return [path for path in files if is_made(path)]


def chunk_structures(wildcards):
    """What one job waits for. Shipped structures are not among it: ten thousand files would be looked at at each step."""
    return structures_to_make(wildcards.benchmark, wildcards.chunk)


def shipped_digests(benchmark, chunk):
    """Digests of the shipped structures of one chunk: the edit of one makes the jobs of its chunk run again."""
    files = structures_of(benchmark, CHUNKS[benchmark][chunk], chunk)
    there = [Path(path) for path in files if not is_made(path)]
    missing = [str(path) for path in there if not path.is_file()]
    if missing:
        raise WorkflowError(f"{benchmark}: no structure file {', '.join(missing)}")
    return [file_digest(path) for path in there]


def material_structure(wildcards):
    """The structure of one material."""
    return structures_of(wildcards.benchmark, [wildcards.material], wildcards.material)


@cache
def structure_files(benchmark, chunk):
    """Material -> structure file of one chunk: the same for every model."""
    return {m: structure_file(benchmark, m) for m in CHUNKS[benchmark][chunk]}


def job_of(benchmark, model, structures):
    """Everything that a job is told: ``structures`` is a file by material."""
    return {
        "benchmark": benchmark,
        "model": model,
        "structures": structures,
        "settings": RUN["benchmarks"][benchmark]["settings"],
        "device": RUN["jobs"]["device"],
        "threads": RUN["jobs"]["threads"],
    }


def chunk_job(wildcards):
    """What one job is told, as JSON."""
    structures = structure_files(wildcards.benchmark, wildcards.chunk)
    job = job_of(wildcards.benchmark, wildcards.model, structures)
    return json.dumps(job, sort_keys=True)


def material_job(wildcards):
    """What the job of one material is told, as JSON."""
    benchmark, material = wildcards.benchmark, wildcards.material
    job = job_of(
        benchmark, wildcards.model, {material: structure_file(benchmark, material)}
    )
    return json.dumps(job, sort_keys=True)
