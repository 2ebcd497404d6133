"""Score the surface benchmark and write its tables."""

from pathlib import Path

from pesbench.benchmarks import surfaces
from pesbench.logs import logged
from pesbench.records import read_records
from pesbench.tables import write_tables

with logged(snakemake.log[0]):
    models = snakemake.params.levels
    records = {name: read_records(Path(p)) for name, p in zip(models, snakemake.input.records, strict=True)}
    frames = surfaces.tables(records, models, snakemake.params.seed)
    write_tables(frames, Path(snakemake.output.surfaces).parent)
