"""The jobs that cost: one model on one chunk of materials, whatever the benchmark.

INPUTS: structure files, the model's environment and conformance.
OUTPUTS: results/<benchmark>/<model>/chunks/<chunk>.jsonl, merged to results/<benchmark>/<model>/records.jsonl.
"""


localrules:
    merge_records,


rule model_chunk:
    """Run {wildcards.model} on chunk {wildcards.chunk} of benchmark {wildcards.benchmark}; a killed job goes on where it was."""
    input:
        environment=environment_ok,
        weights=weights_ok,
        conformance="results/conformance/{model}.json",
        structures=chunk_structures,
    output:
        records="results/{benchmark}/{model}/chunks/{chunk}.jsonl",
    log:
        "results/logs/{benchmark}/{model}/{chunk}.log",
    benchmark:
        "results/benchmarks/{benchmark}/{model}/{chunk}.tsv"
    priority: chunk_priority
    conda:
        lambda wildcards: f"../envs/{MODELS[wildcards.model].environment}.yaml"
    threads: RUN["jobs"]["threads"]
    resources:
        mem_mb=chunk_memory_mb,
        runtime=chunk_minutes,
        attempt=lambda wildcards, attempt: attempt,
    params:
        python=python,
        job=chunk_job,
        entry=entry_digest,
        inputs=chunk_inputs,
        protocol=lambda wildcards: BENCHMARKS[wildcards.benchmark].PROTOCOL,
    shell:
        "{params.python} scripts/run_chunk.py {params.job:q} {output.records} --attempt {resources.attempt} 2>&1 | tee -a {log}"


rule material:
    """Run {wildcards.model} on one material by itself: of a benchmark's list, or your own in structures/."""
    input:
        environment=environment_ok,
        weights=weights_ok,
        conformance="results/conformance/{model}.json",
        structure=material_structure,
    output:
        record="results/{benchmark}/{model}/materials/{material}.json",
    log:
        "results/logs/{benchmark}/{model}/materials/{material}.log",
    benchmark:
        "results/benchmarks/{benchmark}/{model}/materials/{material}.tsv"
    conda:
        lambda wildcards: f"../envs/{MODELS[wildcards.model].environment}.yaml"
    threads: RUN["jobs"]["threads"]
    params:
        python=python,
        job=material_job,
        entry=entry_digest,
        protocol=lambda wildcards: BENCHMARKS[wildcards.benchmark].PROTOCOL,
    shell:
        "{params.python} scripts/run_chunk.py {params.job:q} {output.record} 2>&1 | tee -a {log}"


rule merge_records:
    """Bring the chunks of {wildcards.model} together; missing, extra or mixed records are refused by name."""
    input:
        chunks=chunks_of_model,
        code=package("records"),
    output:
        records="results/{benchmark}/{model}/records.jsonl",
    log:
        "results/logs/{benchmark}/{model}/merge.log",
    benchmark:
        "results/benchmarks/{benchmark}/{model}/merge.tsv"
    wildcard_constraints:
        model="|".join({*MODELS, *(r for found in REFERENCES.values() for r in found)}),
    conda:
        "../envs/driver.yaml"
    params:
        materials=lambda wildcards: MATERIALS[wildcards.benchmark],
    script:
        "../scripts/merge_records.py"
