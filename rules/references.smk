"""References: forces that a database has on file, run through the same code as the models' (``reference: fetched``).

INPUTS: the database's archives, from a mirror or the network. OUTPUTS: results/<benchmark>/<reference>/chunks/<chunk>.jsonl,
merged like a model's.
"""


localrules:
    archives,
    fetch_inputs,


rule archives:
    """Fetch and verify the archives of part {wildcards.part} of benchmark {wildcards.benchmark}."""
    output:
        listing="results/inputs/{benchmark}/{part}.json",
    log:
        "results/logs/archives/{benchmark}/{part}.log",
    benchmark:
        "results/benchmarks/archives/{benchmark}/{part}.tsv"
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
        structures=chunk_structures,
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
        job=chunk_job,
        inputs=chunk_inputs,
        protocol=lambda wildcards: BENCHMARKS[wildcards.benchmark].PROTOCOL,
    shell:
        "OMP_NUM_THREADS=1 {params.python} scripts/run_chunk.py --on-file {params.job:q} {output.records} 2>&1 | tee -a {log}"
