"""Measure what phonons cost beside a plain loop: bench_phonons.py MODEL FILE... (runs in the model's environment)."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pesbench.bench import head, measure, plain, row
from pesbench.benchmarks.phonons import MANIFEST, Settings, run, tasks
from pesbench.models.loaders import load_model, set_threads
from pesbench.models.registry import load_registry
from pesbench.sources.phonon_files import read_phonon_file

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model")
parser.add_argument("files", nargs="+", type=Path, help="named by a material of the manifest")
arguments = parser.parse_args()
set_threads(1)
calculator = load_model(load_registry(Path("data/models.yaml")).get(arguments.model)).calculator
listed, settings = tasks(Path(MANIFEST)), Settings()
costs, converged = [], []


def ours(path: Path, task: dict[str, Any], how: Settings) -> tuple[int, float]:
    values = run(path, task, calculator, how)
    return values["relaxation"]["evaluations"], values["path"]["max_frequency_thz"]


def loop(path: Path, task: dict[str, Any]) -> tuple[int, float]:
    cells = {key: np.array(task[key]) for key in ("supercell_matrix", "primitive_matrix")}
    return plain(replace(read_phonon_file(path), **cells), calculator, settings.mesh)


print(f"relax: evaluations; change: of the largest frequency, against relaxing further\n{head()}")
for path in arguments.files:
    material = path.name.split(".")[0]
    task = {**listed[material], "free": False}
    converged += [ours(path, task, replace(settings, goal_ev_per_ang=1e-6))[1]]
    costs += [measure(calculator, lambda p=path, t=task: ours(p, t, settings))]
    costs += [measure(calculator, lambda p=path, t=task: loop(p, t))]
    print(row(material, costs[-2:], converged[-1:]), flush=True)
print(row("all", costs, converged))
