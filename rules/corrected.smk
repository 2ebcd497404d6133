"""One label a material, and its surface energies corrected with it (Deng et al. 2025, S-Fig. 5).

INPUTS: the table of surface energies, answers on the public sets, labels of hot snapshots (own, or data/labels).
OUTPUTS: results/labels/answers/<model>.npz, results/tables/deng2025_sfig5_*.csv, results/figures/deng2025_sfig5.{pdf,png}.
"""


localrules:
    corrected_surfaces,


rule label_answers:
    """Forces of {wildcards.model} on the labelled hot snapshots that are at hand: our own jobs', else the shipped ones."""
    input:
        environment=environment_ok,
        weights=weights_ok,
        conformance="results/conformance/{model}.json",
        code=package("label_answers", "engine/predictions"),
    output:
        answers=naming.label_answers("{model}"),
    log:
        "results/logs/labels/answers-{model}.log",
    benchmark:
        "results/benchmarks/labels/answers-{model}.tsv"
    conda:
        lambda wildcards: f"../envs/{MODELS[wildcards.model].environment}.yaml"
    params:
        python=python,
        entry=entry_digest,
        files=lambda wildcards: list(bulk_labels().values()),
        labels=bulk_label_digests,
    shell:
        "{params.python} scripts/label_answers.py {wildcards.model} {output.answers} {params.files} 2>&1 | tee {log}"


rule corrected_surfaces:
    """Correct the surface energies with one label of each bulk (S-Fig. 5); made when asked for by name."""
    input:
        surfaces=naming.table("deng2025_s1_surfaces"),
        records=lambda wildcards: merged("high_energy"),
        answers=[naming.label_answers(model) for model in MODELS],
        code=package(
            "corrected_surfaces",
            "corrected_plots",
            "correction",
            "engine/predictions",
            "metrics",
            "plots",
        ),
    output:
        table=naming.table("deng2025_sfig5_surfaces"),
        metrics=naming.table("deng2025_sfig5_metrics"),
        figure=multiext("results/figures/deng2025_sfig5", ".pdf", ".png"),
    log:
        "results/logs/high_energy/corrected_surfaces.log",
    benchmark:
        "results/benchmarks/high_energy/corrected_surfaces.tsv"
    conda:
        "../envs/driver.yaml"
    params:
        models=list(MODELS),
        sources=lambda wildcards: bulk_labels(),
        seed=RUN["seed"],
    script:
        "../scripts/corrected_surfaces.py"
