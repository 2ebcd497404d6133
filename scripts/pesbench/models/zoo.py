"""Which models could run here: what of each is installed, fetched and proven, and what is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pesbench.models.registry import ModelEntry, Registry
from pesbench.naming import conformance, weights, weights_folder

SIZE_GB = re.compile(r"^# size-gb: ([\d.]+)$", flags=re.MULTILINE)
HEAD = (
    "model",
    "environment",
    "installed",
    "weights",
    "conformant",
    "parameters",
    "ms/atom",
    "level of theory",
)


@dataclass(frozen=True)
class Standing:
    """How far one model is from running.

    Attributes
    ----------
    conformant
        ``yes``; ``not checked``; ``not pinned`` (the registry has no values yet); ``NO`` (the check failed).
    milliseconds_per_atom
        Of one evaluation (energy, forces, stress) with one thread, as measured with the conformance check.
    """

    entry: ModelEntry
    installed: bool
    weights: str
    conformant: str
    milliseconds_per_atom: float | None

    @property
    def provable(self) -> bool:
        """Whether the conformance check can run: environment, weights and values are there."""
        return (
            self.installed and self.weights not in (MISSING, UNPINNED) and self.entry.conformance is not None
        )

    def cells(self) -> tuple[str, ...]:
        """Return the line of the table."""
        cost = "" if self.milliseconds_per_atom is None else f"{self.milliseconds_per_atom:.2f}"
        parameters = "" if self.entry.parameters is None else f"{self.entry.parameters:,}"
        return (
            *(self.entry.name, self.entry.environment, "yes" if self.installed else "no", self.weights),
            *(self.conformant, parameters, cost, self.entry.level_of_theory),
        )


MISSING = "missing"
UNPINNED = "no SHA-256 yet"


def size_gb(pins: Path) -> float:
    """Return how much disk an environment takes, as the head of its pinned requirements says (measured)."""
    found = SIZE_GB.search(pins.read_text(encoding="utf-8"))
    return float(found[1]) if found else 0.0


def is_installed(environment: str, root: Path) -> bool:
    """Return whether an environment was built to its end."""
    return (root / ".venvs" / f"{environment}.ok").is_file()


def standing(entry: ModelEntry, root: Path) -> Standing:
    """Return how far one model of the registry is, by the files below the workflow's folder ``root``."""
    installed, result = is_installed(entry.environment, root), root / conformance(entry.name)
    proven = _read(result)
    if proven.get("checkpoint_sha256") != entry.checkpoint_sha256:
        proven = {}
    log = root / f"results/logs/conformance/{entry.name}.log"
    refused = log.is_file() and "error:" in log.read_text(errors="replace")
    verdict = "yes" if proven else "NO" if refused else "not checked"
    return Standing(
        entry=entry,
        installed=installed,
        weights=_weights(entry, installed, root),
        conformant="not pinned" if entry.conformance is None else verdict if installed else "",
        milliseconds_per_atom=proven.get("milliseconds_per_atom"),
    )


def _read(result: Path) -> dict[str, Any]:
    """Return a proof; nothing where there is none, or a kill left half of one."""
    try:
        return dict(json.loads(result.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _weights(entry: ModelEntry, installed: bool, root: Path) -> str:
    """Return where the weights are; what stands in a file is only verified when a model is loaded."""
    checkpoint = entry.checkpoint
    if checkpoint.where == "none":
        return "needs none"
    if checkpoint.where == "wheel":
        folder = root / ".venvs" / entry.environment / "lib"
        inside = any(folder.glob(f"python3*/site-packages/{checkpoint.package}/{checkpoint.path}"))
        return "in the package" if inside or not installed else MISSING
    if not checkpoint.pinned:
        return UNPINNED
    if checkpoint.where == "fetched":
        files = [root / weights_folder(entry.name) / name for name in checkpoint.files]
        there = (root / weights(entry.name)).is_file() and all(path.is_file() for path in files)
        return "fetched" if there else MISSING
    return "in a file" if (root / checkpoint.path).is_file() else MISSING


def overview(registry: Registry, root: Path) -> str:
    """Return the table of every registered model, and below it what to type for what is missing."""
    standings = [standing(entry, root) for entry in registry.models.values()]
    rows = [HEAD, *(each.cells() for each in standings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join([*lines, "", *mends(standings, root)]) + "\n"


def mends(standings: Iterable[Standing], root: Path) -> list[str]:
    """Return one line for each kind of thing that is missing: what, and the command that brings it."""
    standings = list(standings)
    absent = sorted({s.entry.environment for s in standings if not s.installed})
    lines = []
    if absent:
        total = sum(size_gb(root / "envs" / f"{name}.txt") for name in absent)
        command = f'make environments FAMILIES="{" ".join(absent)}"'
        lines.append(
            f"Environments not installed ({total:.1f} GB in all; leave out what you do not need): {command}"
        )
    if any(s.installed and s.weights == MISSING for s in standings):
        names = ", ".join(s.entry.name for s in standings if s.installed and s.weights == MISSING)
        lines.append(f"Weights not fetched ({names}): make weights")
    for name in (s.entry.name for s in standings if s.conformant == "NO"):
        lines.append(f"{name} must not run: results/logs/conformance/{name}.log says why")
    unpinned = [s.entry.name for s in standings if s.conformant == "not pinned"]
    if unpinned:
        lines.append(
            f"Not proven by anybody yet ({', '.join(unpinned)}): who has the weights pins their sums and what they "
            "give; the head of data/models.yaml says how"
        )
    return lines or ["Every registered model can run."]
