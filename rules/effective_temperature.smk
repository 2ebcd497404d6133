"""Effective temperatures of labelled sets (MatterSim-MT, Fig. S6); made when asked for by name.

INPUTS: labelled frames, the model's environment and conformance.
OUTPUTS: results/effective_temperature/<model>/chunks/<set>.jsonl (a record a frame),
results/tables/mattersim_mt_sfig6*.csv, results/figures/mattersim_mt_sfig6.{pdf,png}.
"""


localrules:
    effective_temperatures,


rule relaxed_frames:
    """Relax the frames of {wildcards.labels} with {wildcards.model}, cell fixed; a killed job goes on at the next frame."""
    input:
        environment=environment_ok,
        weights=weights_ok,
        conformance="results/conformance/{model}.json",
        frames=naming.labelled("{labels}"),
    output:
        records="results/effective_temperature/{model}/chunks/{labels}.jsonl",
    log:
        "results/logs/effective_temperature/{model}/{labels}.log",
    benchmark:
        "results/benchmarks/effective_temperature/{model}/{labels}.tsv"
    wildcard_constraints:
        labels="[a-z0-9_]+",
    conda:
        lambda wildcards: f"../envs/{MODELS[wildcards.model].environment}.yaml"
    threads: RUN["jobs"]["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: RUN["jobs"]["mem_mb"] * attempt,
        runtime=lambda wildcards, attempt: RUN["jobs"]["runtime_min"] * attempt,
    params:
        python=python,
        job=temperature_job,
        entry=entry_digest,
        protocol=benchmark_module("effective_temperature").PROTOCOL,
    shell:
        "{params.python} scripts/run_chunk.py {params.job:q} {output.records} 2>&1 | tee -a {log}"


rule effective_temperatures:
    """Draw effective temperature against pressure, and tell how far each set reaches."""
    input:
        records=temperature_records,
        code=package("effective_temperature", "metrics", "plots", "records"),
    output:
        frames=naming.table("mattersim_mt_sfig6_frames"),
        sets=naming.table("mattersim_mt_sfig6"),
        figure=multiext("results/figures/mattersim_mt_sfig6", ".pdf", ".png"),
    log:
        "results/logs/effective_temperature/tables.log",
    benchmark:
        "results/benchmarks/effective_temperature/tables.tsv"
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/effective_temperatures.py"
