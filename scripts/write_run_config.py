"""Keep the resolved configuration beside the results."""

from pathlib import Path

import yaml

from pesbench.files import write_atomic
from pesbench.logs import logged

with logged(snakemake.log[0]):
    write_atomic(Path(snakemake.output.config), yaml.safe_dump(snakemake.params.config, sort_keys=False))
