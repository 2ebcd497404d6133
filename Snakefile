"""Rebuild published benchmarks of universal interatomic potentials, each number beside the published one.

In: config.yaml, data/. Out: results/ (tables, figures, claims.json, report/index.html).
"""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


include: "rules/setup.smk"
include: "rules/structures.smk"
include: "rules/common.smk"
include: "rules/inputs.smk"
include: "rules/models.smk"
include: "rules/sources.smk"
include: "rules/resources.smk"
include: "rules/states.smk"
include: "rules/at_hand.smk"
include: "rules/references.smk"
include: "rules/jobs.smk"


for benchmark in RUN["benchmarks"]:

    include: f"rules/{benchmark}.smk"


include: "rules/sampling.smk"
include: "rules/dft.smk"
include: "rules/label_times.smk"
include: "rules/corrected.smk"
include: "rules/effective_temperature.smk"
include: "rules/asked.smk"
include: "rules/check_states.smk"
include: "rules/check.smk"
include: "rules/check_page.smk"
include: "rules/tuning.smk"
include: "rules/fine_tuning.smk"
include: "rules/tables.smk"
include: "rules/report.smk"
include: "rules/checks.smk"
include: "rules/archive.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        tables=all_tables(),
        figures=all_figures(),
        claims=naming.CLAIMS,
        report=naming.REPORT,
        checks=naming.CHECKS,
