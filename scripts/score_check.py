"""Score models on a user's labelled frames: slopes, corrections, doubtful labels, verdicts."""

from pathlib import Path

import numpy as np
from ase.io import read

from pesbench.benchmarks.high_energy.curves import correction_table
from pesbench.benchmarks.high_energy.score import Run, labels_table, softening_table
from pesbench.check.request import load_request
from pesbench.check.score import as_json, read_answer, save_corrections, score
from pesbench.check.states import labelling_notes
from pesbench.files import write_atomic
from pesbench.logs import logged
from pesbench.models.registry import load_registry
from pesbench.tables import tidy_csv

with logged(snakemake.log[0]):
    request, seed = load_request(snakemake.wildcards.name), snakemake.params.seed
    answers = [read_answer(m, Path(p)) for m, p in zip(request.models, snakemake.input.answers, strict=True)]
    runs = [Run(a.model, request.name, request.n_frames, None, a.predictions) for a in answers]
    registry = load_registry(Path("data/models.yaml"))
    entries = {name: registry.get(name) for name in request.models}
    levels = {name: entry.level_of_theory for name, entry in entries.items()}
    tables = softening_table(runs, levels, seed), correction_table(runs, levels, seed)
    frames = read(snakemake.input.frames, ":", format="extxyz")
    volumes = np.array(
        [atoms.get_volume() / len(atoms) if atoms.cell.rank == 3 else np.nan for atoms in frames]
    )
    notes = labelling_notes(request, [Path(p) for p in snakemake.input.get("records", [])])
    result, findings = score(request, answers, tables, entries, volumes, notes, seed)
    save_corrections(result, answers, request, Path(snakemake.output.corrected), Path("scripts").resolve())
    for path, table in zip(snakemake.output.tables, (*tables, labels_table(runs)), strict=True):
        write_atomic(Path(path), tidy_csv(table))
    write_atomic(Path(snakemake.output.result), as_json(result, request))
