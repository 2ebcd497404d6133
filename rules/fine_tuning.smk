"""Fine-tuning (Deng et al. 2025, Fig. 6, S-Figs. 3 and 4; Focassio et al. 2024, Table I, Figs. S6 and S7).

INPUTS: sets of labelled frames, the published model's answers on them, the environment that trains.
OUTPUTS: results/fine_tuning/<model>/chunks/<part>-<labels>-<set>-<seed>.jsonl (records), .../files (tuned models and
their answers), results/tables/fine_tuning*.csv, results/figures/{fine_tuning_*,deng2025_sfig3,4,focassio2024_s6,7}.
"""


localrules:
    fine_tuning_tables,
    fine_tuning_figures,
    fine_tuning,


rule fine_tune:
    """Train {wildcards.part} of {wildcards.model} on {wildcards.n} labels of {wildcards.set} (seed {wildcards.seed}); a killed job goes on at its last epoch."""
    input:
        ready=training_ready,
        labels=lambda wildcards: structure_file("high_energy", wildcards.set),
        published=published_answers,
    output:
        records="results/fine_tuning/{model}/chunks/{part}-{n}-{set}-{seed}.jsonl",
    log:
        "results/logs/fine_tuning/{model}/{part}-{n}-{set}-{seed}.log",
    benchmark:
        "results/benchmarks/fine_tuning/{model}/{part}-{n}-{set}-{seed}.tsv"
    wildcard_constraints:
        model="|".join([*TUNED, "none"]),
        part="|".join(benchmark_module("fine_tuning").PARTS),
        n=r"\d+",
        seed=r"\d+",
        set="[A-Za-z0-9_.-]+",
    conda:
        lambda wildcards: f"../envs/{TRAINED_IN[wildcards.model]}.yaml"
    threads: RUN["jobs"]["threads"]
    resources:
        mem_mb=lambda wildcards, attempt: RUN["jobs"]["mem_mb"] * attempt,
        runtime=lambda wildcards, attempt: RUN["jobs"]["runtime_min"] * attempt,
    params:
        python=training_python,
        job=tuning_job,
        task=tuning_task,
        entry=entry_digest,
        protocol=benchmark_module("fine_tuning").PROTOCOL,
    shell:
        "{params.python} scripts/fine_tune.py {params.job:q} {params.task:q} {output.records} 2>&1 | tee -a {log}"


rule fine_tuning_tables:
    """Compare published, corrected and fine-tuned models on the frames that none of them has seen."""
    input:
        records=tuning_records,
        published="data/published/focassio2024_t1_rmse.csv",
        code=package(
            "benchmarks/fine_tuning",
            "correction",
            "engine/predictions",
            "metrics",
            "records",
            "softening",
            "tables",
        ),
    output:
        tables=[naming.table(name) for name in benchmark_module("fine_tuning").TABLES],
        printed=[
            naming.table("fine_tuning", "md"),
            naming.table("fine_tuning", "tex"),
        ],
    log:
        "results/logs/fine_tuning/tables.log",
    benchmark:
        "results/benchmarks/fine_tuning/tables.tsv"
    conda:
        "../envs/driver.yaml"
    params:
        levels={name: entry.level_of_theory for name, entry in TUNED.items()},
        seed=RUN["seed"],
    script:
        "../scripts/fine_tuning_tables.py"


rule fine_tuning_figures:
    """Draw learning curves, parity of fine-tuned models (S-Figs. 3, 4), and error and cost against labels (S6, S7)."""
    input:
        tables=[naming.table(name) for name in benchmark_module("fine_tuning").TABLES],
        records=tuning_records,
        code=package("fine_tuning_plots", "plots", "softening"),
    output:
        figures=[
            naming.figure(name, suffix)
            for name in benchmark_module("fine_tuning").FIGURES
            for suffix in ("pdf", "png")
        ],
    log:
        "results/logs/fine_tuning/figures.log",
    benchmark:
        "results/benchmarks/fine_tuning/figures.tsv"
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/fine_tuning_figures.py"


rule fine_tuning:
    """Fine-tune every configured model on every set asked for, and compare."""
    input:
        tables=rules.fine_tuning_tables.output.tables,
        figures=rules.fine_tuning_figures.output.figures,
