"""Fetch the surfaces of one crystal from the Materials Project."""

from pathlib import Path

from pesbench.logs import logged
from pesbench.sources.materials_project_sets import fetch_surfaces

with logged(snakemake.log[0]):
    fetch_surfaces(snakemake.wildcards.material, Path(snakemake.output.surfaces))
