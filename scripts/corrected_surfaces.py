"""Correct the surface energies with one label of each bulk: S-Fig. 5 of Deng et al. (2025)."""

from pathlib import Path

import pandas as pd

from pesbench.benchmarks.high_energy import MANIFEST, read_manifest
from pesbench.benchmarks.high_energy.score import read_runs
from pesbench.corrected_plots import corrected_figure
from pesbench.corrected_surfaces import OWN, corrected_table, metrics_table, per_material
from pesbench.engine.predictions import read_predictions
from pesbench.files import write_atomic
from pesbench.logs import logged
from pesbench.plots import save
from pesbench.records import read_records
from pesbench.tables import tidy_csv

with logged(snakemake.log[0]):
    paths = zip(snakemake.params.models, snakemake.input.records, strict=True)
    runs = read_runs({model: read_records(Path(path)) for model, path in paths}, Path(MANIFEST))
    collections = {line["set"]: line["collection"] for line in read_manifest(Path(MANIFEST))}
    labels = []
    for run in runs:
        materials = set(run.predictions.materials) if run.predictions else ()
        if len(materials) == 1:  # a set of many materials says their formulas, not their structures
            source = dict.fromkeys(map(str, materials), run.set)
            labels += per_material(run.model, run.predictions, collections.get(run.set, run.set), source)
    for model, path in zip(snakemake.params.models, snakemake.input.answers, strict=True):
        labels += per_material(model, read_predictions(Path(path)), OWN, snakemake.params.sources)
    frame = corrected_table(pd.read_csv(snakemake.input.surfaces), labels, snakemake.params.seed)
    metrics = metrics_table(frame, labels, snakemake.params.seed)
    write_atomic(Path(snakemake.output.table), tidy_csv(frame))
    write_atomic(Path(snakemake.output.metrics), tidy_csv(metrics))
    save(corrected_figure(frame, metrics), *map(Path, snakemake.output.figure))
