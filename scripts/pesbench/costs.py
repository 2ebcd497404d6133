"""What materials cost, learned from earlier records: seconds = scale x cost^exponent, for each benchmark and model.

A benchmark's ``costs`` count atoms and displacements; what that means in seconds and in memory is measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pesbench.errors import RecordError
from pesbench.files import write_atomic
from pesbench.records import Record

#: Records below which a fit says nothing.
ENOUGH = 8


@dataclass(frozen=True)
class Learned:
    """Cost of one model on one benchmark.

    Attributes
    ----------
    scale_seconds, exponent
        A material of cost c takes ``scale_seconds * c**exponent`` on average.
    spread
        Standard deviation of the natural logarithm of measured over predicted seconds.
    records
        How many records it was learned from.
    largest_cost, peak_memory_mb
        The dearest of these materials, and the most memory that any job of theirs took.
    """

    scale_seconds: float
    exponent: float
    spread: float
    records: int
    largest_cost: float
    peak_memory_mb: float

    def seconds(self, cost: float) -> float:
        """Return the expected seconds of one material."""
        return self.scale_seconds * cost**self.exponent

    def memory_mb(self, cost: float) -> float:
        """Return the memory to expect where the dearest material is of ``cost``: it grows with the atoms at a time."""
        return self.peak_memory_mb * max(1.0, cost / self.largest_cost) ** 0.5


Costs = dict[str, dict[str, Learned]]


def fit(records: Iterable[Record], costs: Mapping[str, float]) -> Learned | None:
    """Learn from the finished records of one benchmark and model; None where there are too few, or all cost the same.

    Least squares of log seconds on log cost; the scale is such that the predicted seconds add up to the measured ones.
    """
    own = [r for r in records if r.status != "failed" and r.wall_seconds > 0 and costs.get(r.id, 0) > 0]
    points = [(math.log(costs[r.id]), math.log(r.wall_seconds)) for r in own]
    if len(points) < ENOUGH:
        return None
    mean_x, mean_y = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    variance = sum((x - mean_x) ** 2 for x, _ in points)
    if variance == 0.0:
        return None
    exponent = sum((x - mean_x) * (y - mean_y) for x, y in points) / variance
    rest = [y - mean_y - exponent * (x - mean_x) for x, y in points]
    predicted = sum(costs[r.id] ** exponent for r in own)
    return Learned(
        scale_seconds=sum(r.wall_seconds for r in own) / predicted,
        exponent=exponent,
        spread=math.sqrt(sum(e * e for e in rest) / len(rest)),
        records=len(own),
        largest_cost=max(costs[r.id] for r in own),
        peak_memory_mb=max(r.peak_memory_mb for r in own),
    )


def expected(costs: Mapping[str, float], learned: Mapping[str, Learned]) -> dict[str, float]:
    """Return what to balance chunks by: the mean of the models' predictions, or the costs where nothing is learned.

    Every model runs the same chunks; each counts alike, whatever its speed.
    """
    if not learned or not costs:
        return dict(costs)
    totals = {name: sum(one.seconds(c) for c in costs.values()) for name, one in learned.items()}
    return {
        material: sum(one.seconds(cost) / totals[name] for name, one in learned.items())
        for material, cost in costs.items()
    }


def read_costs(*paths: Path) -> Costs:
    """Read what was learned from the first file that is there; nothing where none is.

    Raises
    ------
    RecordError
        Naming the file when it is not what `write_costs` wrote.
    """
    path = next((p for p in paths if p.is_file()), None)
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["learned"]
        return {b: {m: Learned(**one) for m, one in models.items()} for b, models in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecordError(
            f"{path}: not a file of learned costs ({error}); delete it, or run make costs"
        ) from error


def write_costs(path: Path, costs: Costs, source: str) -> None:
    """Write what was learned, rounded to what the fit is worth, and where it is from."""
    plain = {
        benchmark: {
            model: {k: round(v, 6) if isinstance(v, float) else v for k, v in asdict(one).items()}
            for model, one in sorted(models.items())
        }
        for benchmark, models in sorted(costs.items())
    }
    write_atomic(path, json.dumps({"source": source, "learned": plain}, indent=1) + "\n")
