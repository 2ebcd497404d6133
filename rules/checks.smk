"""Tests on the results themselves, as the last rule.

INPUTS: tables, claims. OUTPUTS: results/checks.txt (what was checked; the rule fails where a check fails).
"""


localrules:
    checks,


rule checks:
    """Check the results: units, coverage, ranges, and that every table agrees with its records."""
    input:
        tables=all_tables(),
        claims=naming.CLAIMS,
        records=[path for benchmark in BENCHMARKS for path in merged(benchmark)],
        run_config=naming.RUN_CONFIG,
        tests=[
            f"tests/results/test_{name}results.py"
            for name in ("", "phonon_", "high_energy_")
        ],
    output:
        checks=naming.CHECKS,
    log:
        "results/logs/checks.log",
    benchmark:
        "results/benchmarks/checks.tsv"
    conda:
        "../envs/driver.yaml"
    params:
        python=sys.executable,
    shell:
        "{params.python} -m pytest {input.tests} -p no:cacheprovider -v > {log} 2>&1 && cp {log} {output.checks} "
        "|| (cat {log} >&2; exit 1)"
