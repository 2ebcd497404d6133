"""Input functions of a check of a user's own material: what was asked for, and what it needs.
INPUTS: RUN of setup.smk, results/check/<name>/inputs, which make check wrote. OUTPUTS: the functions below.
"""

NAMES = r"[A-Za-z0-9_.-]+"


def asked(name):
    """What the user asked for under this name."""
    path = Path(naming.check_file(name, "inputs", "request.json"))
    if not path.is_file():
        raise WorkflowError(
            f"{path}: no check of this name; begin with make check STRUCTURE=my.cif"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def check_sampler(name):
    """Who drives the hot dynamics of a check: the configured model where it takes part, else the first that does."""
    models = asked(name)["models"]
    return RUN["sampling"]["model"] if RUN["sampling"]["model"] in models else models[0]


def check_samplers(wildcards):
    """Rattled cells, and hot dynamics with one model."""
    return [RATTLED, check_sampler(wildcards.name)]


def check_sampled(wildcards):
    """The records of every sampling of a check."""
    return [
        naming.check_file(wildcards.name, "states", sampler, "chunks", "frames.jsonl")
        for sampler in check_samplers(wildcards)
    ]


def check_labelled(wildcards):
    """The labelled frames of every sampling of a check."""
    name, kind = wildcards.name, wildcards.kind
    files = [f"{sampler}.extxyz" for sampler in check_samplers(wildcards)]
    return [naming.check_file(name, kind, file) for file in files]


def check_made(wildcards):
    """The records of the states and labels that were computed for a check; nothing where they were given."""
    kind = asked(wildcards.name)["mode"]
    if kind not in ("gpaw", "vasp"):
        return []
    return check_sampled(wildcards) + [
        naming.check_file(wildcards.name, kind, "chunks", f"{sampler}.jsonl")
        for sampler in check_samplers(wildcards)
    ]


def check_frames_of(name, kind):
    """The frames that the models answer for: the user's own, or the sampled ones."""
    folder = "inputs" if kind == "labels" else "frames"
    return naming.check_file(name, folder, f"{kind}.extxyz")


def check_told(benchmark, model, structures, settings):
    """What one job of a check is told, as JSON."""
    job = {"benchmark": benchmark, "model": model, "structures": structures}
    machine = {key: RUN["jobs"][key] for key in ("device", "threads")}
    return json.dumps({**job, "settings": settings, **machine}, sort_keys=True)


def check_job(wildcards):
    """What the job of one model is told, as JSON."""
    kind, model = wildcards.kind, wildcards.model
    frames = {kind: check_frames_of(wildcards.name, kind)}
    if kind == "none":
        return check_told("unlabelled", model, frames, {})
    settings = {"most_frames": RUN["check"]["most_frames"]}
    return check_told("high_energy", model, frames, settings)


def check_sampling_job(wildcards):
    """What one sampling of a check is told, as JSON."""
    path = naming.check_file(wildcards.name, "inputs", "structure.extxyz")
    cell = {f"check-{wildcards.name}": path}
    return check_told("sampling", wildcards.model, cell, RUN["check"]["settings"])


def check_answers(wildcards):
    """The records of every model of a check."""
    request = asked(wildcards.name)
    return [
        naming.check_file(
            wildcards.name, "answers", model, "chunks", f"{request['mode']}.jsonl"
        )
        for model in request["models"]
    ]


def check_proofs(wildcards):
    """That every correction's three lines of Python were run; nothing without labels."""
    request = asked(wildcards.name)
    models = request["models"] if request["mode"] != "none" else []
    return [naming.check_file(wildcards.name, "proofs", f"{m}.json") for m in models]


def check_result(wildcards):
    """What the page is made from: the verdicts, or without labels the comparison of the models."""
    labelled = asked(wildcards.name)["mode"] != "none"
    folder = "score" if labelled else "unlabelled"
    return naming.check_file(wildcards.name, folder, "result.json")


def check_page():
    """The page of the check that is asked for."""
    if not RUN["check"]["name"]:
        raise WorkflowError(
            "check: nothing is asked for; begin with make check STRUCTURE=my.cif"
        )
    return naming.check_file(RUN["check"]["name"], "index.html")
