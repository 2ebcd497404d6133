"""Surface energies (Deng et al. 2025, Fig. 2a and Supplementary Table I).

INPUTS: merged records of each model, the published table, the manifest of its rows.
OUTPUTS: results/tables/deng2025_s1_*.{csv,md,tex}, results/figures/deng2025_fig2a*.{pdf,png}.
"""


localrules:
    surfaces_tables,
    surfaces_figures,


rule surfaces_tables:
    """Score every model's surface energies beside the published and the DFT ones."""
    input:
        records=lambda wildcards: to_score("surfaces"),
        published="data/published/deng2025_s1_surfaces.csv",
        manifest="data/manifests/deng2025_s1.csv",
        explanations="data/explanations.csv",
        code=package(
            "benchmarks/surfaces", "metrics", "tables", "typeset", "summary", "records"
        ),
    output:
        surfaces=report(
            naming.table("deng2025_s1_surfaces"),
            category="Tables",
            labels={"table": "Deng 2025, S-Table I"},
        ),
        metrics=report(
            naming.table("deng2025_s1_metrics"),
            category="Tables",
            labels={"table": "Deng 2025, S-Table I, errors"},
        ),
        terminations=naming.table("deng2025_s1_terminations"),
        markdown=naming.table("deng2025_s1_surfaces", "md"),
        latex=naming.table("deng2025_s1_surfaces", "tex"),
    log:
        "results/logs/surfaces/tables.log",
    benchmark:
        "results/benchmarks/surfaces/tables.tsv"
    conda:
        "../envs/driver.yaml"
    params:
        benchmark="surfaces",
        levels=levels("surfaces"),
        seed=RUN["seed"],
        at_hand=lambda wildcards: jobs_at_hand("surfaces"),
    script:
        "../scripts/benchmark_tables.py"


rule surfaces_figures:
    """Draw Fig. 2a (parity with DFT), and how far our values are from the published ones."""
    input:
        surfaces=naming.table("deng2025_s1_surfaces"),
        published="data/published/deng2025_s1_surfaces.csv",
        code=package("plots", "summary"),
    output:
        parity=multiext("results/figures/deng2025_fig2a", ".pdf", ".png"),
        reproduction=multiext(
            "results/figures/deng2025_fig2a_reproduction", ".pdf", ".png"
        ),
    log:
        "results/logs/surfaces/figures.log",
    benchmark:
        "results/benchmarks/surfaces/figures.tsv"
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/surfaces_figures.py"
