"""Fetch the archives of some materials, from a mirror or from the network; what is there stays."""

import json
import os
from pathlib import Path

from pesbench.benchmarks.phonons import MANIFEST, read_manifest
from pesbench.config import mirror_of
from pesbench.files import write_atomic
from pesbench.logs import logged
from pesbench.naming import STORE, archive
from pesbench.sources.download import fetch
from pesbench.sources.phonondb import PhononDB
from pesbench.sources.store import Store

with logged(snakemake.log[0]):
    mirror = mirror_of("phonondb", snakemake.config.get("sources") or {}, os.environ)
    lines = {line["mp_id"]: line for line in read_manifest(Path(MANIFEST))}
    wanted = {material: Path(archive(material)) for material in snakemake.params.materials}
    told = fetch(PhononDB(lines, Path(mirror) if mirror else None), wanted, Store(Path(STORE)))
    listing = {m: {**told[m], "content_sha256": lines[m]["content_sha256"]} for m in wanted}
    write_atomic(Path(snakemake.output.listing), json.dumps(listing, indent=1) + "\n")
