"""Draw Figs. 5 and 6 of Deng et al. (2025), S-Figs. 2, 6 and 7, and the error against the number of labels."""

from pathlib import Path

import pandas as pd

from pesbench.benchmarks.high_energy import MANIFEST
from pesbench.benchmarks.high_energy.score import read_runs
from pesbench.high_energy_plots import (
    MORE_EXAMPLES,
    corrected_figure,
    curve_figure,
    errors_figure,
    examples,
    parity_figure,
    scales_figure,
)
from pesbench.logs import logged
from pesbench.naming import table
from pesbench.plots import save
from pesbench.published import PAPER_MODELS
from pesbench.records import read_records

with logged(snakemake.log[0]):
    paths = zip(snakemake.params.levels, snakemake.input.records, strict=True)
    runs = read_runs({model: read_records(Path(path)) for model, path in paths}, Path(MANIFEST))
    answers = {}
    for run in runs:
        if run.predictions is not None:
            answers.setdefault(run.set, {})[run.model] = run.predictions
    scales, shown = pd.read_csv(table("high_energy_softening")), examples(answers)
    figures = {
        "deng2025_fig5a": parity_figure(answers, shown[:1]),
        "deng2025_fig5b": scales_figure(scales, list(PAPER_MODELS)),
        "deng2025_fig6a": corrected_figure(answers),
        "deng2025_fig6b": errors_figure(scales, list(PAPER_MODELS)),
        "deng2025_sfig2": parity_figure(answers, shown[1 : 1 + MORE_EXAMPLES]),
        "deng2025_sfig6": scales_figure(scales),
        "deng2025_sfig7": errors_figure(scales),
        "high_energy_correction": curve_figure(pd.read_csv(table("high_energy_correction"))),
    }
    for path in map(Path, snakemake.output.figures):
        save(figures[path.stem], path)
