"""Input functions of every rule: which files the configuration means.
INPUTS: RUN, MODELS, CHUNKS ... of setup.smk. OUTPUTS: the functions below.
"""


def environment_ok(wildcards):
    """The file that says that the model's environment stands; nothing for the environment that drives the workflow."""
    environment = REGISTRY.models[wildcards.model].environment
    return [] if CONDA or environment == "driver" else f".venvs/{environment}.ok"


def python(wildcards):
    """The interpreter of the model's environment."""
    environment = REGISTRY.models[wildcards.model].environment
    return "python" if CONDA else f".venvs/{environment}/bin/python"


def weights_ok(wildcards):
    """The list of the model's fetched weights; nothing for a model whose weights are installed with it."""
    fetched = REGISTRY.models[wildcards.model].checkpoint.where == "fetched"
    return naming.weights(wildcards.model) if fetched else []


@cache
def digest_of_model(model):
    """Digest of one registry entry."""
    return digest(asdict(REGISTRY.models[model]))


def entry_digest(wildcards):
    """Digest of the model's registry entry: the entry's edit, and no other, makes its jobs run again."""
    return digest_of_model(wildcards.model)


@cache
def digest_of_chunk(benchmark, chunk):
    """Digest of the shipped structures of one chunk, and of what the manifest asks of them."""
    ids = CHUNKS[benchmark][chunk]
    return digest(
        [shipped_digests(benchmark, chunk), [TASKS[benchmark][m] for m in ids]]
    )


def chunk_inputs(wildcards):
    """Digest of the job's structures and tasks: the edit of another material changes nothing."""
    return digest_of_chunk(wildcards.benchmark, wildcards.chunk)


def chunks_of_model(wildcards):
    """The records of every job of one model, or of one reference."""
    return [
        naming.chunk_records(wildcards.benchmark, wildcards.model, c)
        for c in CHUNKS[wildcards.benchmark]
    ]


def levels(benchmark):
    """Every model and every reference of a benchmark with its level of theory."""
    models = {name: entry.level_of_theory for name, entry in MODELS.items()}
    return {**models, **REFERENCES[benchmark]}


def merged(benchmark):
    """The merged records of every model and every reference."""
    return [naming.merged_records(benchmark, name) for name in levels(benchmark)]


def supplement_only():
    """Whether the target is the supplement: tables are then made from what is at hand, and no model is asked."""
    return "supplement" in workflow.dag_settings.targets


def to_score(benchmark):
    """What a benchmark's tables are made from: merged records; for the supplement, the journals that are there."""
    if not supplement_only():
        return merged(benchmark)
    return sorted(map(str, Path(naming.RESULTS, benchmark).glob("*/journal/*.jsonl")))


def package(*modules):
    """Modules of the package, or whole folders of it, that a cheap rule depends on, so that editing one reruns it."""
    root = Path("scripts/pesbench")
    folders = [path for m in modules for path in (root / m).rglob("*.*")]
    files = [root / f"{m}.py" for m in modules if not (root / m).is_dir()]
    return sorted(str(path) for path in files + folders if path.suffix != ".pyc")


def all_tables():
    """Every table of the configured benchmarks, and the supplement's."""
    own = [
        naming.table(name) for module in BENCHMARKS.values() for name in module.TABLES
    ]
    return own + [naming.table(name) for name in PUBLISHED_TABLES]


def all_figures():
    """Every figure of the configured benchmarks."""
    names = [name for module in BENCHMARKS.values() for name in module.FIGURES]
    return [naming.figure(name, suffix) for name in names for suffix in ("pdf", "png")]


def jobs_at_hand(benchmark):
    """For the supplement, one job a model on every material: what to look for among the journals. Else nothing."""
    if not supplement_only():
        return []
    ids = sorted(COSTS[benchmark])
    files = {m: structure_file(benchmark, m) for m in ids}
    on_file = {
        name: {m: naming.reference_file(name, m) for m in ids}
        for name in REFERENCES[benchmark]
    }
    return [
        job_of(benchmark, name, on_file.get(name, files)) for name in levels(benchmark)
    ]


def published_files():
    """Every transcribed table of the papers."""
    return sorted(str(path) for path in Path("data/published").glob("*.csv"))
