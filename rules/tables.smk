"""Supplementary tables that need no model.

INPUTS: data/published, and for the supplement whatever journals there are. OUTPUTS: results/tables.
"""


localrules:
    published_table,
    supplement,


rule published_table:
    """Set a published table in the paper's layout; no model of ours is in it yet."""
    input:
        published="data/published/{table}.csv",
        code=package("tables", "typeset", "summary"),
    output:
        csv="results/tables/{table}.csv",
        markdown="results/tables/{table}.md",
        latex="results/tables/{table}.tex",
    log:
        "results/logs/tables/{table}.log",
    benchmark:
        "results/benchmarks/tables/{table}.tsv"
    wildcard_constraints:
        table="|".join(PUBLISHED_TABLES),
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/published_table.py"


rule supplement:
    """Write every supplementary table from what is at hand now; no model is asked."""
    input:
        tables=all_tables(),
