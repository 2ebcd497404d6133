"""States of a user's own material, where no labels are given: sampled, and labelled where DFT is asked for.

INPUTS: results/check/<name>/inputs. OUTPUTS: results/check/<name>/frames/<kind>.extxyz; kind: gpaw, vasp, none.
"""


localrules:
    check_frames,


rule check_states:
    """Sample the user's {wildcards.name}: rattled cells, or a short hot trajectory with {wildcards.model}."""
    input:
        ready=sampler_ready,
        structure="results/check/{name}/inputs/structure.extxyz",
    output:
        records="results/check/{name}/states/{model}/chunks/frames.jsonl",
    log:
        "results/logs/check/{name}/states-{model}.log",
    benchmark:
        "results/benchmarks/check/{name}/states-{model}.tsv"
    wildcard_constraints:
        name=NAMES,
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
        job=check_sampling_job,
        entry=sampler_entry,
        protocol=benchmark_module("sampling").PROTOCOL,
    shell:
        "{params.python} scripts/run_chunk.py {params.on_file} {params.job:q} {output.records} 2>&1 | tee -a {log}"


rule check_label:
    """Label the states of the user's {wildcards.name} with {wildcards.code}; a killed job goes on at the next frame."""
    input:
        environment=code_ok,
        sampled="results/check/{name}/states/{sampler}/chunks/frames.jsonl",
    output:
        records="results/check/{name}/{code}/chunks/{sampler}.jsonl",
        frames="results/check/{name}/{code}/{sampler}.extxyz",
    log:
        "results/logs/check/{name}/{code}-{sampler}.log",
    benchmark:
        "results/benchmarks/check/{name}/{code}-{sampler}.tsv"
    wildcard_constraints:
        name=NAMES,
        sampler="|".join([*MODELS, RATTLED]),
        code="gpaw|vasp",
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


rule check_frames:
    """Bring the states of the user's {wildcards.name} together: with their labels, or as they were sampled."""
    input:
        sampled=check_sampled,
        labelled=lambda wildcards: (
            check_labelled(wildcards) if wildcards.kind != "none" else []
        ),
        code=package("check/states"),
    output:
        frames="results/check/{name}/frames/{kind}.extxyz",
    log:
        "results/logs/check/{name}/frames-{kind}.log",
    benchmark:
        "results/benchmarks/check/{name}/frames-{kind}.tsv"
    wildcard_constraints:
        name=NAMES,
        kind="gpaw|vasp|none",
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/gather_states.py"
