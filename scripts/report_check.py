"""Write the page of a check, and the same as Markdown and JSON."""

import json
from pathlib import Path

import pandas as pd

from pesbench.check.page import document
from pesbench.check.request import load_request
from pesbench.check.score import read_answer
from pesbench.check.unlabelled_page import document as unlabelled_document
from pesbench.files import write_atomic
from pesbench.logs import logged
from pesbench.models.registry import load_registry

with logged(snakemake.log[0]):
    request, folder = load_request(snakemake.wildcards.name), Path(snakemake.output.figures)
    folder.mkdir(parents=True, exist_ok=True)
    result = json.loads(Path(snakemake.input.result).read_text(encoding="utf-8"))
    answers = [read_answer(m, Path(p)) for m, p in zip(request.models, snakemake.input.answers, strict=True)]
    if request.mode == "none":
        page = unlabelled_document(request, result, answers, folder)
    else:
        score = Path(snakemake.input.result).parent
        tables = tuple(
            pd.read_csv(score / f"{n}.csv") for n in ("softening", "correction", "doubtful_labels")
        )
        proofs = {
            m: json.loads(Path(p).read_text())
            for m, p in zip(request.models, snakemake.input.proofs, strict=True)
        }
        registry = load_registry(Path("data/models.yaml"))
        pythons = {
            m: str(Path(".venvs", registry.get(m).environment, "bin/python").absolute())
            for m in request.models
        }
        page = document(request, result, tables, answers, proofs, pythons, folder)
        result["proofs"] = proofs
    write_atomic(Path(snakemake.output.data), json.dumps({"lead": page.lead, **result}, indent=1) + "\n")
    page.write(Path(snakemake.output.page), Path(snakemake.output.text))
