"""Label sampled frames with a DFT code: label_frames.py JOB_JSON SAMPLED RECORDS FRAMES (in the code's environment)."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from pathlib import Path

from pesbench.errors import PesbenchError
from pesbench.jobs import Job
from pesbench.label_jobs import label_frames


def main() -> int:
    """Return 0 when every frame has its record, 1 when the machine failed or the code is not there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", help="pesbench.jobs.Job as JSON, without structures")
    parser.add_argument("sampled", type=Path, help="records of the sampling")
    parser.add_argument("records", type=Path)
    parser.add_argument("frames", type=Path)
    arguments = parser.parse_args()
    job = Job(**json.loads(arguments.job))
    os.environ["OMP_NUM_THREADS"] = str(job.threads)
    warnings.simplefilter("ignore")
    try:
        label_frames(job, arguments.sampled, arguments.records, arguments.frames)
    except PesbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
