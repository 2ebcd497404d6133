"""References: forces that a database has on file, run through the same code as the models' (``reference`` in config.yaml).

INPUTS: the database's archives, from a mirror or the network. OUTPUTS: results/<benchmark>/<reference>/chunks/<chunk>.jsonl,
merged like a model's.
"""


localrules:
    archives,
    fetch_inputs,


rule archives:
    """Fetch and verify what {wildcards.source} has of part {wildcards.part} of benchmark {wildcards.benchmark}."""
    output:
        listing="results/inputs/{benchmark}/{source}/{part}.json",
    log:
        "results/logs/archives/{benchmark}/{source}/{part}.log",
    benchmark:
        "results/benchmarks/archives/{benchmark}/{source}/{part}.tsv"
    wildcard_constraints:
        source="|".join(naming.REFERENCE_FILES),
    conda:
        "../envs/driver.yaml"
    params:
        materials=fetched_part,
    script:
        "../scripts/fetch_archives.py"


rule fetch_inputs:
    """Fetch everything that the jobs read, on a machine that has a network."""
    input:
        all_fetched(),


rule reference_chunk:
    """Evaluate the forces that {wildcards.reference} has on file for chunk {wildcards.chunk}."""
    input:
        listing=on_file,
    output:
        records="results/{benchmark}/{reference}/chunks/{chunk}.jsonl",
    log:
        "results/logs/{benchmark}/{reference}/{chunk}.log",
    benchmark:
        "results/benchmarks/{benchmark}/{reference}/{chunk}.tsv"
    priority: chunk_priority
    conda:
        "../envs/driver.yaml"
    threads: 1
    resources:
        mem_mb=chunk_memory_mb,
        runtime=chunk_minutes,
    params:
        python=sys.executable,
        job=reference_job,
        inputs=chunk_inputs,
        protocol=lambda wildcards: BENCHMARKS[wildcards.benchmark].PROTOCOL,
    shell:
        "OMP_NUM_THREADS=1 {params.python} scripts/run_chunk.py --on-file {params.job:q} {output.records} 2>&1 | tee -a {log}"
