"""Bring the chunk records of one model together, strictly."""

from pathlib import Path

from pesbench.logs import logged
from pesbench.records import merge, write_records

with logged(snakemake.log[0]):
    records = merge(map(Path, snakemake.input.chunks), snakemake.params.materials)
    write_records(Path(snakemake.output.records), records)
