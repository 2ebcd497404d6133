"""Bring the chunk records of one model together, strictly."""

from pathlib import Path

from pesbench.records import merge, write_records
from pesbench.logs import logged

with logged(snakemake.log[0]):
    records = merge(map(Path, snakemake.input.chunks), snakemake.params.materials)
    write_records(Path(snakemake.output.records), records)
