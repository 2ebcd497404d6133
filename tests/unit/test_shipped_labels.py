"""The shipped DFT labels of hot snapshots (data/labels) are what the records of their jobs say."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pesbench.naming import shipped_labels
from pesbench.records import Record, bytes_digest, read_records
from pesbench.sources.labelled import read_labels

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "data" / "labels").glob("gpaw_hot_*.extxyz"))


@pytest.fixture(scope="module")
def records() -> dict[str, Record]:
    return {r.id: r for r in read_records(ROOT / "data" / "labels" / "gpaw_hot.labels.jsonl")}


def frames_of(path: Path) -> dict[str, bytes]:
    """Return each frame of a file as its job wrote it, by the number it has in the file."""
    lines = path.read_bytes().splitlines(keepends=True)
    count = int(lines[0]) + 2
    return {f"{n // count:02d}": b"".join(lines[n : n + count]) for n in range(0, len(lines), count)}


def test_there_are_labels_for_at_least_six_materials_of_the_table() -> None:
    with open(ROOT / "data" / "manifests" / "deng2025_s1.csv", encoding="utf-8") as handle:
        listed = {line["mp_id"] for line in csv.DictReader(x for x in handle if not x.startswith("#"))}
    materials = {path.stem.removeprefix("gpaw_hot_") for path in FILES}
    assert len(materials) >= 6 and materials <= listed
    assert all((ROOT / shipped_labels(m)).is_file() for m in materials)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_frames_are_those_of_converged_records(path: Path, records: dict[str, Record]) -> None:
    material = path.stem.removeprefix("gpaw_hot_")
    for number, data in frames_of(path).items():
        record = records[f"{material}-chgnet-0.3.0-{number}"]
        assert record.status == "ok" and record.files == {f"{record.id}.extxyz": bytes_digest(data)}
        evidence = record.values["evidence"]
        assert evidence["cutoff_ev"] == 600 and evidence["force_change_below_ev_per_ang"] <= 0.005
        assert record.versions["gpaw"] == "26.7.0"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_frames_are_far_from_equilibrium_and_balanced(path: Path) -> None:
    frames = read_labels(path)
    assert {frame.level_of_theory for frame in frames} == {"PBE (GPAW)"} and len(frames) == 2
    for frame in frames:
        assert np.abs(frame.forces_ev_per_ang).max() > 0.2
        assert np.abs(frame.forces_ev_per_ang.sum(axis=0)).max() < 0.02, "forces do not add up to nothing"
        assert 0 < len(frame.atoms) <= 12 and frame.stress_ev_per_ang3 is not None


def test_the_sampling_was_at_the_temperature_of_the_paper() -> None:
    sampled = {r.id: r for r in read_records(ROOT / "data" / "labels" / "gpaw_hot.sampling.jsonl")}
    assert set(sampled) == {path.stem.removeprefix("gpaw_hot_") for path in FILES}
    for record in sampled.values():
        assert record.status == "ok" and record.values["steps"] == 500
        # 8 atoms over half the run: the kinetic temperature scatters by some 100 K.
        assert record.values["mean_temperature_kelvin"] == pytest.approx(1000, abs=250)
