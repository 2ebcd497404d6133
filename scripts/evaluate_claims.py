"""Hold the papers' claims against their own tables and against our runs."""

from pathlib import Path

import pandas as pd

from pesbench.claims.entries import load_claims
from pesbench.claims.ledger import REBUILT, evaluate, format_ledger, write_ledger
from pesbench.files import write_atomic
from pesbench.logs import logged
from pesbench.tables import read_published

with logged(snakemake.log[0]):
    published = {Path(path).stem: read_published(Path(path)) for path in snakemake.input.published}
    ours = {
        Path(path).stem: pd.read_csv(path) for path in snakemake.input.tables if Path(path).stem in REBUILT
    }
    results = evaluate(load_claims(Path(snakemake.input.claims)), published, ours)
    write_ledger(results, Path(snakemake.output.json))
    write_atomic(Path(snakemake.output.text), format_ledger(results))
