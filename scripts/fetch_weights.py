"""Fetch and verify the weights of one model."""

import os
from pathlib import Path

from pesbench.logs import logged
from pesbench.models.registry import Checkpoint
from pesbench.naming import weights_folder
from pesbench.sources.weights import fetch_weights

with logged(snakemake.log[0]):
    mirror = os.environ.get("PESBENCH_WEIGHTS")
    fetch_weights(
        Checkpoint(**snakemake.params.checkpoint),
        Path(weights_folder(snakemake.wildcards.model)),
        Path(snakemake.output.listing),
        Path(mirror) if mirror else None,
    )
