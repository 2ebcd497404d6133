"""What a material costs against the number of materials in one job: flat.py FOLDER [NUMBER...].

Each material is 20 ms of real work (the energy and forces of a copper cell by EMT, again and again); what a job adds to
it - digests, records, the journal's fsync, progress - shows in the difference. The model is loaded before the clock.
Processor time is what counts, for the machine may be busy; wall time stands beside it. FOLDER gets flat.csv and .png.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from ase.build import bulk
from ase.calculators.emt import EMT

from pesbench import jobs
from pesbench.records import read_records

WORK_SECONDS = 0.02
COLUMNS = ("materials", "cpu_ms_each", "wall_ms_each", "cpu_over_smallest", "share_in_work")


@dataclass(frozen=True)
class Settings:
    """Nothing to set."""


def run(structure: Path, *rest: Any) -> dict[str, float]:
    """Evaluate copper until the processor time is used up."""
    started, energy = time.process_time(), 0.0
    while time.process_time() - started < WORK_SECONDS:
        atoms = bulk("Cu", cubic=True)
        atoms.calc = EMT()
        energy = float(atoms.get_potential_energy())
    return {"energy_ev": energy}


def measure(number: int) -> tuple[float, float]:
    """Return processor and wall milliseconds a material of a job of so many, all included."""
    jobs.benchmark_module = lambda name: SimpleNamespace(
        PROTOCOL=1, MANIFEST="none", Settings=Settings, run=run, tasks=lambda path: {}, costs=lambda path: {}
    )  # type: ignore[assignment,return-value]
    with tempfile.TemporaryDirectory() as folder:
        structure = Path(folder, "Cu")
        structure.write_text("Cu" * 500)
        job = jobs.Job("flat", "emt", {f"m{i:05d}": str(structure) for i in range(number)}, {})
        output = Path(folder, "m/chunks/000.jsonl")
        started, wall = time.process_time(), time.monotonic()
        jobs.run_job(job, jobs.OnFile(), jobs.OnFile, output, io.StringIO())
        spent, wall = time.process_time() - started, time.monotonic() - wall
        assert len(read_records(output)) == number
    return 1000 * spent / number, 1000 * wall / number


def draw(found: dict[int, tuple[float, float]], output: Path) -> None:
    """Plot what a material costs against their number."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(4, 3.2), constrained_layout=True)
    axis.semilogx(list(found), [cpu for cpu, _ in found.values()], "o-", label="processor time")
    axis.semilogx(list(found), [wall for _, wall in found.values()], "s--", label="wall time")
    axis.axhline(1000 * WORK_SECONDS, color="grey", linewidth=0.8, label="the work itself")
    axis.set(xlabel="materials in one job", ylabel="ms a material", ylim=(0, None))
    axis.legend(frameon=False)
    figure.savefig(output, dpi=150)


def main() -> None:
    """Measure, print one line a number and the largest over the smallest, write ``flat.csv`` and ``flat.png``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("numbers", nargs="*", type=int, default=[10, 100, 1000])
    arguments = parser.parse_args()
    run(Path())  # imports, caches
    measure(3)
    found = {number: measure(number) for number in arguments.numbers}
    smallest = min(cpu for cpu, _ in found.values())
    rows = [
        (number, f"{cpu:.2f}", f"{wall:.2f}", f"{cpu / smallest:.3f}", f"{1000 * WORK_SECONDS / cpu:.3f}")
        for number, (cpu, wall) in found.items()
    ]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with open(arguments.folder / "flat.csv", "w", newline="") as handle:
        csv.writer(handle).writerows([COLUMNS, *rows])
    for row in (COLUMNS, *rows):
        print("  ".join(f"{word!s:>18}" for word in row))
    draw(found, arguments.folder / "flat.png")
    print(f"flat within {100 * (max(cpu for cpu, _ in found.values()) / smallest - 1):.1f} %")


if __name__ == "__main__":
    main()
