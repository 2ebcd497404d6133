"""Fetch one structure from the Materials Project."""

from pathlib import Path

from pesbench.logs import logged
from pesbench.sources.materials_project import fetch

with logged(snakemake.log[0]):
    material = snakemake.wildcards.material
    expected = Path(f"data/prototypes/{material}.yaml")
    fetch(material, Path(snakemake.output.structure), expected)
