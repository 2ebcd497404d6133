"""Compare published, corrected and fine-tuned models, from the records of every run."""

from pathlib import Path

from pesbench.config import benchmark_module
from pesbench.logs import logged
from pesbench.records import read_records
from pesbench.tables import write_tables

with logged(snakemake.log[0]):
    levels = snakemake.params.levels
    records = {model: [] for model in levels}
    for path in map(Path, snakemake.input.records):
        for record in read_records(path):
            records[record.model].append(record)
    frames = benchmark_module("fine_tuning").tables(records, levels, snakemake.params.seed)
    write_tables(frames, Path(snakemake.output[0]).parent)
