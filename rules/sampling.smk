"""High-energy states (Deng et al. 2025, Methods): hot dynamics with a model, or rattled cells.

INPUTS: structures, the model's environment and conformance.
OUTPUTS: results/sampling/<sampler>/chunks/<material>.jsonl, its frames in results/sampling/<sampler>/files.
"""


localrules:
    hot_states,


rule sample_states:
    """Sample {wildcards.material} with {wildcards.model}; a killed trajectory goes on where it was saved last."""
    input:
        ready=sampler_ready,
        structure="data/prototypes/{material}.yaml",
    output:
        records="results/sampling/{model}/chunks/{material}.jsonl",
    log:
        "results/logs/sampling/{model}/{material}.log",
    benchmark:
        "results/benchmarks/sampling/{model}/{material}.tsv"
    wildcard_constraints:
        model="|".join([*MODELS, RATTLED]),
    conda:
        "../envs/chgnet.yaml"
    threads: RUN["jobs"]["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: RUN["jobs"]["mem_mb"] * attempt,
        runtime=lambda wildcards, attempt: RUN["jobs"]["runtime_min"] * attempt,
    params:
        python=sampler_python,
        on_file=lambda wildcards: "--on-file" if wildcards.model == RATTLED else "",
        job=sampling_job,
        entry=sampler_entry,
        protocol=benchmark_module("sampling").PROTOCOL,
    shell:
        "{params.python} scripts/run_chunk.py {params.on_file} {params.job:q} {output.records} 2>&1 | tee -a {log}"


rule hot_states:
    """Snapshots of hot dynamics of every configured material."""
    input:
        lambda wildcards: sampled(sampler_of()),
