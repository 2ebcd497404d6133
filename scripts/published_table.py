"""Set one published table in the paper's layout."""

from pathlib import Path

from pesbench.logs import logged
from pesbench.tables import read_published, write_tables

with logged(snakemake.log[0]):
    name = snakemake.wildcards.table
    write_tables({name: read_published(Path(snakemake.input.published))}, Path(snakemake.output.csv).parent)
