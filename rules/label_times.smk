"""What hot states and their labels cost.

INPUTS: records of the sampling and of the labels. OUTPUTS: results/labels/<code>/<sampler>/times.csv.
"""


localrules:
    label_times,


rule label_times:
    """Seconds of the dynamics and of the labels of every material, and the mesh and electronic steps these took."""
    input:
        sampled=lambda wildcards: sampled(wildcards.sampler),
        labelled=label_records,
        code=package("label_times", "records"),
    output:
        table="results/labels/{code}/{sampler}/times.csv",
    log:
        "results/logs/labels/{code}/{sampler}-times.log",
    benchmark:
        "results/benchmarks/labels/{code}/{sampler}-times.tsv"
    wildcard_constraints:
        sampler="|".join([*MODELS, RATTLED]),
        code="gpaw|vasp",
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/label_times.py"
