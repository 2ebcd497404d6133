"""What has to be there before a model runs.

INPUTS: envs/*.txt (pinned environments), data/models.yaml, data/conformance.
OUTPUTS: .venvs/<environment>.ok, results/conformance/<model>.json, results/run_config.yaml, fetched structures.
"""


localrules:
    environment,
    run_config,
    materials_project,


rule environment:
    """Build one software family's environment from its pinned requirements ({wildcards.environment})."""
    input:
        pins="envs/{environment}.txt",
    output:
        ok=".venvs/{environment}.ok",
    log:
        "results/logs/environment/{environment}.log",
    benchmark:
        "results/benchmarks/environment/{environment}.tsv"
    wildcard_constraints:
        environment="(?!driver)[a-z0-9-]+",
    conda:
        "../envs/driver.yaml"
    params:
        python=sys.executable,
        folder=".venvs/{environment}",
    shell:
        "{params.python} scripts/build_environment.py {wildcards.environment} {params.folder} {output.ok} 2>&1 | tee {log}"


rule conformance:
    """Prove that {wildcards.model} gives, in the environment at hand, the numbers that its registry entry pins."""
    input:
        environment=environment_ok,
        structures="data/conformance/structures.json",
    output:
        result="results/conformance/{model}.json",
    log:
        "results/logs/conformance/{model}.log",
    benchmark:
        "results/benchmarks/conformance/{model}.tsv"
    conda:
        lambda wildcards: f"../envs/{MODELS[wildcards.model].environment}.yaml"
    params:
        python=python,
        entry=entry_digest,
    shell:
        "{params.python} scripts/check_conformance.py {wildcards.model} {output.result} 2>&1 | tee {log}"


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
