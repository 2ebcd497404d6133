"""What hot states and their DFT labels cost, from the records of their jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pesbench.metrics import coverage_of, whole_counts
from pesbench.records import Record

COLUMNS = (
    *(
        "material",
        "formula",
        "n_atoms",
        "sampling_status",
        "n_steps",
        "mean_temperature_kelvin",
        "sampling_seconds",
    ),
    *("n_ok", "n_failed", "n_not_converged", "label_seconds_mean", "label_seconds_largest"),
    *("code", "cutoff_ev", "kpoint_mesh", "scf_steps_largest", "message"),
)


def times_table(found: Iterable[tuple[Sequence[Record], Sequence[Record]]]) -> pd.DataFrame:
    """Return one line a material, of (records of its sampling, records of its labels); times in s of one process."""
    lines = [_line(record, labels) for sampled, labels in found for record in sampled]
    return whole_counts(pd.DataFrame(lines, columns=list(COLUMNS)))


def _line(sampled: Record, labels: Sequence[Record]) -> dict[str, Any]:
    evidence = [label.values["evidence"] for label in labels if label.status == "ok"]
    seconds = [label.wall_seconds for label in labels]
    counts = coverage_of(pd.Series([label.status for label in labels], dtype=object))
    meshes = sorted({" x ".join(map(str, one["kpoint_mesh"])) for one in evidence})
    return {
        "material": sampled.id,
        "formula": sampled.values.get("formula", ""),
        "n_atoms": sampled.values.get("atoms"),
        "sampling_status": sampled.status,
        "n_steps": sampled.values.get("steps"),
        "mean_temperature_kelvin": sampled.values.get("mean_temperature_kelvin"),
        "sampling_seconds": sampled.wall_seconds,
        **{name: counts[name] for name in ("n_ok", "n_failed", "n_not_converged")},
        "label_seconds_mean": float(np.mean(seconds)) if seconds else None,
        "label_seconds_largest": max(seconds, default=None),
        "code": evidence[0]["code"] if evidence else "",
        "cutoff_ev": evidence[0].get("cutoff_ev") if evidence else None,
        "kpoint_mesh": ", ".join(meshes),
        "scf_steps_largest": max((one["scf_steps"] for one in evidence), default=None),
        "message": "; ".join(r.message for r in (sampled, *labels) if r.message),
    }
