"""The archive of a finished run, ready to be deposited under a DOI.

INPUTS: tables, figures, ledger, records, conformance, run_config. OUTPUTS: results/archive/pesbench.tar.gz, whose bytes depend
on these alone (`make verify ARCHIVE=...` rebuilds tables and figures from it).
"""


localrules:
    archive,


rule archive:
    """Bring tables, figures, records, configuration, environments and code together, with checksums."""
    input:
        tables=all_tables(),
        figures=all_figures(),
        claims=[naming.CLAIMS, naming.LEDGER],
        checks=naming.CHECKS,
        run_config=naming.RUN_CONFIG,
        records=[path for benchmark in BENCHMARKS for path in merged(benchmark)],
        conformance=[naming.conformance(model) for model in MODELS],
        code=package("bundle"),
    output:
        archive=naming.ARCHIVE,
    log:
        "results/logs/archive.log",
    benchmark:
        "results/benchmarks/archive.tsv"
    conda:
        "../envs/driver.yaml"
    params:
        locks=[
            f".venvs/{name}.ok"
            for name in sorted(
                {"driver", *(entry.environment for entry in MODELS.values())}
            )
        ],
    script:
        "../scripts/write_archive.py"
