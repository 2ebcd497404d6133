"""One fine-tuning as a job: one record, whatever happens in it; a killed job goes on at its last epoch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pesbench.config import benchmark_module
from pesbench.jobs import Job, OnFile, digests_of, evaluate
from pesbench.models.registry import ModelEntry
from pesbench.records import Record, digest, file_digest, write_records


def fine_tune_job(job: Job, entry: ModelEntry, task: dict[str, Any], output: Path) -> Record:
    """Train, evaluate, and write the record.

    Parameters
    ----------
    job
        Of one run: its name and the file of labels under ``structures``.
    task
        Of the benchmark's ``run``, without ``key``.
    output
        The record; the tuned model and its predictions are kept beside it.
    """
    module = benchmark_module(job.benchmark)
    [name] = job.structures
    predictions = task["predictions"]
    known = {**task, "predictions": file_digest(Path(predictions)) if predictions else ""}
    digests = digests_of(job, entry, module, name, known)
    model = OnFile(checkpoint_sha256=entry.checkpoint_sha256)
    keyed = {**task, "key": digest([digests, name])}
    record = evaluate(job, module, name, keyed, model, digests, output)
    write_records(output, [record])
    module.restart_file(job.model, name).unlink(missing_ok=True)
    where = f"{record.stage}: {record.message}" if record.message else ""
    print(f"{job.model} {name}: {record.status} {where}".rstrip(), file=sys.stderr)
    return record
