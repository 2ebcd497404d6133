"""Fetch the stable crystal of every element from the Materials Project."""

from pathlib import Path

from pesbench.logs import logged
from pesbench.sources.materials_project_sets import fetch_elements

with logged(snakemake.log[0]):
    fetch_elements(Path(snakemake.output.elements))
