"""What planning costs: bench_driver.py FOLDER [NUMBER...] (8 models, made-up materials, dry runs).

A table and a plot go to FOLDER. Ratios to the smallest number, and to a piece of plain Python on the same machine,
compare between machines.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from synthetic import Cost, Synthetic, yardstick

MODELS = 8
#: Materials a job where the number is large: about five hundred jobs a model.
JOBS_A_MODEL = 500
COLUMNS = (
    "materials", "models", "jobs", "wall_s", "cpu_s", "memory_mb", "cpu_over_smallest", "cpu_over_yardstick",
)  # fmt: skip


def measure(numbers: list[int]) -> list[tuple[int, Cost]]:
    """Plan each number of materials once, from a fresh copy."""
    costs = []
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            made = Synthetic.build(Path(folder, "w"), MODELS, number, max(50, number // JOBS_A_MODEL))
            costs.append(
                (number, made.call("--dry-run", "--quiet", "rules", "reason", "host", timeout_s=1200))
            )
    return costs


def draw(costs: list[tuple[int, Cost]], output: Path) -> None:
    """Plot time and memory against the number of materials."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), constrained_layout=True)
    numbers = [number for number, _ in costs]
    left.loglog(numbers, [cost.cpu_seconds for _, cost in costs], "o-", label="processor time")
    left.loglog(numbers, [cost.wall_seconds for _, cost in costs], "s--", label="wall time")
    left.set(xlabel=f"materials ({MODELS} models)", ylabel="dry run (s)")
    left.legend(frameon=False)
    right.semilogx(numbers, [cost.memory_mb for _, cost in costs], "o-")
    right.set(xlabel=f"materials ({MODELS} models)", ylabel="memory (MB)", ylim=(0, None))
    figure.savefig(output, dpi=150)


def main() -> None:
    """Measure, print, and write ``driver.csv`` and ``driver.png``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("numbers", nargs="*", type=int, default=[1_000, 10_000, 100_000])
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    unit, costs = yardstick(), measure(arguments.numbers)
    rows = [
        (
            number, MODELS, sum(c.jobs.values()), f"{c.wall_seconds:.1f}", f"{c.cpu_seconds:.1f}", f"{c.memory_mb:.0f}",
            f"{c.cpu_seconds / costs[0][1].cpu_seconds:.2f}", f"{c.cpu_seconds / unit:.1f}",
        )
        for number, c in costs
    ]  # fmt: skip
    with open(arguments.folder / "driver.csv", "w", newline="") as handle:
        csv.writer(handle).writerows([COLUMNS, *rows])
    for row in (COLUMNS, *rows):
        print("  ".join(f"{word!s:>18}" for word in row))
    draw(costs, arguments.folder / "driver.png")


if __name__ == "__main__":
    main()
