"""How fast each model gets through the product's own jobs, and what of the time is the model's: ``make bench``.

Each model runs a few shipped materials of each benchmark on the CPU (one thread) and on a GPU, where there is one.
Ratios compare between machines: to a yardstick (a fixed piece of linear algebra on one thread of the same machine), to
the first model, and of a GPU to the CPU. They take a CPU's processor time, for it may be busy, and a GPU's wall
time.
"""

from __future__ import annotations

import io
import json
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pesbench.config import benchmark_module
from pesbench.errors import ConfigError
from pesbench.files import write_atomic
from pesbench.gpus import own_gpu
from pesbench.jobs import Job, run_job
from pesbench.models.loaders import Model, load_model
from pesbench.records import Record, read_records

if TYPE_CHECKING:
    import pandas as pd

    from pesbench.models.registry import ModelEntry

MATERIALS = {
    "surfaces": ("mp-30", "mp-1138", "mp-149"),
    "phonons": ("mp-1265", "mp-2657", "mp-2741", "mp-661"),
}
#: What differs from a run: Deng's second relaxation is ten times the rest and measures the optimizer alone.
SETTINGS: dict[str, dict[str, Any]] = {"phonons": {"free_relaxation": False}}
DEVICES = ("cpu", "cuda")
NO_GPU = "no accelerator"


@dataclass(frozen=True)
class Throughput:
    """One model on one benchmark and device; numbers are None where ``note`` says why there are none.

    Attributes
    ----------
    wall_s, cpu_s
        Of the materials, the model loaded before; on one CPU thread they are equal on an idle machine.
    atoms_per_s
        Atoms of all structures that the model evaluated, by wall seconds inside the model.
    share_in_model
        Wall seconds inside the model by ``wall_s``.
    atoms_per_yardstick
        Atoms evaluated while the machine would do the yardstick once; on a busy CPU the time that it had.
    """

    benchmark: str
    model: str
    device: str
    materials: int = 0
    wall_s: float | None = None
    cpu_s: float | None = None
    materials_per_hour: float | None = None
    atoms_per_s: float | None = None
    share_in_model: float | None = None
    evaluations_per_relaxation: float | None = None
    atoms_per_yardstick: float | None = None
    note: str = ""


def yardstick_seconds() -> float:
    """Return the processor seconds of forty products of 1000 x 1000 matrices (float32), the best of three."""
    matrix, taken = np.random.default_rng(0).random((1000, 1000), dtype=np.float32), []
    for _ in range(3):
        started = time.process_time()
        for _ in range(40):
            matrix @ matrix
        taken.append(time.process_time() - started)
    return min(taken)


def measure(entry: ModelEntry, device: str, folder: Path) -> list[Throughput]:
    """Run one model on the materials of every benchmark; rows without numbers where the device is not to be had."""
    with own_gpu(device):
        try:
            model = load_model(entry, device)
        except ConfigError:
            if device == "cpu":
                raise
            return [Throughput(name, entry.name, device, note=NO_GPU) for name in MATERIALS]
        if model.device != device:
            note = f"{entry.family.name} runs on the CPU only"
            return [Throughput(name, entry.name, device, note=note) for name in MATERIALS]
        unit = yardstick_seconds()
        return [_measure(name, entry, model, unit, folder) for name in MATERIALS]


def _measure(benchmark: str, entry: ModelEntry, model: Model, unit: float, folder: Path) -> Throughput:
    settings = {**asdict(benchmark_module(benchmark).Settings()), **SETTINGS.get(benchmark, {})}
    structures = {name: f"data/prototypes/{name}.yaml" for name in MATERIALS[benchmark]}
    job = Job(benchmark, entry.name, structures, settings, model.device)
    output = folder / benchmark / model.device / "chunks/000.jsonl"
    atoms, inside, cpu = model.calculator.atoms_seen, model.seconds, _cpu_seconds()
    run_job(job, entry, lambda: model, output, io.StringIO())
    records, cpu = read_records(output), _cpu_seconds() - cpu
    atoms, inside = model.calculator.atoms_seen - atoms, model.seconds - inside
    wall = sum(record.wall_seconds for record in records)
    had = min(cpu / wall, 1.0) if model.device == "cpu" else 1.0
    relaxed = [evaluations_of(record) for record in records]
    return Throughput(
        benchmark=benchmark,
        model=entry.name,
        device=model.device,
        materials=len(records),
        wall_s=round(wall, 2),
        cpu_s=round(cpu, 2),
        materials_per_hour=round(3600 * len(records) / wall, 1),
        atoms_per_s=round(atoms / inside, 1),
        share_in_model=round(inside / wall, 3),
        evaluations_per_relaxation=round(sum(e for e, _ in relaxed) / max(sum(n for _, n in relaxed), 1), 1),
        atoms_per_yardstick=round(unit * atoms / (had * inside), 1),
        note="; ".join(f"{r.id} {r.status}" for r in records if r.status != "ok"),
    )


def evaluations_of(record: Record) -> tuple[int, int]:
    """Return a record's evaluations in relaxations, and the number of these: bulk and slabs, or the crystal."""
    if record.values.get("relaxation"):
        return record.values["relaxation"]["evaluations"], 1
    slabs = [slab for slab in record.values.get("surfaces", []) if "steps" in slab]
    return (record.evaluations, 1 + len(slabs)) if "bulk" in record.values else (0, 0)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def keep(rows: Sequence[Throughput], folder: Path) -> None:
    """Write one model's rows on one device, to be collected."""
    name = f"{rows[0].model}.{rows[0].device}.json"
    write_atomic(folder / "throughput" / name, json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def collect(folder: Path) -> pd.DataFrame:
    """Return every row that was kept, with its ratios: to the first model on the CPU, and of a GPU to the CPU."""
    import pandas as pd

    parts = sorted((folder / "throughput").glob("*.json"))
    frame = pd.DataFrame([row for path in parts for row in json.loads(path.read_text(encoding="utf-8"))])
    frame = frame.sort_values(["benchmark", "model", "device"], ignore_index=True)
    seconds = frame["wall_s"].where(frame["device"] != "cpu", frame["cpu_s"]).astype(float)
    speed = (frame["materials"] / seconds).set_axis(
        pd.MultiIndex.from_frame(frame[["benchmark", "model", "device"]])
    )
    first = frame["model"].min()

    def over(model: str | None, device: str | None) -> list[float]:
        wanted = [(r.benchmark, model or r.model, device or r.device) for r in frame.itertuples()]
        return [
            round(mine / speed.get(key, np.nan), 3) for mine, key in zip(speed.tolist(), wanted, strict=True)
        ]

    return frame.assign(**{"over_first_model": over(first, "cpu"), "over_cpu": over(None, "cpu")})


def draw(frame: pd.DataFrame, output: Path) -> None:
    """Plot materials an hour and the share in the model, one bar a model and device."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(frame["benchmark"]))
    figure, axes = plt.subplots(len(names), 2, figsize=(8, 2.4 * len(names)), constrained_layout=True)
    for (left, right), name in zip(np.atleast_2d(axes), names, strict=True):
        rows = frame[(frame["benchmark"] == name) & frame["materials_per_hour"].notna()]
        labels = [f"{r.model} ({r.device})" for r in rows.itertuples()]
        left.barh(labels, rows["materials_per_hour"].astype(float))
        left.set(xlabel=f"{name}: materials an hour", xscale="log")
        right.barh(labels, 100 * rows["share_in_model"].astype(float))
        right.set(xlabel="wall time in the model (%)", xlim=(0, 100), yticklabels=[])
    figure.savefig(output, dpi=150)
