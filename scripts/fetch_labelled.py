"""Fetch one published set of labelled frames, and write it in the project's format."""

import os
from pathlib import Path

from pesbench.config import mirror_of
from pesbench.logs import logged
from pesbench.naming import STORE
from pesbench.sources.catalog import fetch_labelled
from pesbench.sources.store import Store

with logged(snakemake.log[0]):
    sources = snakemake.config.get("sources") or {}
    found = {name: mirror_of(name, sources, os.environ) for name in ("labelled", "figshare")}
    mirrors = {name: Path(mirror) if mirror else None for name, mirror in found.items()}
    output = Path(snakemake.output.frames)
    count = fetch_labelled(snakemake.wildcards.labels, output, Store(Path(STORE)), mirrors)
    print(f"{output}: {count} frames")
