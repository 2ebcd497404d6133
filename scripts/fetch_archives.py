"""Fetch the archives of some materials, from the mirror in PESBENCH_MIRROR or from the network; what is there stays."""

import json
import os
from pathlib import Path

from pesbench.benchmarks.phonons import MANIFEST, read_manifest
from pesbench.files import write_atomic
from pesbench.logs import logged
from pesbench.naming import archive
from pesbench.sources.phonondb import fetch_all

with logged(snakemake.log[0]):
    mirror = os.environ.get("PESBENCH_MIRROR")
    lines = {line["mp_id"]: line for line in read_manifest(Path(MANIFEST))}
    wanted = {archive(m): lines[m] for m in snakemake.params.materials}
    fetch_all(wanted, Path(mirror) if mirror else None)
    listing = {line["mp_id"]: line["content_sha256"] for line in wanted.values()}
    write_atomic(Path(snakemake.output.listing), json.dumps(listing, indent=1) + "\n")
