"""Compare models on states without labels, and write the states that are worth one."""

from pathlib import Path

import pandas as pd
from ase.io import read

from pesbench.check import unlabelled
from pesbench.check.request import load_request
from pesbench.check.score import read_answer
from pesbench.dft.settings import DftSettings
from pesbench.files import write_atomic
from pesbench.logs import logged
from pesbench.tables import tidy_csv

with logged(snakemake.log[0]):
    request = load_request(snakemake.wildcards.name)
    answers = [read_answer(m, Path(p)) for m, p in zip(request.models, snakemake.input.answers, strict=True)]
    found = unlabelled.common(answers)
    table, choices = unlabelled.pairs_table(found), unlabelled.choose(found)
    frames = {a.info["frame_id"]: a for a in read(snakemake.input.frames, ":", format="extxyz")}
    settings = DftSettings(**{**snakemake.params.settings, "code": "vasp"})
    refused = unlabelled.write_to_label(
        Path(snakemake.output.to_label), frames, choices, settings, request.name
    )
    # An earlier run's own table where it holds something, else the shipped one.
    known = [
        unlabelled.neighbours(request.elements, pd.read_csv(p, comment="#")) for p in snakemake.params.known
    ]
    data = unlabelled.as_json(
        request,
        found,
        choices,
        refused=refused,
        failed={a.model: a.message for a in answers if a.predictions is None},
        pairs=table.to_dict("records"),
        neighbours=next(filter(None, known), []),
    )
    write_atomic(Path(snakemake.output.table), tidy_csv(table))
    write_atomic(Path(snakemake.output.result), data)
