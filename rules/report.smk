"""The ledger of claims and the report page.

INPUTS: tables, figures, records, conformance, run_config. OUTPUTS: results/claims.{json,txt}, results/report/index.html.
"""


localrules:
    claims,
    report_page,


rule claims:
    """Hold what the papers say against the published tables and against our runs."""
    input:
        claims="data/claims.yaml",
        published=expand(
            "data/published/{name}.csv",
            name=[
                "deng2025_s1_surfaces",
                "deng2025_s2_defects",
                "deng2025_s3_phonons",
            ],
        ),
        surfaces=naming.table("deng2025_s1_surfaces"),
        code=package("claims", "metrics"),
    output:
        json=report(naming.CLAIMS, category="Ledger"),
        text=report(naming.LEDGER, category="Ledger"),
    log:
        "results/logs/claims.log",
    benchmark:
        "results/benchmarks/claims.tsv"
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/evaluate_claims.py"


rule report_page:
    """Bring everything together in one page that needs no network."""
    input:
        tables=all_tables(),
        figures=all_figures(),
        records=[path for benchmark in BENCHMARKS for path in merged(benchmark)],
        conformance=[naming.conformance(model) for model in MODELS],
        claims=naming.CLAIMS,
        run_config=naming.RUN_CONFIG,
        published="data/published/deng2025_s1_surfaces.csv",
        code=package("report"),
    output:
        page=report(naming.REPORT, category="Report"),
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        "../envs/driver.yaml"
    params:
        models=list(MODELS),
    script:
        "../scripts/build_report.py"
