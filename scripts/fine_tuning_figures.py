"""Draw learning curves, S-Figs. 3 and 4 of Deng et al. (2025), Figs. S6 and S7 of Focassio et al. (2024)."""

from pathlib import Path

import pandas as pd

from pesbench.benchmarks.fine_tuning import parse
from pesbench.engine.predictions import read_predictions
from pesbench.fine_tuning_plots import Run, figures
from pesbench.logs import logged
from pesbench.naming import kept_file, table
from pesbench.plots import save
from pesbench.records import read_records

with logged(snakemake.log[0]):
    runs = []
    for path in snakemake.input.records:
        for record in read_records(Path(path)):
            run = parse(record.id)
            if record.status == "ok":
                test, labels = (
                    read_predictions(Path(kept_file(path, f"{record.id}{end}")))
                    for end in (".predictions.npz", ".labels.npz")
                )
                runs.append(
                    Run(run["set"], record.model, run["part"], run["count"], run["seed"], test, labels)
                )
    drawn = figures(pd.read_csv(table("fine_tuning")), pd.read_csv(table("fine_tuning_costs")), runs)
    for path in map(Path, snakemake.output.figures):
        save(drawn[path.stem], path)
