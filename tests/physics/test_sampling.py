"""Hot dynamics and rattled cells: temperatures, strains, seeds, what a kill loses, what an explosion becomes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read

from pesbench.benchmarks.sampling import Settings, seed_of
from pesbench.engine.md import MdSettings, check_sound, run_md
from pesbench.engine.states import rattled, starting_cell, strained, strains
from pesbench.failures import Failure
from pesbench.jobs import Job, OnFile, run_job
from pesbench.models.loaders import load_model
from pesbench.models.registry import load_registry
from pesbench.records import read_records
from pesbench.sources.prototypes import load_prototype

ROOT = Path(__file__).resolve().parents[2]
COPPER = ROOT / "data/prototypes/mp-30.yaml"
EMT = load_registry(ROOT / "data/models.yaml").get("emt")
QUICK = Settings(temperature_kelvin=600.0, length_ps=0.8, snapshots=4, strained=2, min_atoms=8)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the working folder: the state of a trajectory lies below it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sample(settings: Settings, output: Path, sampler: str = "emt", structure: Path = COPPER):
    """Run one material through the sampling as a job does; return its record and its frames."""
    job = Job("sampling", sampler, {structure.stem: str(structure)}, asdict(settings))
    model = OnFile() if sampler == "rattled" else load_model(EMT)
    run_job(job, OnFile() if sampler == "rattled" else EMT, lambda: model, output, io.StringIO())
    [record] = read_records(output)
    folder = output.parent.parent / "files"
    return record, [read(folder / name, format="extxyz") for name in sorted(record.files)]


@pytest.mark.parametrize("kelvin", [300.0, 1000.0])
def test_the_thermostat_holds_its_temperature(here: Path, kelvin: float) -> None:
    """Mean over 1.6 ps of 32 atoms: its own scatter is about 4 %."""
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    settings = MdSettings(kelvin, 3.2, 8.0 if kelvin < 500 else 4.0, 20.0, 4)
    found = run_md(atoms, load_model(EMT).calculator, settings, 7, "emt", here / "state.npz")
    assert found.mean_temperature_kelvin == pytest.approx(kelvin, rel=0.15)
    assert len(found.snapshots) == 4
    # Harmonic at heart: the mean square displacement is some hundredths of A^2, and grows with the temperature.
    moved = np.mean(
        [
            (
                (s.get_distances(0, range(1, 32), mic=True) - atoms.get_distances(0, range(1, 32), mic=True))
                ** 2
            ).mean()
            for s in found.snapshots
        ]
    )
    assert 0.2 < moved / (kelvin / 1000.0 * 0.06) < 5.0


def test_half_the_snapshots_are_strained_as_stated(here: Path) -> None:
    record, frames = sample(QUICK, here / "sampling/emt/chunks/a.jsonl")
    free = starting_cell(load_prototype(COPPER).structure, 8)
    assert len(free) == 8 and len(frames) == 4
    assert record.values["strains"] == [0.0, 0.03, 0.0, -0.03]
    for strain, frame in zip(record.values["strains"], frames, strict=True):
        assert frame.cell.array == pytest.approx((1 + strain) * free.cell.array, abs=1e-6)
        assert frame.info["material"] == "mp-30"
    assert record.values["seed"] == seed_of(0, "mp-30") and record.values["steps"] == 400
    assert record.evaluations >= 400


def test_a_strained_snapshot_keeps_its_fractions() -> None:
    atoms = rattled(bulk("Cu", cubic=True), 0.1, 3)
    long = strained(atoms, 0.03)
    assert long.get_scaled_positions() == pytest.approx(atoms.get_scaled_positions())
    assert long.get_volume() == pytest.approx(1.03**3 * atoms.get_volume())


@pytest.mark.parametrize(("count", "number"), [(10, 4), (4, 2), (3, 0), (5, 5), (1, 1)])
def test_strains_come_in_turn(count: int, number: int) -> None:
    found = strains(count, number, 0.03)
    used = [s for s in found if s]
    assert len(found) == count and len(used) == number
    assert used == [0.03 if turn % 2 == 0 else -0.03 for turn in range(number)]


def test_rattled_cells_are_many_different_and_of_the_stated_width(here: Path) -> None:
    settings = replace(QUICK, rattled_cells=40, min_atoms=32)
    _, frames = sample(settings, here / "sampling/rattled/chunks/a.jsonl", "rattled")
    start = starting_cell(load_prototype(COPPER).structure, 32)
    moved = np.array([frame.positions - start.positions for frame in frames])
    assert moved.shape == (40, 32, 3) and moved.std() == pytest.approx(0.1, rel=0.03)
    assert len({tuple(cell.ravel().round(6)) for cell in moved}) == 40


def test_seeds_differ_by_material_and_by_the_run_s_seed() -> None:
    assert len({seed_of(seed, material) for seed in (0, 1) for material in ("mp-30", "mp-81", "mp-149")}) == 6


def test_another_seed_gives_another_trajectory_and_the_same_seed_the_same(here: Path) -> None:
    runs = [
        sample(replace(QUICK, length_ps=0.1, seed=seed), here / f"{n}/emt/chunks/a.jsonl")[0].files
        for n, seed in enumerate((0, 0, 1))
    ]
    assert runs[0] == runs[1] and not set(runs[0].values()) & set(runs[2].values())


def test_a_killed_trajectory_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL in the middle of the dynamics; the next attempt starts from the saved state, not from the start."""
    settings = replace(QUICK, length_ps=2.4)
    job = json.dumps(asdict(Job("sampling", "emt", {"mp-30": str(COPPER)}, asdict(settings))))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts"), "OMP_NUM_THREADS": "1"}

    def start(folder: Path) -> subprocess.Popen[bytes]:
        (folder / "data").mkdir(parents=True, exist_ok=True)
        (folder / "data/models.yaml").write_bytes((ROOT / "data/models.yaml").read_bytes())
        words = [
            sys.executable,
            str(ROOT / "scripts/run_chunk.py"),
            job,
            "results/sampling/emt/chunks/mp-30.jsonl",
        ]
        return subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.DEVNULL)

    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process, state = start(killed), killed / "results/sampling/emt/restart/mp-30.npz"
    for _ in range(2000):
        if state.exists() or process.poll() is not None:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with np.load(state) as saved:
        assert 100 <= saved["step"] < 1200
    for folder in (killed, whole):
        assert start(folder).wait() == 0
    [first], [second] = (read_records(f / "results/sampling/emt/chunks/mp-30.jsonl") for f in (killed, whole))
    assert first.files == second.files and len(first.files) == 4
    assert first.values == second.values
    assert first.evaluations < second.evaluations, "the trajectory started anew"
    assert not state.exists()


def test_the_state_of_another_trajectory_is_left_alone(here: Path) -> None:
    atoms, emt, state = bulk("Cu", cubic=True), load_model(EMT).calculator, here / "state.npz"
    settings = MdSettings(600.0, 0.4, 4.0, 10.0, 1)
    straight = run_md(atoms, emt, settings, 1, "emt", state)

    class Cut(Exception):
        pass

    def interrupted(*arguments, **options):
        raise Cut

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pesbench.engine.md.SAVE_STEPS", 50)
        patch.setattr("pesbench.engine.md.check_sound", interrupted)
        with pytest.raises(Cut):
            run_md(atoms, emt, settings, 2, "emt", state)
    again = run_md(atoms, emt, settings, 1, "emt", state)
    assert np.array_equal(straight.snapshots[0].positions, again.snapshots[0].positions)


def test_an_exploded_trajectory_is_a_failed_record(here: Path) -> None:
    record, frames = sample(
        replace(QUICK, timestep_fs=10.0, temperature_kelvin=20_000.0, length_ps=4.0),
        here / "sampling/emt/chunks/a.jsonl",
    )
    assert record.status == "failed" and record.stage == "molecular dynamics"
    assert "exploded" in record.message and frames == []


@pytest.mark.parametrize("case", ["hot", "fused", "fallen"])
def test_each_way_to_leave_physics_is_named(case: str) -> None:
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    atoms.calc = load_model(EMT).calculator
    start = atoms.get_potential_energy()
    check_sound(atoms, 1, start, 1000.0)
    words = {"hot": "K after 1 steps", "fused": "A apart", "fallen": "below the start"}[case]
    if case == "hot":
        atoms.set_velocities(np.full((8, 3), 1.0))
    if case == "fused":
        atoms.positions[1] = atoms.positions[0] + [0.9, 0, 0]
    with pytest.raises(Failure, match=words):
        check_sound(atoms, 1, start + (8.1 if case == "fallen" else 0.0), 1000.0)


@pytest.mark.parametrize(
    ("name", "atoms"), [("mp-149", 8), ("mp-134", 8), ("mp-1265", 8), ("mp-135", 8), ("mp-7000", 9)]
)
def test_starting_cells_have_enough_atoms(name: str, atoms: int) -> None:
    structure = load_prototype(ROOT / f"data/prototypes/{name}.yaml").structure
    cell = starting_cell(structure, 8)
    assert isinstance(cell, Atoms) and len(cell) == atoms
    assert cell.get_volume() / len(cell) == pytest.approx(structure.volume / len(structure))
