"""Input functions of fine-tuning: which runs the configuration means, what each is told.

INPUTS: RUN, REGISTRY, MATERIALS of setup.smk. OUTPUTS: the functions below.
"""

from pesbench.engine.training.families import needs_checkpoint, training_environment

TUNING = RUN["fine_tuning"]
# A registry of one's own may lack them: that matters to whoever asks for fine_tuning.
TUNED = {
    name: REGISTRY.models[name] for name in TUNING["models"] if name in REGISTRY.models
}
try:
    TRAINED_IN = {name: training_environment(entry) for name, entry in TUNED.items()}
except PesbenchError as error:
    raise WorkflowError(str(error)) from None


def tuned_models():
    """The models to fine-tune; one that the registry lacks is named."""
    try:
        return [REGISTRY.get(name).name for name in TUNING["models"]]
    except PesbenchError as error:
        raise WorkflowError(str(error)) from None


def tuned_sets():
    """The sets of labels to fine-tune on: those of high_energy that the configuration asks for."""
    found = MATERIALS.get("high_energy", [])
    if not found:
        raise WorkflowError(
            "fine_tuning: no set of labels is asked for; add --config materials=mlearn (or mlearn-Si)"
        )
    return found


def tuning_runs(model):
    """The names of one model's runs."""
    name_of = benchmark_module("fine_tuning").run_id
    return [
        name_of(part, count, labels, seed)
        for labels in tuned_sets()
        for part in TUNING["parts"]
        for count, seeds in TUNING["seeds"].items()
        for seed in range(seeds)
        if part != "scratch" or str(count) in TUNING["scratch_labels"]
    ]


def tuning_records(wildcards=None):
    """The records of all runs."""
    return [
        naming.chunk_records("fine_tuning", model, run)
        for model in tuned_models()
        for run in tuning_runs(model)
    ]


def runnable(wildcards):
    """Whether the published model itself is run: it is not where MACE is trained from scratch."""
    return needs_checkpoint(REGISTRY.get(wildcards.model), wildcards.part)


def published_answers(wildcards):
    """The record of the published model's answers on the whole set."""
    if not runnable(wildcards):
        return []
    if wildcards.model not in MODELS:
        raise WorkflowError(
            f"config.yaml, fine_tuning: {wildcards.model} is evaluated first; add it to models: {', '.join(MODELS)}"
        )
    return naming.single_record("high_energy", wildcards.model, wildcards.set)


def training_ready(wildcards):
    """The environment that trains, the weights."""
    environment = TRAINED_IN[wildcards.model]
    ready = [] if CONDA else [f".venvs/{environment}.ok"]
    weights = weights_ok(wildcards) if runnable(wildcards) else []
    return ready + ([weights] if weights else [])


def training_python(wildcards):
    """The interpreter that trains."""
    environment = TRAINED_IN[wildcards.model]
    return "python" if CONDA else f".venvs/{environment}/bin/python"


def tuning_job(wildcards):
    """What one run is told of its settings, as JSON."""
    name = f"{wildcards.part}-{wildcards.n}-{wildcards.set}-{wildcards.seed}"
    job = {
        "benchmark": "fine_tuning",
        "model": wildcards.model,
        "structures": {name: structure_file("high_energy", wildcards.set)},
        "settings": TUNING["settings"],
        "device": RUN["jobs"]["device"],
        "threads": RUN["jobs"]["threads"],
    }
    return json.dumps(job, sort_keys=True)


def tuning_task(wildcards):
    """What one run is told of its labels, as JSON."""
    listed = TASKS["high_energy"].get(wildcards.set, {})
    record = naming.single_record("high_energy", wildcards.model, wildcards.set)
    answers = naming.kept_file(record, f"{wildcards.set}.predictions.npz")
    task = {
        "model": wildcards.model,
        "part": wildcards.part,
        "count": int(wildcards.n),
        "set": wildcards.set,
        "seed": int(wildcards.seed),
        "file_part": listed.get("part", ""),
        "level_of_theory": listed.get("level_of_theory", ""),
        "predictions": answers if runnable(wildcards) else "",
        "device": "cpu" if RUN["jobs"]["device"] == "auto" else RUN["jobs"]["device"],
    }
    return json.dumps(task, sort_keys=True)
