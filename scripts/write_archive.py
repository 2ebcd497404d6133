"""Bring a finished run together in one archive that stands by itself."""

from pathlib import Path

import yaml

from pesbench.bundle import README, as_config, code_files, kept_files, write_bundle
from pesbench.logs import logged
from pesbench.naming import RUN_CONFIG

with logged(snakemake.log[0]):
    config = yaml.safe_load(Path(RUN_CONFIG).read_text(encoding="utf-8"))
    records = [Path(path) for path in snakemake.input.records]
    results = [Path(path) for path in snakemake.input if str(path).startswith("results/")]
    beside = [path.with_suffix(end) for path in results if path.suffix == ".csv" for end in (".md", ".tex")]
    kept = [path for file in records for path in kept_files(file)]
    locks = {f"environments/{path.stem}.txt": path for path in map(Path, snakemake.params.locks)}
    what = f"Models: {', '.join(config['models'])}. Benchmarks: {', '.join(config['benchmarks'])}."
    write_bundle(
        Path(snakemake.output.archive),
        {
            **{str(path): path for path in code_files(Path())},
            **{str(path): path for path in [*results, *kept, *filter(Path.is_file, beside)]},
            **{name: path for name, path in locks.items() if path.is_file()},
            "config.yaml": yaml.safe_dump(as_config(config), sort_keys=False).encode(),
            "README.md": README.format(what=what).encode(),
        },
    )
