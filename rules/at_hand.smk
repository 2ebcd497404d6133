"""Input functions of labels that are at hand: hot snapshots of our own or shipped, and published sets.

INPUTS: RUN, COSTS of setup.smk. OUTPUTS: the functions below.
"""

@cache
def bulk_labels():
    """Material of the surface table -> labels of its hot bulk: those of our own jobs that are at hand, else the shipped ones."""
    found = {}
    for material in sorted(COSTS.get("surfaces", ())):
        own = naming.labels(RUN["dft"]["code"], RUN["sampling"]["model"], material)
        at_hand = [own, naming.shipped_labels(material)]
        there = [p for p in at_hand if Path(p).is_file() and Path(p).stat().st_size]
        found |= {material: path for path in there[:1]}
    return found


def bulk_label_digests(wildcards):
    """What `bulk_labels` hold. They are no input: labels that are there are taken as they are, no DFT runs for them."""
    return {path: file_digest(Path(path)) for path in bulk_labels().values()}


def label_records(wildcards):
    """The records of the labels of every material of one sampler."""
    return [
        naming.chunk_records("labels", wildcards.code, f"{wildcards.sampler}-{m}")
        for m in sampled_materials(wildcards.sampler)
    ]


def temperature_job(wildcards):
    """What the job of one set's effective temperatures is told, as JSON; a frame of the set is a material of it."""
    its = benchmark_module("effective_temperature")
    most = RUN["benchmarks"]["high_energy"]["settings"]["most_frames"]
    frames = its.frame_ids(Path(its.MANIFEST), wildcards.labels, most)
    job = {
        "benchmark": "effective_temperature",
        "model": wildcards.model,
        "structures": dict.fromkeys(frames, naming.labelled(wildcards.labels)),
        "settings": asdict(its.Settings()),
        "device": RUN["jobs"]["device"],
        "threads": RUN["jobs"]["threads"],
    }
    return json.dumps(job, sort_keys=True)


def temperature_sets():
    """The published sets that are whole files, one frame after another."""
    its = benchmark_module("effective_temperature")
    return list(its.whole_sets(Path(its.MANIFEST)))


def temperature_records(wildcards):
    """The relaxed frames of every set and model."""
    return [
        naming.chunk_records("effective_temperature", model, labels)
        for model in MODELS
        for labels in temperature_sets()
    ]
