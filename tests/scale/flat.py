"""Wall time a material against the number of materials in one job: flat.py [NUMBER...].

Each material is 20 ms of real work (the energy and forces of a copper cell by EMT, again and again); what a job adds to
it - digests, records, the journal's fsync, progress - shows in the difference. The model is loaded before the clock.
"""

from __future__ import annotations

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


def measure(number: int) -> float:
    """Return processor milliseconds a material of a job of so many, all included."""
    jobs.benchmark_module = lambda name: SimpleNamespace(
        PROTOCOL=1, MANIFEST="none", Settings=Settings, run=run, tasks=lambda path: {}, costs=lambda path: {}
    )  # type: ignore[assignment,return-value]
    with tempfile.TemporaryDirectory() as folder:
        structure = Path(folder, "Cu")
        structure.write_text("Cu" * 500)
        job = jobs.Job("flat", "emt", {f"m{i:05d}": str(structure) for i in range(number)}, {})
        output = Path(folder, "m/chunks/000.jsonl")
        started = time.process_time()
        jobs.run_job(job, jobs.OnFile(), jobs.OnFile, output, io.StringIO())
        spent = time.process_time() - started
        assert len(read_records(output)) == number
    return 1000 * spent / number


def main() -> None:
    """Print one line a number, and the largest over the smallest."""
    run(Path())  # imports, caches
    measure(3)
    numbers = [int(word) for word in sys.argv[1:]] or [10, 100, 1000]
    found = {number: measure(number) for number in numbers}
    for number, each in found.items():
        share = 100 * 1000 * WORK_SECONDS / each
        print(f"{number:>6} materials in a job: {each:.2f} ms each, {share:.0f} % of it in the work")
    print(f"flat within {100 * (max(found.values()) / min(found.values()) - 1):.1f} %")


if __name__ == "__main__":
    main()
