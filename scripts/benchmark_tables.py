"""Score one benchmark and write its tables."""

from pathlib import Path

from pesbench.config import benchmark_module
from pesbench.logs import logged
from pesbench.records import read_records
from pesbench.tables import write_tables

with logged(snakemake.log[0]):
    levels, files = snakemake.params.levels, map(Path, snakemake.input.records)
    records = {model: read_records(path) for model, path in zip(levels, files, strict=True)}
    frames = benchmark_module(snakemake.params.benchmark).tables(records, levels, snakemake.params.seed)
    write_tables(frames, Path(snakemake.output[0]).parent)
