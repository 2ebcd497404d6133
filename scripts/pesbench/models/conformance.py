"""Does a model give, in the environment at hand, the numbers that its registry entry pins?

A wrong package version loads the same weights without an error and answers nonsense; these numbers tell.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms, units

from pesbench.errors import ConformanceError
from pesbench.models.calculator import ElementError
from pesbench.models.registry import ModelEntry, Pinned

if TYPE_CHECKING:
    from pesbench.models.loaders import Model

# quantity -> key of the tolerance, unit
TIMED_ATOMS = 64
#: Packages whose version is recorded and decides no model's numbers.
NO_PART_IN_A_MODEL = frozenset({"python", "phonopy", "spglib"})
QUANTITIES = {
    "energy_ev_per_atom": ("ev_per_atom", "eV/atom"),
    "force_ev_per_ang": ("ev_per_ang", "eV/A"),
    "stress_gpa": ("gpa", "GPa"),
}
EV_PER_ANG3_IN_GPA = 1 / units.GPa


@dataclass(frozen=True)
class Difference:
    """One pinned quantity of one structure against the model's; ``off_by`` is the largest component."""

    structure: str
    quantity: str
    measured: tuple[float, ...]
    pinned: tuple[float, ...]
    off_by: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the model is right here; a NaN is not."""
        return self.off_by <= self.tolerance


@dataclass(frozen=True)
class ConformanceResult:
    """Every comparison of one model, and the package versions of the environment at hand."""

    model: str
    environment: str
    checkpoint_sha256: str
    versions: Mapping[str, str]
    pinned_versions: Mapping[str, str]
    differences: tuple[Difference, ...]

    @property
    def worst(self) -> Difference:
        """The comparison that is farthest off, counted in its tolerance."""
        return max(self.differences, key=lambda d: d.off_by / d.tolerance)

    @property
    def passed(self) -> bool:
        """Whether every comparison is within its tolerance."""
        return all(difference.passed for difference in self.differences)

    def as_dict(self) -> dict[str, Any]:
        """Return the result for JSON."""
        rows = [{**asdict(difference), "passed": difference.passed} for difference in self.differences]
        worst = {**asdict(self.worst), "passed": self.worst.passed}
        return {**asdict(self), "passed": self.passed, "worst": worst, "differences": rows}


def load_structures(path: Path) -> dict[str, Atoms]:
    """Read the conformance structures: name -> structure, periodic in all directions.

    Raises
    ------
    ConformanceError
        When the file cannot be read.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return {
            name: Atoms(
                [atom[0] for atom in item["atoms"]],
                positions=[atom[1:] for atom in item["atoms"]],
                cell=item["cell_ang"],
                pbc=True,
            )
            for name, item in raw.items()
            if not name.startswith("_")
        }
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ConformanceError(f"{path} cannot be read ({error}); restore it from the repository") from error


def measure(model: Model, atoms: Atoms) -> Pinned:
    """Evaluate one structure: energy per atom, force on the first atom, stress."""
    work = atoms.copy()
    work.calc = model.calculator
    return Pinned(
        energy_ev_per_atom=work.get_potential_energy() / len(work),
        force_ev_per_ang=tuple(work.get_forces()[0].tolist()),
        stress_gpa=tuple((work.get_stress() * EV_PER_ANG3_IN_GPA).tolist()),
    )


def milliseconds_per_atom(model: Model, atoms: Atoms) -> float:
    """Return what one evaluation costs: of three, on a supercell of at least 64 atoms, the fastest.

    CPU time where the model runs on the CPU, as other work on the machine would count too; wall time on a GPU.
    """
    clock = time.process_time if model.device == "cpu" else time.perf_counter
    copies = math.ceil((TIMED_ATOMS / len(atoms)) ** (1 / 3))
    seconds = []
    for _ in range(3):
        measured = atoms.repeat(copies)
        model.calculator.reset()  # it remembers the last structure
        started = clock()
        measure(model, measured)
        seconds.append(clock() - started)
    return round(1000 * min(seconds) / len(measured), 4)


def check(model: Model, entry: ModelEntry, structures: Mapping[str, Atoms]) -> ConformanceResult:
    """Compare a model with everything that its entry pins.

    Raises
    ------
    ConformanceError
        When nothing is pinned, or a pinned structure is not among ``structures``.
    """
    if entry.conformance is None:
        raise ConformanceError(
            f"{entry.name} has no conformance values in the registry; get them with "
            f"'python scripts/pin_conformance.py {entry.name}' where the checkpoint is known to be right"
        )
    differences: list[Difference] = []
    for name, pinned in entry.conformance.structures.items():
        if name not in structures:
            raise ConformanceError(
                f"{entry.name} pins the structure '{name}', which is not among {list(structures)}"
            )
        measured = measure(model, structures[name])
        differences.extend(_compare(name, measured, pinned, entry.conformance.tolerance))
    return ConformanceResult(
        model=entry.name,
        environment=entry.environment,
        checkpoint_sha256=entry.checkpoint_sha256,
        versions=dict(model.versions),
        pinned_versions=dict(entry.conformance.environment),
        differences=tuple(differences),
    )


def _compare(
    structure: str, measured: Pinned, pinned: Pinned, tolerance: Mapping[str, float]
) -> Iterable[Difference]:
    for quantity, (key, _) in QUANTITIES.items():
        got, want = (tuple(np.atleast_1d(getattr(p, quantity)).tolist()) for p in (measured, pinned))
        off_by = float(np.abs(np.subtract(got, want)).max())
        yield Difference(structure, quantity, got, want, off_by, tolerance[key])


def require(result: ConformanceResult) -> None:
    """Let a conformant model pass.

    Raises
    ------
    ConformanceError
        Naming the structure and the number that is farthest off, by how much, and what to do.
    """
    if result.passed:
        return
    worst = result.worst
    off_by = f"{worst.off_by:.3g} {QUANTITIES[worst.quantity][1]}"
    failed = sum(not difference.passed for difference in result.differences)
    changed = [
        f"{package} {result.versions.get(package, 'missing')} instead of {version}"
        for package, version in result.pinned_versions.items()
        if result.versions.get(package, "missing").split("+")[0] != version
    ]
    raise ConformanceError(
        f"{result.model} must not run: {worst.quantity} of {worst.structure} is off by {off_by} "
        f"(tolerance {worst.tolerance:g}; got {_short(worst.measured)}, pinned {_short(worst.pinned)}); "
        f"{failed} of {len(result.differences)} numbers fail{_hint(worst)}; "
        f"{'the environment has ' + ', '.join(changed) if changed else 'all versions are the pinned ones'}; "
        f"rebuild the environment '{result.environment}'"
    )


def _short(values: Iterable[float]) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"


def _hint(worst: Difference) -> str:
    """Name the classic mistake when the numbers look like one."""
    got, want = np.array(worst.measured), np.array(worst.pinned)
    norm = float(want @ want)
    ratio = float(got @ want) / norm if norm > 0 else 1.0
    if worst.quantity == "energy_ev_per_atom" or np.abs(got - ratio * want).max() > 0.01 * np.abs(got).max():
        return ""
    if abs(ratio + 1) < 0.01:
        return " (it looks like a wrong sign)"
    for factor in (EV_PER_ANG3_IN_GPA, 1 / EV_PER_ANG3_IN_GPA):
        if worst.quantity == "stress_gpa" and abs(ratio / factor - 1) < 0.01:
            return f" (it is {factor:.4g} times the pinned one: GPa and eV/A^3 mixed up)"
    return ""


def pin(model: Model, structures: Mapping[str, Atoms], tolerance: Mapping[str, float]) -> str:
    """Return the YAML block ``conformance:`` of a registry entry, from what the model gives here and now.

    Structures with an element that the model does not know are left out.
    """
    versions = {
        name: version.split("+")[0]
        for name, version in model.versions.items()
        if name not in NO_PART_IN_A_MODEL
    }
    lines = [
        "    conformance:",
        f"      environment: {{{', '.join(f'{name}: {version!r}' for name, version in versions.items())}}}",
        f"      tolerance: {{{', '.join(f'{key}: {value:g}' for key, value in tolerance.items())}}}",
        "      structures:",
    ]
    for name, atoms in structures.items():
        try:
            values = measure(model, atoms)
        except ElementError:
            continue
        force, stress = (
            ", ".join(f"{v:.6f}" for v in vs) for vs in (values.force_ev_per_ang, values.stress_gpa)
        )
        lines += [
            f"        {name}:",
            f"          energy_ev_per_atom: {values.energy_ev_per_atom:.7f}",
            f"          force_ev_per_ang: [{force}]",
            f"          stress_gpa: [{stress}]",
        ]
    return "\n".join(lines) + "\n"
