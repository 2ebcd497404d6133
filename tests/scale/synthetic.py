"""A workflow of any size and temper: a benchmark of made-up materials, and the registry's EMT under many names.

A material may be told to take seconds and memory; each start of one is noted in ``calls.log``.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "config.yaml", "rules", "scripts", "envs", "cluster", "tests/results")
MODULE = '''"""The energy of copper as it is: a benchmark for plans, for the driver, for a cluster's tempers."""

import csv
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROTOCOL = 1
MANIFEST = "data/manifests/synthetic.csv"
TABLES = ("synthetic",)
FIGURES = ()
REFERENCES = {}


@dataclass(frozen=True)
class Settings:
    """One number to multiply with."""

    scale: float = 1.0


def read(path: Path):
    """Return the lines of the manifest."""
    with open(path, encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def costs(path: Path):
    """Return what the manifest says."""
    return {line["id"]: float(line["cost"]) for line in read(path)}


def sets(path: Path):
    """No named lists."""
    return {}


def tasks(path: Path):
    """Return a matrix, as the phonons have, and how long and how much memory the material takes."""
    matrix = [[2, 0, 0], [0, 2, 0], [0, 0, 2]]
    return {
        line["id"]: {"matrix": matrix, "seconds": float(line["seconds"]), "mb": int(line["memory_mb"])}
        for line in read(path)
    }


def run(structure, task, calculator, settings):
    """Evaluate copper once, and take one's time and memory."""
    from ase.build import bulk

    with open("calls.log", "a") as calls:
        gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
        job, batch = os.environ.get("SLURM_JOB_ID", "none"), calculator.batch_atoms
        calls.write(f"{structure.stem} {gpu} {job} {batch}\\n")
    held = b"x" * (task["mb"] * 2**20)
    time.sleep(task["seconds"])
    atoms = bulk("Cu")
    atoms.calc = calculator
    del held
    scale = settings.scale * (1 + int(structure.stem.split("-")[1]))
    return {"energy_ev_per_atom": scale * atoms.get_potential_energy()}


def tables(records, levels, seed):
    """One row a material and model."""
    import pandas as pd

    rows = [
        {"id": r.id, "model": model, "status": r.status, **r.values}
        for model, of_model in records.items()
        for r in of_model
    ]
    return {"synthetic": pd.DataFrame(rows, columns=["id", "model", "status", "energy_ev_per_atom"])}
'''
RULES = '''"""A made-up benchmark. INPUTS: merged records. OUTPUTS: results/tables/synthetic.csv."""


localrules:
    synthetic_tables,


rule synthetic_tables:
    """Put every model's energies in a table."""
    input:
        records=lambda wildcards: to_score("synthetic"),
        code=package("benchmarks/synthetic", "tables"),
    output:
        energies=naming.table("synthetic"),
    log:
        "results/logs/synthetic/tables.log",
    benchmark:
        "results/benchmarks/synthetic/tables.tsv"
    conda:
        "../envs/driver.yaml"
    params:
        benchmark="synthetic",
        levels=levels("synthetic"),
        seed=RUN["seed"],
        at_hand=lambda wildcards: jobs_at_hand("synthetic"),
    script:
        "../scripts/benchmark_tables.py"
'''
TARGET = "results/tables/synthetic.csv"


Tempers = Mapping[int, tuple[float, int]]


@dataclass(frozen=True)
class Cost:
    """What one call took: wall and processor seconds, the largest process's memory, jobs planned by rule."""

    wall_seconds: float
    cpu_seconds: float
    memory_mb: float
    jobs: dict[str, int]


@dataclass(frozen=True)
class Synthetic:
    """A workflow in a folder of its own with ``models`` models on ``materials`` materials, in chunks of ``chunk``."""

    root: Path

    @classmethod
    def build(cls, root: Path, models: int, materials: int, chunk: int) -> Synthetic:
        """Copy the workflow and add a benchmark of made-up materials."""
        for name in PARTS:
            _copy(REPOSITORY / name, root / name)
        for name in ("published", "conformance"):
            _copy(REPOSITORY / "data" / name, root / "data" / name)
        for name in ("manifests", "prototypes"):
            (root / "data" / name).mkdir()
        _copy(REPOSITORY / "data/claims.yaml", root / "data/claims.yaml")
        (root / ".venvs").symlink_to(REPOSITORY / ".venvs", target_is_directory=True)
        (root / "scripts/pesbench/benchmarks/synthetic.py").write_text(MODULE)
        (root / "rules/synthetic.smk").write_text(RULES)
        made = cls(root)
        made.resize(models, materials, chunk)
        return made

    def resize(
        self, models: int, materials: int, chunk: int, tempers: Tempers | None = None, **jobs: int
    ) -> None:
        """Set how many models and materials there are; those that were there stay as they are.

        ``tempers``: seconds and memory (MB) by index of a material; ``jobs``: more of config.yaml's jobs.
        """
        names = [f"emt-{index}" for index in range(models)]
        registry = yaml.safe_load((REPOSITORY / "data/models.yaml").read_text())
        entry = registry["models"]["emt"]
        registry["models"] = {name: {**entry, "note": name} for name in names}
        (self.root / "data/models.yaml").write_text(yaml.safe_dump(registry))
        tempers = tempers or {}
        lines = []
        for index in range(materials):
            name = f"s-{index:06d}"
            seconds, memory_mb = tempers.get(index, (0, 0))
            lines.append(f"{name},{1 + index * 7919 % 997},{seconds},{memory_mb}\n")
            path = self.root / f"data/prototypes/{name}.yaml"
            if not path.exists():
                path.write_text(name)
        manifest = self.root / "data/manifests/synthetic.csv"
        manifest.write_text("id,cost,seconds,memory_mb\n" + "".join(lines))
        config = {
            "models": names,
            "materials": "all",
            "jobs": {"materials_per_chunk": chunk, **jobs},
            "benchmarks": {"synthetic": {"default_materials": ["s-000000"]}},
        }
        (self.root / "config.yaml").write_text(yaml.safe_dump(config))

    def call(self, *words: str, targets: Sequence[str] = (TARGET,), timeout_s: float = 600) -> Cost:
        """Call Snakemake as a profile would; RuntimeError with its output where it fails."""
        scheduler = ("--scheduler", "greedy", "--scheduler-subsample", "100")
        command = [
            str(Path(sys.executable).with_name("snakemake")),
            *targets,
            "--cores",
            "1",
            *scheduler,
            *words,
        ]
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(
            ["/usr/bin/env", "python3", "-c", MEASURE, *command],
            cwd=self.root, env=environment, text=True, capture_output=True, timeout=timeout_s, check=False,
        )  # fmt: skip
        wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise RuntimeError(done.stdout[-3000:] + done.stderr[-3000:])
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        memory = json.loads(done.stderr.splitlines()[-1])["memory_mb"]
        table = re.search(r"^job +count\n[- ]+\n(.*?)^total", done.stdout, flags=re.MULTILINE | re.DOTALL)
        pairs = (line.split() for line in (table[1].splitlines() if table else []))
        return Cost(wall, spent, memory, {rule: int(number) for rule, number in pairs})


def yardstick() -> float:
    """Return the processor seconds of a fixed piece of plain Python: what a machine is worth to the driver."""
    started = time.process_time()
    words = {str(number): number for number in range(1_000_000)}
    sorted(words, key=lambda word: word[::-1])
    return time.process_time() - started


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


#: Runs a command and says how much memory its largest process took.
MEASURE = """
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(json.dumps({"memory_mb": round(memory)}), file=sys.stderr)
sys.exit(code)
"""
