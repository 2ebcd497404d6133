"""Run one model on one chunk of materials: run_chunk.py JOB_JSON RECORDS (runs in the model's environment)."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

from pesbench.errors import PesbenchError
from pesbench.gpus import own_gpu
from pesbench.jobs import Job, OnFile, run_job
from pesbench.models.registry import load_registry


def main() -> int:
    """Return 0 when every material has its record, 1 when the machine failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=lambda text: Job(**json.loads(text)), help="pesbench.jobs.Job as JSON")
    parser.add_argument("records", type=Path)
    parser.add_argument("--on-file", action="store_true", help="a reference: forces on file, no model runs")
    parser.add_argument("--attempt", type=int, default=1, help="each one after the first halves the batches")
    job = (arguments := parser.parse_args()).job
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS"), str(job.threads))
    warnings.simplefilter("ignore")  # of libraries, thousands a job; what matters is in the records
    entry = OnFile() if arguments.on_file else load_registry(Path("data/models.yaml")).get(job.model)

    def load():
        if arguments.on_file:
            return entry
        from pesbench.models.loaders import load_model, set_threads

        set_threads(job.threads)
        model = load_model(entry, job.device)
        model.calculator.halve_batches(arguments.attempt - 1)
        return model

    try:
        with own_gpu(job.device):
            run_job(job, entry, load, arguments.records)
    except PesbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
