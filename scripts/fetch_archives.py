"""Fetch what a database of phonons has of some materials, from a mirror or from the network; what is there stays."""

import json
import os
from pathlib import Path

from pesbench.benchmarks.phonons import MANIFEST, read_manifest
from pesbench.config import mirror_of
from pesbench.files import write_atomic
from pesbench.logs import logged
from pesbench.naming import REFERENCE_FILES, STORE, reference_file
from pesbench.sources.catalog import open_reference
from pesbench.sources.download import fetch
from pesbench.sources.store import Store

with logged(snakemake.log[0]):
    name, materials, store = snakemake.wildcards.source, snakemake.params.materials, Store(Path(STORE))
    kind = REFERENCE_FILES[name].partition("/")[0]
    mirror = mirror_of(kind, snakemake.config.get("sources") or {}, os.environ)
    lines = {line["mp_id"]: line for line in read_manifest(Path(MANIFEST))}
    source = open_reference(name, lines, store, Path(mirror) if mirror else None)
    listed = set(source.ids())
    wanted = {m: Path(reference_file(name, m)) for m in materials if m in listed}
    told = fetch(source, wanted, store)
    if kind == "phonondb":
        told = {m: {**told[m], "content_sha256": lines[m]["content_sha256"]} for m in wanted}
    absent = {m: {"absent": f"{name} has no such material"} for m in materials if m not in listed}
    write_atomic(Path(snakemake.output.listing), json.dumps(told | absent, indent=1) + "\n")
