"""Bring the sampled states of a check together, with their labels where there are any."""

from pathlib import Path

from pesbench.check.states import gather_labelled, gather_sampled
from pesbench.logs import logged

with logged(snakemake.log[0]):
    sampled = [Path(path) for path in snakemake.input.sampled]
    labelled = [Path(path) for path in snakemake.input.get("labelled", [])]
    output, name = Path(snakemake.output.frames), snakemake.wildcards.name
    if snakemake.wildcards.kind == "none":
        gather_sampled(sampled, output, name)
    else:
        gather_labelled(labelled, output, name)
