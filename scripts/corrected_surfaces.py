"""Correct the surface energies with one label of each bulk: S-Fig. 5 of Deng et al. (2025)."""

from pathlib import Path

import pandas as pd

from pesbench.benchmarks.high_energy import MANIFEST
from pesbench.benchmarks.high_energy.score import read_runs
from pesbench.corrected_surfaces import corrected_figure, corrected_table, labels_by_formula
from pesbench.files import write_atomic
from pesbench.logs import logged
from pesbench.plots import save
from pesbench.records import read_records
from pesbench.tables import tidy_csv

with logged(snakemake.log[0]):
    paths = zip(snakemake.params.models, snakemake.input.records, strict=True)
    runs = read_runs({model: read_records(Path(path)) for model, path in paths}, Path(MANIFEST))
    labels = labels_by_formula((run.model, run.predictions) for run in runs if run.predictions is not None)
    frame = corrected_table(pd.read_csv(snakemake.input.surfaces), labels)
    write_atomic(Path(snakemake.output.table), tidy_csv(frame))
    save(corrected_figure(frame, snakemake.params.seed), *map(Path, snakemake.output.figure))
