"""Phonons (Deng et al. 2025, Fig. 4 and Supplementary Table III; Loew et al. 2024; MatterSim-MT, Table S4).

INPUTS: merged records of each model and each reference, the published tables, the manifest of the materials.
OUTPUTS: results/tables/{deng2025_s3_*,phonons_*,loew2024_*,mattersim_mt_s4}.csv, results/figures/{deng2025_fig4*,loew2024_*}.
"""


localrules:
    phonons_tables,
    phonons_figures,


rule phonons_tables:
    """Score every model's phonons beside the published ones and the reference's."""
    input:
        records=lambda wildcards: to_score("phonons"),
        published=published_files(),
        manifest="data/manifests/phonons.csv",
        explanations="data/explanations.csv",
        registry="data/models.yaml",
        code=package(
            "benchmarks/phonons", "metrics", "tables", "typeset", "summary", "records"
        ),
    output:
        tables=report(
            [naming.table(name) for name in BENCHMARKS["phonons"].TABLES],
            category="Tables",
            labels={"table": "Phonons"},
        ),
        markdown=naming.table("deng2025_s3_phonons", "md"),
        latex=naming.table("deng2025_s3_phonons", "tex"),
    log:
        "results/logs/phonons/tables.log",
    benchmark:
        "results/benchmarks/phonons/tables.tsv"
    conda:
        "../envs/driver.yaml"
    params:
        benchmark="phonons",
        levels=levels("phonons"),
        seed=RUN["seed"],
        at_hand=lambda wildcards: jobs_at_hand("phonons"),
    script:
        "../scripts/benchmark_tables.py"


rule phonons_figures:
    """Draw Fig. 4 of Deng et al. and Figs. 1-5 of Loew et al."""
    input:
        tables=[naming.table(name) for name in BENCHMARKS["phonons"].TABLES],
        records=merged("phonons"),
        published=published_files(),
        manifest="data/manifests/phonons.csv",
        code=package(
            "plots",
            "phonon_plots",
            "loew_plots",
            "phonon_run",
            "published",
            "summary",
            "typeset",
        ),
    output:
        figures=[
            naming.figure(name, suffix)
            for name in BENCHMARKS["phonons"].FIGURES
            for suffix in ("pdf", "png")
        ],
    log:
        "results/logs/phonons/figures.log",
    benchmark:
        "results/benchmarks/phonons/figures.tsv"
    conda:
        "../envs/driver.yaml"
    params:
        levels=levels("phonons"),
    script:
        "../scripts/phonons_figures.py"
