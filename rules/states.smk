"""Input functions of sampling and labels: who drives, which materials, what a job is told.

INPUTS: RUN, MODELS of setup.smk. OUTPUTS: the functions below.
"""

RATTLED = "rattled"
# The cells whose slopes were once measured by hand: Si, Al, Cu, MgO.
RATTLED_MATERIALS = ("mp-149", "mp-134", "mp-30", "mp-1265")


def sampler_of():
    """The model that drives the dynamics; it has to be one of the run's models."""
    model = RUN["sampling"]["model"]
    if model not in MODELS:
        raise WorkflowError(
            f"config.yaml, sampling: model is '{model}', must be one of models: {', '.join(MODELS)}"
        )
    return model


def sampler_python(wildcards):
    """The interpreter that samples: the model's, or the driver's for rattled cells."""
    return sys.executable if wildcards.model == RATTLED else python(wildcards)


def sampler_ready(wildcards):
    """What has to be there before a sampler runs: its model's environment, weights, conformance."""
    if wildcards.model == RATTLED:
        return []
    ready = environment_ok(wildcards), weights_ok(wildcards)
    return [*filter(None, ready), naming.conformance(wildcards.model)]


def sampler_entry(wildcards):
    """Digest of the sampler's registry entry; nothing for rattled cells."""
    return "" if wildcards.model == RATTLED else entry_digest(wildcards)


def sampling_job(wildcards):
    """What one sampling job is told, as JSON."""
    job = {
        "benchmark": "sampling",
        "model": wildcards.model,
        "structures": {
            wildcards.material: f"data/prototypes/{wildcards.material}.yaml"
        },
        "settings": RUN["sampling"]["settings"],
        "device": RUN["jobs"]["device"],
        "threads": RUN["jobs"]["threads"],
    }
    return json.dumps(job, sort_keys=True)


def label_job(wildcards):
    """What one labeling job is told, as JSON; its structures are the frames that the sampling left."""
    settings = {**RUN["dft"], "code": wildcards.code}
    job = {
        "benchmark": "labels",
        "model": wildcards.code,
        "structures": {},
        "settings": settings,
    }
    return json.dumps({**job, "threads": RUN["jobs"]["threads"]}, sort_keys=True)


def code_ok(wildcards):
    """The file that says that the DFT code's environment stands."""
    return [] if CONDA else f".venvs/{wildcards.code}.ok"


def code_python(wildcards):
    """The interpreter of the DFT code's environment."""
    return "python" if CONDA else f".venvs/{wildcards.code}/bin/python"


def sampled_materials(sampler):
    """The materials of a sampler: the configured ones, or the rattled cells that were measured by hand."""
    return RATTLED_MATERIALS if sampler == RATTLED else RUN["sampling"]["materials"]


def label_sets(wildcards):
    """The labelled frames of every material of one sampler."""
    return [
        naming.labels(wildcards.code, wildcards.sampler, m)
        for m in sampled_materials(wildcards.sampler)
    ]


def sampled(sampler):
    """The sampling records of every material."""
    return [
        naming.chunk_records("sampling", sampler, m) for m in sampled_materials(sampler)
    ]


def slope_tables(sampler):
    """One table of slopes a model, and one of times, for the code that the configuration names."""
    code = RUN["dft"]["code"]
    times = naming.label_times(code, sampler)
    return [*(naming.label_slopes(code, sampler, model) for model in MODELS), times]
