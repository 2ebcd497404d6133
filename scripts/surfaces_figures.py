"""Draw Fig. 2a of Deng et al., and our values against the published ones."""

from pathlib import Path

import pandas as pd

from pesbench.logs import logged
from pesbench.plots import parity_surfaces, reproduction_surfaces, save
from pesbench.tables import read_published

with logged(snakemake.log[0]):
    ours = pd.read_csv(snakemake.input.surfaces)
    published = read_published(Path(snakemake.input.published))
    save(parity_surfaces(published, ours), *map(Path, snakemake.output.parity))
    save(reproduction_surfaces(published, ours), *map(Path, snakemake.output.reproduction))
