"""Fine-tune one model on some labels: fine_tune.py JOB_JSON TASK_JSON RECORD (in the environment that trains it)."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

from pesbench.errors import PesbenchError
from pesbench.fine_tuning_job import fine_tune_job
from pesbench.gpus import own_gpu
from pesbench.jobs import Job
from pesbench.models.loaders import set_threads
from pesbench.models.registry import load_registry


def main() -> int:
    """Return 0 when there is a record, also of a training that exploded; 1 when the machine failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", help="pesbench.jobs.Job as JSON")
    parser.add_argument("task", help="what to train on what, as JSON")
    parser.add_argument("record", type=Path)
    arguments = parser.parse_args()
    job = Job(**json.loads(arguments.job))
    os.environ["OMP_NUM_THREADS"] = str(job.threads)
    warnings.simplefilter("ignore")
    try:
        entry = load_registry(Path("data/models.yaml")).get(job.model)
        set_threads(job.threads)
        with own_gpu(job.device):
            fine_tune_job(job, entry, json.loads(arguments.task), arguments.record)
    except PesbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
