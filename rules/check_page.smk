"""The page of a check: with labels, or without.

INPUTS: results/check/<name>/score, answers. OUTPUTS: results/check/<name>/{index.html,report.md,check.json}, figures,
and without labels to_label/ (frames that are worth a label, VASP's decks, a script for GPAW).
"""

# Slopes by element of the labelled sets that were run here; the user's own run of them comes first.
SLOPES = "data/slopes_by_element.csv"


localrules:
    check_compare,
    check_report,
    check,


rule check_compare:
    """Compare the models with each other on states of the user's {wildcards.name} that have no labels; choose some to label."""
    input:
        request="results/check/{name}/inputs/request.json",
        frames="results/check/{name}/frames/none.extxyz",
        answers=check_answers,
        slopes=SLOPES,
        code=package("check"),
    output:
        result="results/check/{name}/unlabelled/result.json",
        table="results/check/{name}/unlabelled/models.csv",
        to_label=directory("results/check/{name}/to_label"),
    log:
        "results/logs/check/{name}/compare.log",
    benchmark:
        "results/benchmarks/check/{name}/compare.tsv"
    wildcard_constraints:
        name=NAMES,
    conda:
        "../envs/driver.yaml"
    params:
        settings=RUN["dft"],
        known=lambda wildcards: [
            path
            for path in (naming.table("high_energy_softening"), SLOPES)
            if Path(path).is_file()
        ],
    script:
        "../scripts/compare_models.py"


rule check_report:
    """Write the page of the user's {wildcards.name}, and the same as Markdown and JSON."""
    input:
        request="results/check/{name}/inputs/request.json",
        result=check_result,
        answers=check_answers,
        proofs=check_proofs,
        code=package("check", "high_energy_plots", "plots", "report"),
    output:
        page="results/check/{name}/index.html",
        text="results/check/{name}/report.md",
        data="results/check/{name}/check.json",
        figures=directory("results/check/{name}/figures"),
    log:
        "results/logs/check/{name}/report.log",
    benchmark:
        "results/benchmarks/check/{name}/report.tsv"
    wildcard_constraints:
        name=NAMES,
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/report_check.py"


rule check:
    """The page of the check that make check asked for."""
    input:
        lambda wildcards: check_page(),
