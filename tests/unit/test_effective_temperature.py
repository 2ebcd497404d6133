"""Effective temperatures: a harmonic crystal whose displacements are drawn at a known temperature gives it back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms, units
from ase.build import bulk

from pesbench.benchmarks.effective_temperature import (
    MANIFEST,
    Settings,
    frame_ids,
    run,
    tasks,
    whole_sets,
)
from pesbench.effective_temperature import figure, frames_table, sets_table
from pesbench.models.calculator import Evaluation, PesCalculator
from pesbench.records import Record
from pesbench.sources.frames import Frame
from pesbench.sources.interface import Provenance
from pesbench.sources.labelled import write_labels

ROOT = Path(__file__).parents[2]
KELVIN = 700.0
REST = bulk("Cu", cubic=True) * (2, 2, 2)
SPRINGS = np.random.default_rng(1).uniform(2.0, 9.0, size=len(REST))


def harmonic(offset_ev: float = 0.0) -> PesCalculator:
    """Atoms on springs (eV/A^2) of their own to the places of their crystal; its centre of mass is free."""

    def evaluate(atoms: Atoms) -> Evaluation:
        moved = atoms.positions - REST.positions
        moved = moved - np.average(moved, axis=0, weights=SPRINGS)
        energy = offset_ev * len(atoms) + 0.5 * float((SPRINGS[:, None] * moved**2).sum())
        return Evaluation(energy, -SPRINGS[:, None] * moved, np.zeros((3, 3)))

    return PesCalculator("harmonic", evaluate, frozenset({"Cu"}))


def drawn(kelvin: float, seed: int) -> Atoms:
    atoms = REST.copy()
    widths = np.sqrt(units.kB * kelvin / SPRINGS)[:, None]
    atoms.positions += widths * np.random.default_rng(seed).normal(size=atoms.positions.shape)
    return atoms


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """40 frames of a crystal at one temperature, under 10 GPa."""
    stress = np.array([-5.0, -10.0, -15.0, 3.0, 3.0, 3.0]) * units.GPa
    frames = [
        Frame(f"f{n}", "Cu", drawn(KELVIN, n), 0.0, np.zeros((len(REST), 3)), stress, "PBE")
        for n in range(40)
    ]
    path = tmp_path / "set.extxyz"
    write_labels(path, frames, Provenance("test", "set", "1", "2026-01-01", "none", "0"))
    return path


def task(number: int) -> dict[str, object]:
    return {"frame": number, "level_of_theory": "PBE"}


def test_a_harmonic_crystal_gives_its_temperature_back(labels: Path) -> None:
    """The paper's number is 3/2 T (1 - 1/N); equipartition over the 3 N - 3 vibrations gives T itself."""
    found = [run(labels, task(n), harmonic(), Settings()) for n in range(40)]
    harmonic_kelvin = np.array([values["harmonic_temperature_kelvin"] for values in found])
    # 40 frames of 93 vibrations: a standard error of sqrt(2 / 3720) = 2.3 %.
    assert harmonic_kelvin.mean() == pytest.approx(KELVIN, rel=0.07)
    effective = np.array([values["effective_temperature_kelvin"] for values in found])
    assert effective.mean() == pytest.approx(1.5 * KELVIN * (1 - 1 / len(REST)), rel=0.07)
    assert all(values["fmax_ev_per_ang"] <= 0.01 and "status" not in values for values in found)


def test_twice_the_displacement_is_four_times_the_temperature(tmp_path: Path) -> None:
    frames = []
    for number, scale in enumerate((1.0, 2.0)):
        atoms = REST.copy()
        atoms.positions += scale * (drawn(KELVIN, 3).positions - REST.positions)
        frames.append(Frame(f"f{number}", "Cu", atoms, 0.0, np.zeros((32, 3)), None, "PBE"))
    path = tmp_path / "two.extxyz"
    write_labels(path, frames, Provenance("test", "two", "1", "2026-01-01", "none", "0"))
    one, two = (run(path, task(n), harmonic(), Settings(fmax_ev_per_ang=1e-4)) for n in (0, 1))
    assert two["effective_temperature_kelvin"] == pytest.approx(
        4 * one["effective_temperature_kelvin"], rel=1e-4
    )
    assert one["pressure_gpa"] is None


def test_the_zero_of_energies_does_not_count(labels: Path) -> None:
    one, other = (run(labels, task(0), harmonic(shift), Settings()) for shift in (0.0, -7.0))
    assert other["effective_temperature_kelvin"] == pytest.approx(
        one["effective_temperature_kelvin"], abs=1e-6
    )
    assert other["energy_ev_per_atom"] == pytest.approx(one["energy_ev_per_atom"] - 7.0)


def test_the_pressure_is_positive_under_compression(labels: Path) -> None:
    assert run(labels, task(0), harmonic(), Settings())["pressure_gpa"] == pytest.approx(10.0, rel=1e-6)


def test_a_relaxation_cut_short_gives_a_lower_bound_and_says_so(labels: Path) -> None:
    whole, cut = (run(labels, task(0), harmonic(), Settings(max_steps=n)) for n in (500, 2))
    assert cut["status"] == "not_converged" and "eV/A" in cut["message"]
    assert 0 < cut["effective_temperature_kelvin"] < whole["effective_temperature_kelvin"]


def test_frames_of_a_set_are_spaced_evenly() -> None:
    manifest = ROOT / MANIFEST
    assert set(whole_sets(manifest)) == {"mpf_alkali_tp", "mpf_tp", "random_tp"}
    assert frame_ids(manifest, "random_tp", 3) == ["random_tp-00000", "random_tp-00346", "random_tp-00692"]
    assert len(frame_ids(manifest, "mpf_tp", 0)) == 1069 == len(set(frame_ids(manifest, "mpf_tp", 0)))
    assert frame_ids(manifest, "mpf_tp", 1) == ["mpf_tp-00000"]
    assert tasks(manifest)["random_tp-00346"] == {"frame": 346, "level_of_theory": "PBE"}


@pytest.fixture
def records(labels: Path) -> list[Record]:
    found = []
    for number, steps in ((0, 500), (1, 500), (2, 2)):
        values = run(labels, task(number), harmonic(), Settings(max_steps=steps))
        status, message = values.pop("status", "ok"), values.pop("message", "")
        name = f"mpf_tp-{number:05d}"
        found.append(
            Record(name, "effective_temperature", "chgnet-0.3.0", status, {}, message=message, values=values)
        )
    lost = Record("mpf_tp-00003", "effective_temperature", "chgnet-0.3.0", "failed", {}, stage="relaxation")
    return [*found, lost]


def test_tables_count_what_converged_and_what_failed(records: list[Record]) -> None:
    frames = frames_table(records)
    assert list(frames["status"]) == ["ok", "ok", "not_converged", "failed"]
    assert np.isnan(frames["effective_temperature_kelvin"].iloc[3])
    [line] = sets_table(frames).to_dict("records")
    assert (line["n_frames"], line["n_ok"], line["n_not_converged"], line["n_failed"]) == (4, 2, 1, 1)
    assert line["effective_temperature_median_kelvin"] == pytest.approx(
        np.median([r.values["effective_temperature_kelvin"] for r in records[:3]])
    )
    assert line["pressure_largest_gpa"] == pytest.approx(10.0)


def test_the_figure_shows_each_frame_where_it_is(records: list[Record]) -> None:
    drawn_figure = figure(frames_table(records))
    [axis] = drawn_figure.axes
    assert [len(points.get_offsets()) for points in axis.collections] == [2, 1]
    assert "(K)" in drawn_figure.get_supxlabel() and "(GPa)" in drawn_figure.get_supylabel()
    told = [text.get_text() for text in axis.get_legend().get_texts()]
    assert told == ["ok, n = 2", "not converged, n = 1"]


def test_nothing_relaxed_gives_empty_tables() -> None:
    frames = frames_table([])
    assert frames.empty and sets_table(frames).empty
    assert isinstance(frames, pd.DataFrame)
    assert figure(frames).axes[0].texts[0].get_text() == "no frame has been relaxed yet"
