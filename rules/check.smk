"""How far a model can be trusted on a user's own material: answers, verdicts, corrections to load.

INPUTS: results/check/<name>/inputs, which make check wrote; frames with labels, or without.
OUTPUTS: results/check/<name>/answers/<model>, score/*.csv, corrected/<model>.{json,py}, proofs/<model>.json.
"""


localrules:
    check_score,


rule check_model:
    """Ask {wildcards.model} for its forces on every frame of the user's {wildcards.name}."""
    input:
        environment=environment_ok,
        weights=weights_ok,
        conformance="results/conformance/{model}.json",
        frames=lambda wildcards: check_frames_of(wildcards.name, wildcards.kind),
    output:
        records="results/check/{name}/answers/{model}/chunks/{kind}.jsonl",
    log:
        "results/logs/check/{name}/{model}-{kind}.log",
    benchmark:
        "results/benchmarks/check/{name}/{model}-{kind}.tsv"
    wildcard_constraints:
        name=NAMES,
        kind="labels|gpaw|vasp|none",
    conda:
        lambda wildcards: f"../envs/{MODELS[wildcards.model].environment}.yaml"
    threads: RUN["jobs"]["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: RUN["jobs"]["mem_mb"] * attempt,
        runtime=lambda wildcards, attempt: RUN["jobs"]["runtime_min"] * attempt,
    params:
        python=python,
        job=check_job,
        entry=entry_digest,
        protocol=[
            benchmark_module(name).PROTOCOL for name in ("high_energy", "unlabelled")
        ],
    shell:
        "{params.python} scripts/run_chunk.py {params.job:q} {output.records} 2>&1 | tee -a {log}"


rule check_score:
    """Judge every model on the labelled frames of the user's {wildcards.name}, and fit the corrections."""
    input:
        request="results/check/{name}/inputs/request.json",
        frames=lambda wildcards: check_frames_of(
            wildcards.name, asked(wildcards.name)["mode"]
        ),
        answers=check_answers,
        records=check_made,
        code=package(
            "benchmarks/high_energy", "check", "correction", "labels", "softening"
        ),
    output:
        tables=[
            f"results/check/{{name}}/score/{table}.csv"
            for table in ("softening", "correction", "doubtful_labels")
        ],
        result="results/check/{name}/score/result.json",
        corrected=directory("results/check/{name}/corrected"),
    log:
        "results/logs/check/{name}/score.log",
    benchmark:
        "results/benchmarks/check/{name}/score.tsv"
    wildcard_constraints:
        name=NAMES,
    conda:
        "../envs/driver.yaml"
    params:
        seed=RUN["seed"],
    script:
        "../scripts/score_check.py"


rule check_proof:
    """Run the very lines of Python that load {wildcards.model}'s correction, in its environment, on the user's structure."""
    input:
        environment=environment_ok,
        corrected="results/check/{name}/corrected",
        structure="results/check/{name}/inputs/structure.extxyz",
    output:
        proof="results/check/{name}/proofs/{model}.json",
    log:
        "results/logs/check/{name}/proof-{model}.log",
    benchmark:
        "results/benchmarks/check/{name}/proof-{model}.tsv"
    wildcard_constraints:
        name=NAMES,
    conda:
        lambda wildcards: f"../envs/{MODELS[wildcards.model].environment}.yaml"
    params:
        python=python,
    shell:
        "{params.python} scripts/prove_correction.py {input.corrected}/{wildcards.model}.py {input.structure} "
        "{output.proof} 2>&1 | tee {log}"
