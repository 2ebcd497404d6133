"""High-energy states (Deng et al. 2025, Figs. 5 and 6, S-Figs. 2, 6, 7; MatterSim-MT, Table S3).

INPUTS: merged records of each model and the predictions kept beside them, the published tables, the list of sets.
OUTPUTS: results/tables/{high_energy_*,mattersim_mt_s3}.csv, results/figures/{deng2025_*,high_energy_*}.
"""


localrules:
    high_energy_tables,
    high_energy_figures,


rule high_energy_tables:
    """Score every model's forces on every set: softening scale, corrections from few labels, errors, doubtful labels."""
    input:
        records=lambda wildcards: to_score("high_energy"),
        published="data/published/mattersim_mt_s3_pes.csv",
        manifest="data/manifests/high_energy.csv",
        code=package(
            "benchmarks/high_energy",
            "correction",
            "engine/predictions",
            "high_energy_layout",
            "labels",
            "metrics",
            "records",
            "softening",
            "tables",
        ),
    output:
        tables=report(
            [naming.table(name) for name in BENCHMARKS["high_energy"].TABLES],
            category="Tables",
            labels={"table": "High-energy states"},
        ),
        printed=[
            naming.table(name, suffix)
            for name in ("high_energy_softening", "mattersim_mt_s3")
            for suffix in ("md", "tex")
        ],
    log:
        "results/logs/high_energy/tables.log",
    benchmark:
        "results/benchmarks/high_energy/tables.tsv"
    conda:
        "../envs/driver.yaml"
    params:
        benchmark="high_energy",
        levels=levels("high_energy"),
        seed=RUN["seed"],
        at_hand=lambda wildcards: jobs_at_hand("high_energy"),
    script:
        "../scripts/benchmark_tables.py"


rule high_energy_figures:
    """Draw Figs. 5 and 6 of Deng et al., their extensions in the supplement, and error against number of labels."""
    input:
        tables=[naming.table(name) for name in BENCHMARKS["high_energy"].TABLES],
        records=merged("high_energy"),
        code=package("high_energy_plots", "engine/predictions", "plots", "softening"),
    output:
        figures=[
            naming.figure(name, suffix)
            for name in BENCHMARKS["high_energy"].FIGURES
            for suffix in ("pdf", "png")
        ],
    log:
        "results/logs/high_energy/figures.log",
    benchmark:
        "results/benchmarks/high_energy/figures.tsv"
    conda:
        "../envs/driver.yaml"
    params:
        levels=levels("high_energy"),
        seed=RUN["seed"],
    script:
        "../scripts/high_energy_figures.py"
