"""Measure what the product costs: bench.py MODEL MATERIAL... (runs in the model's environment, keeps nothing)."""

from __future__ import annotations

import argparse
import io
import tempfile
from dataclasses import asdict
from pathlib import Path

from pesbench.benchmarks.surfaces import Settings
from pesbench.jobs import Job, run_job
from pesbench.models.loaders import load_model, set_threads
from pesbench.models.registry import load_registry
from pesbench.records import read_records

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model")
parser.add_argument("materials", nargs="+")
arguments = parser.parse_args()
entry = load_registry(Path("data/models.yaml")).get(arguments.model)
structures = {material: f"data/prototypes/{material}.yaml" for material in arguments.materials}
job = Job("surfaces", entry.name, structures, asdict(Settings()))
set_threads(job.threads)

with tempfile.TemporaryDirectory() as folder:
    output = Path(folder, "chunks", "000.jsonl")
    run_job(job, entry, lambda: load_model(entry), output, io.StringIO())
    records = read_records(output)

head = ("model", "material", "wall s", "in the model", "evaluations", "atoms/s", "steps/slab")
print("{:<14} {:<10} {:>8} {:>13} {:>12} {:>8} {:>11}".format(*head))
for record in records:
    surfaces = record.values.get("surfaces", [])
    steps = [surface["steps"] for surface in surfaces if "steps" in surface]
    atoms = sum(surface["n_atoms"] * (surface["steps"] + 1) for surface in surfaces if "steps" in surface)
    share = record.model_seconds / record.wall_seconds
    print(
        f"{record.model:<14} {record.id:<10} {record.wall_seconds:>8.1f} {share:>13.0%} {record.evaluations:>12} "
        f"{atoms / record.model_seconds:>8.0f} {sum(steps) / max(len(steps), 1):>11.1f}"
    )
