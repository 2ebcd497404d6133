"""Which sets of labelled frames there are, and what is kept of each (standard library only)."""

from __future__ import annotations

import csv
from pathlib import Path

MANIFEST = "data/manifests/high_energy.csv"
#: Suffix of the file of predictions that is kept of each set.
KEPT = ".predictions.npz"


def read_manifest(path: Path) -> list[dict[str, str]]:
    """Return the manifest: one line a set of labelled frames."""
    with open(path, encoding="utf-8") as handle:
        return list(csv.DictReader(line for line in handle if not line.startswith("#")))
