"""What has to be there before a model runs.

INPUTS: envs/*.txt (pinned environments), data/models.yaml, data/conformance.
OUTPUTS: .venvs/<environment>.ok, fetched weights, results/conformance/<model>.json, results/run_config.yaml, fetched structures.
"""


localrules:
    environment,
    weights,
    fetch_weights,
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


rule weights:
    """Fetch the weights of {wildcards.model} from their publisher or a mirror, and verify them; a broken transfer goes on."""
    output:
        listing="results/inputs/weights/{model}.sha256",
    log:
        "results/logs/weights/{model}.log",
    benchmark:
        "results/benchmarks/weights/{model}.tsv"
    wildcard_constraints:
        model="|".join(REGISTRY.models),
    conda:
        "../envs/driver.yaml"
    params:
        checkpoint=lambda wildcards: asdict(REGISTRY.get(wildcards.model).checkpoint),
    script:
        "../scripts/fetch_weights.py"


rule fetch_weights:
    """Fetch the weights that no package brings, of every model whose environment stands."""
    input:
        [
            naming.weights(name)
            for name, entry in REGISTRY.models.items()
            if entry.checkpoint.where == "fetched"
            and Path(f".venvs/{entry.environment}.ok").exists()
        ],


rule conformance:
    """Prove that {wildcards.model} gives, in the environment at hand, the numbers that its registry entry pins."""
    input:
        environment=environment_ok,
        weights=weights_ok,
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
