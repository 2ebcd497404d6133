"""Fetch one structure from the Materials Project, and with it those of all shipped materials, in one request."""

from pathlib import Path

from pesbench.logs import logged
from pesbench.sources.materials_project import fetch

with logged(snakemake.log[0]):
    material = snakemake.wildcards.material
    output, shipped = Path(snakemake.output.structure), Path("data/prototypes")
    also = sorted(path.stem for path in shipped.glob("*.yaml"))
    fetch(material, output, shipped / f"{material}.yaml", output.parent / "documents", also)
