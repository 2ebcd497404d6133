"""Fetch and verify the weights of one model."""

import os
from pathlib import Path

from pesbench.config import mirror_of
from pesbench.logs import logged
from pesbench.models.checkpoints import Checkpoint
from pesbench.naming import STORE, weights_folder
from pesbench.sources.store import Store
from pesbench.sources.weights import fetch_weights

with logged(snakemake.log[0]):
    mirror = mirror_of("weights", snakemake.config.get("sources") or {}, os.environ)
    fetch_weights(
        Checkpoint(**snakemake.params.checkpoint),
        Path(weights_folder(snakemake.wildcards.model)),
        Path(snakemake.output.listing),
        Store(Path(STORE)),
        Path(mirror) if mirror else None,
    )
