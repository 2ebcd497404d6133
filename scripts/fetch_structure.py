"""Fetch one structure from the Materials Project."""

from pathlib import Path

from pesbench.sources.materials_project import fetch
from pesbench.logs import logged

with logged(snakemake.log[0]):
    fetch(snakemake.wildcards.material, Path(snakemake.output.structure))
