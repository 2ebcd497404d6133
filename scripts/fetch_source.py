"""Fetch one file of a source as it is."""

import os
from pathlib import Path

from pesbench.config import mirror_of
from pesbench.logs import logged
from pesbench.naming import STORE
from pesbench.sources.catalog import fetch_file
from pesbench.sources.store import Store

with logged(snakemake.log[0]):
    source, file = snakemake.wildcards.source, snakemake.wildcards.file
    mirror = mirror_of(source, snakemake.config.get("sources") or {}, os.environ)
    fetch_file(
        source, file, Path(snakemake.output.file), Store(Path(STORE)), Path(mirror) if mirror else None
    )
