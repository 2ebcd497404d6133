"""The run's configuration, and structures from elsewhere.

INPUTS: config.yaml, the Materials Project. OUTPUTS: results/run_config.yaml, fetched structures.
"""


localrules:
    run_config,
    materials_project,


rule materials_project:
    """Fetch one structure from the Materials Project (key in MP_API_KEY), in the format of data/prototypes."""
    output:
        structure="results/inputs/materials_project/{material}.yaml",
    log:
        "results/logs/materials_project/{material}.log",
    benchmark:
        "results/benchmarks/materials_project/{material}.tsv"
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/fetch_structure.py"


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
