"""Tabulate what hot states and their labels cost."""

from pathlib import Path

from pesbench.files import write_atomic
from pesbench.label_times import times_table
from pesbench.logs import logged
from pesbench.records import read_records
from pesbench.tables import tidy_csv

with logged(snakemake.log[0]):
    pairs = zip(snakemake.input.sampled, snakemake.input.labelled, strict=True)
    found = [(read_records(Path(sampled)), read_records(Path(labels))) for sampled, labels in pairs]
    write_atomic(Path(snakemake.output.table), tidy_csv(times_table(found)))
