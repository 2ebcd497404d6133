"""What has to stand before a model runs: its environment, its weights, the proof of its numbers.

INPUTS: envs/*.txt (pinned environments), data/models.yaml, data/conformance.
OUTPUTS: .venvs/<environment>.ok, fetched weights, results/conformance/<model>.json.
"""


localrules:
    environment,
    weights,
    fetch_weights,
    prove_models,


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
    """Fetch the weights that no package brings and the registry pins, of every model whose environment stands."""
    input:
        weights_to_fetch,


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
    wildcard_constraints:
        model="|".join(REGISTRY.models),
    conda:
        lambda wildcards: f"../envs/{REGISTRY.models[wildcards.model].environment}.yaml"
    params:
        python=python,
        entry=entry_digest,
        device=RUN["jobs"]["device"],
    shell:
        "{params.python} scripts/check_conformance.py {wildcards.model} {output.result} --device {params.device} 2>&1 | tee {log}"


rule prove_models:
    """Prove every model that can be proven here: its environment stands, its weights are there, its values are pinned."""
    input:
        provable,
