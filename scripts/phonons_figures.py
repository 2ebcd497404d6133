"""Draw the figures of Deng et al. (2025), Fig. 4, and of Loew et al. (2024), Figs. 1 to 5."""

from pathlib import Path

import pandas as pd

from pesbench.benchmarks.phonons import PUBLISHED, REFERENCES
from pesbench.loew_plots import (
    dataset_figure,
    elements_figure,
    frequency_figure,
    thermal_figure,
    volume_figure,
)
from pesbench.logs import logged
from pesbench.naming import RESULTS, table
from pesbench.phonon_plots import bands_figure, ratio_figure, reproduction_phonons
from pesbench.phonon_run import formulas_of, read_run
from pesbench.plots import save
from pesbench.tables import read_published

with logged(snakemake.log[0]):
    ours = pd.read_csv(table("deng2025_s3_phonons"))
    published, manifest = read_published(Path(PUBLISHED)), read_published(Path(snakemake.input.manifest))
    records = [Path(path) for path in snakemake.input.records]
    run = read_run(records, REFERENCES, formulas_of(manifest, published), Path(RESULTS, "phonons"))
    figures = {
        "deng2025_fig4a": bands_figure(run, ours),
        "deng2025_fig4b": ratio_figure(published, ours),
        "deng2025_s3_reproduction": reproduction_phonons(ours),
        "loew2024_fig1": dataset_figure(run),
        "loew2024_fig2": elements_figure(run),
        "loew2024_fig3": volume_figure(run),
        "loew2024_fig4": thermal_figure(run),
        "loew2024_fig5": frequency_figure(run),
    }
    for path in map(Path, snakemake.output.figures):
        save(figures[path.stem], path)
