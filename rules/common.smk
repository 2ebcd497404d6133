"""Input functions of every rule: which files the configuration means.

INPUTS: RUN, MODELS, CHUNKS ... of setup.smk. OUTPUTS: the functions below.
"""


def environment_ok(wildcards):
    """The file that says that the model's environment stands; nothing for the environment that drives the workflow."""
    environment = MODELS[wildcards.model].environment
    return [] if CONDA or environment == "driver" else f".venvs/{environment}.ok"


def python(wildcards):
    """The interpreter of the model's environment."""
    environment = MODELS[wildcards.model].environment
    return "python" if CONDA else f".venvs/{environment}/bin/python"


def conda_file(wildcards):
    """The model's environment for --sdm conda."""
    return f"../envs/{MODELS[wildcards.model].environment}.yaml"


def entry_digest(wildcards):
    """Digest of the model's registry entry: the entry's edit, and no other, makes its jobs run again."""
    return digest(asdict(MODELS[wildcards.model]))


def structure_file(material):
    """The structure file of one material, shipped or fetched."""
    if RUN["sources"]["structures"] == "prototypes":
        return f"data/prototypes/{material}.yaml"
    return f"{naming.RESULTS}/inputs/materials_project/{material}.yaml"


def chunk_structures(wildcards):
    """The structure files of one job."""
    return [structure_file(m) for m in CHUNKS[wildcards.benchmark][wildcards.chunk]]


def chunk_job(wildcards):
    """Everything one job needs to know, as JSON."""
    materials = CHUNKS[wildcards.benchmark][wildcards.chunk]
    job = {
        "benchmark": wildcards.benchmark,
        "model": wildcards.model,
        "structures": {m: structure_file(m) for m in materials},
        "settings": RUN["benchmarks"][wildcards.benchmark]["settings"],
        "device": RUN["jobs"]["device"],
        "threads": RUN["jobs"]["threads"],
    }
    return json.dumps(job, sort_keys=True)


def chunks_of_model(wildcards):
    """The records of every job of one model."""
    return [
        naming.chunk_records(wildcards.benchmark, wildcards.model, c)
        for c in CHUNKS[wildcards.benchmark]
    ]


def merged(benchmark):
    """The merged records of every model."""
    return [naming.merged_records(benchmark, model) for model in MODELS]


def package(*modules):
    """Modules of the package that a cheap rule depends on, so that editing one reruns it."""
    return [f"scripts/pesbench/{module}.py" for module in modules]


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


def jobs_at_hand():
    """One job a benchmark and model on every material of the manifest: what the supplement looks for among the journals."""
    return {
        (benchmark, model): {
            "benchmark": benchmark,
            "model": model,
            "structures": {m: structure_file(m) for m in sorted(COSTS[benchmark])},
            "settings": RUN["benchmarks"][benchmark]["settings"],
        }
        for benchmark in BENCHMARKS
        for model in MODELS
    }


def published_files():
    """Every transcribed table of the papers."""
    return sorted(str(path) for path in Path("data/published").glob("*.csv"))
