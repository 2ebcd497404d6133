"""Times of sampling and labels, from records."""

from __future__ import annotations

from pathlib import Path

import pytest

from pesbench.label_times import COLUMNS, times_table
from pesbench.records import Record, read_records

SHIPPED = Path(__file__).parents[2] / "data" / "labels"


def label(number: int, status: str, seconds: float, steps: int) -> Record:
    evidence = {"code": "gpaw", "cutoff_ev": 600.0, "kpoint_mesh": [3, 3, 2 + number], "scf_steps": steps}
    values = {"evidence": evidence} if status == "ok" else {}
    message = "" if status == "ok" else "no convergence in 100 steps"
    name = f"mp-1-emt-{number:02d}"
    return Record(name, "labels", "gpaw", status, {}, values=values, message=message, wall_seconds=seconds)


def test_a_line_adds_up_its_records() -> None:
    values = {"formula": "Si8", "atoms": 8, "steps": 500, "mean_temperature_kelvin": 990.0}
    sampled = Record("mp-1", "sampling", "emt", "ok", {}, values=values, wall_seconds=12.5)
    labels = [label(0, "ok", 20.0, 11), label(1, "ok", 30.0, 14), label(2, "not_converged", 70.0, 100)]
    [line] = times_table([([sampled], labels)]).to_dict("records")
    assert (line["n_ok"], line["n_failed"], line["n_not_converged"]) == (2, 0, 1)
    assert (line["sampling_seconds"], line["label_seconds_mean"], line["label_seconds_largest"]) == (
        12.5,
        40,
        70,
    )
    assert (line["kpoint_mesh"], line["scf_steps_largest"]) == ("3 x 3 x 2, 3 x 3 x 3", 14)
    assert line["message"] == "no convergence in 100 steps"


def test_an_exploded_trajectory_has_a_line_without_labels() -> None:
    lost = Record("mp-2", "sampling", "emt", "failed", {}, message="exploded", wall_seconds=3.0)
    [line] = times_table([([lost], [])]).to_dict("records")
    assert line["sampling_status"] == "failed" and line["n_ok"] == 0 and line["message"] == "exploded"
    assert list(times_table([]).columns) == list(COLUMNS)


def test_the_shipped_records_say_what_they_cost() -> None:
    sampled = read_records(SHIPPED / "gpaw_hot.sampling.jsonl")
    labels = read_records(SHIPPED / "gpaw_hot.labels.jsonl")
    table = times_table(
        ([one], [r for r in labels if r.id.startswith(f"{one.id}-chgnet")]) for one in sampled
    )
    assert len(table) >= 6 and (table["n_ok"] == 2).all() and (table["n_atoms"] == 8).all()
    assert table["label_seconds_mean"].to_numpy().sum() * 2 == pytest.approx(
        sum(r.wall_seconds for r in labels)
    )
