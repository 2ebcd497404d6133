"""The configuration kept, the ledger of claims and the report page.

INPUTS: tables, figures, records, conformance, run_config. OUTPUTS: results/run_config.yaml, claims.{json,txt}, report.
"""


localrules:
    run_config,
    claims,
    report_page,


rule run_config:
    """Keep the resolved configuration beside the results."""
    output:
        config=naming.RUN_CONFIG,
    log:
        "results/logs/run_config.log",
    benchmark:
        "results/benchmarks/run_config.tsv"
    conda:
        "../envs/driver.yaml"
    params:
        config=RUN,
    script:
        "../scripts/write_run_config.py"


rule claims:
    """Hold what the papers say against the published tables and against our runs."""
    input:
        claims="data/claims.yaml",
        published=published_files(),
        tables=all_tables(),
        code=package("claims", "metrics", "published", "tables"),
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
        published=published_files(),
        manifest="data/manifests/phonons.csv",
        code=package(
            "report",
            "plots",
            "phonon_plots",
            "phonon_run",
            "summary",
            "tables",
            "typeset",
            "records",
            "status",
        ),
    output:
        page=report(naming.REPORT, category="Report"),
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/build_report.py"
