"""Tables and figure of effective temperatures: MatterSim-MT, Fig. S6."""

from pathlib import Path

from pesbench.effective_temperature import figure, frames_table, sets_table
from pesbench.files import write_atomic
from pesbench.logs import logged
from pesbench.plots import save
from pesbench.records import read_records
from pesbench.tables import tidy_csv

with logged(snakemake.log[0]):
    records = [record for path in snakemake.input.records for record in read_records(Path(path))]
    frames = frames_table(records)
    write_atomic(Path(snakemake.output.frames), tidy_csv(frames))
    write_atomic(Path(snakemake.output.sets), tidy_csv(sets_table(frames)))
    save(figure(frames), *map(Path, snakemake.output.figure))
