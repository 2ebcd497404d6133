"""DFT labels of sampled states, and how soft a model is against them.

INPUTS: sampled frames, the environment of the DFT code.
OUTPUTS: results/labels/<code>/chunks/<sampler>-<material>.jsonl (records), results/labels/<code>/<sampler>/<material>.extxyz
(labelled frames), results/labels/<code>/<sampler>/slopes/<model>.csv.
"""


localrules:
    hot_labels,
    rattled_labels,
    vasp_decks,


rule label_states:
    """Label the sampled frames of {wildcards.material} with {wildcards.code}; a killed job goes on at the next frame."""
    input:
        environment=code_ok,
        sampled="results/sampling/{sampler}/chunks/{material}.jsonl",
    output:
        records="results/labels/{code}/chunks/{sampler}-{material}.jsonl",
        frames="results/labels/{code}/{sampler}/{material}.extxyz",
    log:
        "results/logs/labels/{code}/{sampler}-{material}.log",
    benchmark:
        "results/benchmarks/labels/{code}/{sampler}-{material}.tsv"
    wildcard_constraints:
        sampler="|".join([*MODELS, RATTLED]),
        code="gpaw|vasp",
        material="[A-Za-z0-9_.-]+",
    conda:
        "../envs/gpaw.yaml"
    threads: RUN["jobs"]["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: RUN["jobs"]["mem_mb"] * attempt,
        runtime=lambda wildcards, attempt: RUN["jobs"]["runtime_min"] * attempt,
    params:
        python=code_python,
        job=label_job,
        protocol=benchmark_module("labels").PROTOCOL,
    shell:
        "{params.python} scripts/label_frames.py {params.job:q} {input.sampled} {output.records} {output.frames} "
        "2>&1 | tee -a {log}"


rule vasp_decks:
    """Write VASP's decks for the sampled frames of {wildcards.material}; no licence is needed for that."""
    input:
        environment=".venvs/vasp.ok",
        sampled="results/sampling/{sampler}/chunks/{material}.jsonl",
    output:
        listing="results/labels/vasp/{sampler}/{material}.decks.txt",
    log:
        "results/logs/labels/vasp/{sampler}-{material}.decks.log",
    benchmark:
        "results/benchmarks/labels/vasp/{sampler}-{material}.decks.tsv"
    wildcard_constraints:
        sampler="|".join([*MODELS, RATTLED]),
    conda:
        "../envs/vasp.yaml"
    params:
        settings=json.dumps({**RUN["dft"], "code": "vasp"}, sort_keys=True),
    shell:
        ".venvs/vasp/bin/python scripts/write_decks.py {params.settings:q} {input.sampled} {output.listing} > {log} 2>&1"


rule label_slopes:
    """Slope of {wildcards.model}'s forces against {wildcards.code}'s, material by material."""
    input:
        environment=environment_ok,
        conformance="results/conformance/{model}.json",
        frames=label_sets,
        code=package("label_slopes", "softening"),
    output:
        table="results/labels/{code}/{sampler}/slopes/{model}.csv",
    log:
        "results/logs/labels/{code}/{sampler}-slopes-{model}.log",
    benchmark:
        "results/benchmarks/labels/{code}/{sampler}-slopes-{model}.tsv"
    wildcard_constraints:
        sampler="|".join([*MODELS, RATTLED]),
        code="gpaw|vasp",
    conda:
        lambda wildcards: f"../envs/{MODELS[wildcards.model].environment}.yaml"
    params:
        python=python,
    shell:
        "{params.python} scripts/label_slopes.py {wildcards.model} {output.table} {input.frames} 2>&1 | tee {log}"


rule hot_labels:
    """DFT labels of hot states, and every model's slope against them."""
    input:
        lambda wildcards: slope_tables(sampler_of()),


rule rattled_labels:
    """DFT labels of four rattled cells (Si, Al, Cu, MgO), and every model's slope against them."""
    input:
        slope_tables(RATTLED),
