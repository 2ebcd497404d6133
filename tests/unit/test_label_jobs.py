"""Labels as jobs: every frame is committed, a killed job goes on at the next, what did not converge has no label.

EMT stands in for the DFT code: the jobs do not care.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.io import read

from pesbench.benchmarks.sampling import Settings
from pesbench.dft.gpaw import refuse_hubbard
from pesbench.dft.result import Label
from pesbench.dft.settings import DftSettings
from pesbench.errors import ConfigError, RecordError
from pesbench.failures import Failure
from pesbench.jobs import Job, OnFile, run_job
from pesbench.label_jobs import frames_of, label_frames, write_decks
from pesbench.label_slopes import as_text, slopes, write_csv
from pesbench.records import read_records

COPPER = Path(__file__).parents[2] / "data/prototypes/mp-30.yaml"
SAMPLED = Path("results/sampling/rattled/chunks/mp-30.jsonl")
RECORDS, FRAMES = Path("results/labels/gpaw/chunks/a.jsonl"), Path("results/labels/gpaw/rattled/mp-30.extxyz")
JOB = Job("labels", "gpaw", {}, asdict(DftSettings()))


class Code:
    """A DFT code's stand-in that counts its calls; some of them fail."""

    def __init__(self, failures: dict[int, Exception]) -> None:
        self.failures, self.calls = failures, 0

    def __call__(self, atoms: Atoms, settings: DftSettings, folder: Path) -> Label:
        self.calls += 1
        if self.calls in self.failures:
            raise self.failures[self.calls]
        work = atoms.copy()
        work.calc = EMT()
        energy = work.get_potential_energy()
        return Label(energy, energy, work.get_forces(), work.get_stress(), "EMT", {"scf_steps": 1})


@pytest.fixture
def sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three rattled cells of copper, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pesbench.label_jobs.check_ready", lambda settings: None)
    settings = asdict(Settings(rattled_cells=3))
    job = Job("sampling", "rattled", {"mp-30": str(COPPER)}, settings)
    run_job(job, OnFile(), OnFile, SAMPLED, io.StringIO())
    return SAMPLED


def test_a_killed_job_goes_on_at_the_next_frame(sampled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = Code({3: KeyboardInterrupt()})
    monkeypatch.setattr("pesbench.dft.label.label", killed)
    with pytest.raises(KeyboardInterrupt):
        label_frames(JOB, sampled, RECORDS, FRAMES)
    assert killed.calls == 3 and not FRAMES.exists() and not RECORDS.exists()
    second = Code({})
    monkeypatch.setattr("pesbench.dft.label.label", second)
    label_frames(JOB, sampled, RECORDS, FRAMES)
    assert second.calls == 1
    assert [r.id for r in read_records(RECORDS)] == [f"mp-30-rattled-0{n}" for n in range(3)]
    label_frames(JOB, sampled, RECORDS, FRAMES)
    assert second.calls == 1, "a finished job labels nothing again"


def test_the_labels_are_those_of_the_frames_and_say_where_they_are_from(
    sampled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pesbench.dft.label.label", Code({}))
    label_frames(JOB, sampled, RECORDS, FRAMES)
    for atoms, (name, path) in zip(read(FRAMES, ":"), frames_of(sampled).items(), strict=True):
        assert atoms.info == {"frame_id": name, "material": "mp-30", "level_of_theory": "EMT"}
        start = read(path)
        start.calc = EMT()
        assert atoms.positions == pytest.approx(start.positions)
        assert atoms.get_forces() == pytest.approx(start.get_forces(), abs=1e-7)
        assert atoms.get_potential_energy() == pytest.approx(start.get_potential_energy(), abs=1e-7)
        assert atoms.get_stress() == pytest.approx(start.get_stress(), abs=1e-9)


def test_what_did_not_converge_has_a_record_and_no_label(
    sampled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = Failure("dft", "electrons not converged after 100 steps", status="not_converged")
    monkeypatch.setattr("pesbench.dft.label.label", Code({2: refusal}))
    label_frames(JOB, sampled, RECORDS, FRAMES)
    records = read_records(RECORDS)
    assert [r.status for r in records] == ["ok", "not_converged", "ok"]
    assert records[1].values == {} and records[1].files == {}
    assert [a.info["frame_id"][-1] for a in read(FRAMES, ":")] == ["0", "2"]


def test_other_settings_label_anew(sampled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = Code({})
    monkeypatch.setattr("pesbench.dft.label.label", code)
    label_frames(JOB, sampled, RECORDS, FRAMES)
    label_frames(replace(JOB, settings={**JOB.settings, "cutoff_ev": 700.0}), sampled, RECORDS, FRAMES)
    assert code.calls == 6


def test_a_changed_frame_is_refused(sampled: Path) -> None:
    path = Path(frames_of(sampled)["mp-30-rattled-01"])
    path.write_text(path.read_text() + "\n")
    with pytest.raises(RecordError, match="mp-30-rattled-01"):
        frames_of(sampled)


def test_decks_are_written_for_every_frame(sampled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PMG_VASP_PSP_DIR", raising=False)
    write_decks(DftSettings(code="vasp"), sampled, Path("decks.txt"))
    lines = Path("decks.txt").read_text().splitlines()
    assert len(lines) == 3 and all("needs the POTCAR" in line for line in lines)
    assert all((Path(line.split()[0]) / "POSCAR").is_file() for line in lines)


def test_the_slope_of_a_scaled_model_is_its_scale(
    sampled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("pesbench.dft.label.label", Code({}))
    label_frames(JOB, sampled, RECORDS, FRAMES)

    class Soft(EMT):
        def get_forces(self, atoms: Atoms):
            return 0.8 * super().get_forces(atoms)

    (tmp_path / "none.extxyz").touch()
    [row] = slopes(Soft(), [FRAMES, tmp_path / "none.extxyz"])
    assert row.slope == pytest.approx(0.8, abs=1e-6)
    assert (row.material, row.formula, row.frames, row.components) == ("mp-30", "Cu", 3, 72)
    assert (row.slope_low, row.slope_high) == pytest.approx((0.8, 0.8), abs=1e-6), "no scatter, no interval"
    assert row.mae_ev_per_ang > 0.01 and "0.800" in as_text([row], "soft")
    write_csv(tmp_path / "t.csv", [row], "soft")
    assert (tmp_path / "t.csv").read_text().splitlines()[1].startswith("soft,mp-30,Cu,3,72,0.800000,")


def test_the_interval_of_a_slope_holds_the_scatter_of_the_atoms(
    sampled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pesbench.dft.label.label", Code({}))
    label_frames(JOB, sampled, RECORDS, FRAMES)
    widths = []
    for noise in (0.05, 0.5):

        class Noisy(EMT):
            def get_forces(self, atoms: Atoms, noise: float = noise):
                return super().get_forces(atoms) + noise * np.random.default_rng(1).normal(
                    size=(len(atoms), 3)
                )

        [row] = slopes(Noisy(), [FRAMES])
        assert row.slope_low < row.slope < row.slope_high
        widths.append(row.slope_high - row.slope_low)
    assert widths[1] == pytest.approx(10 * widths[0], rel=0.3)


@pytest.mark.parametrize(
    ("formula", "refused"), [("NiO", True), ("Ni", False), ("MgO", False), ("FeF2", True)]
)
def test_gpaw_does_not_label_what_has_a_hubbard_u(formula: str, refused: bool) -> None:
    atoms = Atoms(formula, positions=[[2.0 * i, 0, 0] for i in range(len(Atoms(formula)))], cell=[6, 6, 6])
    if not refused:
        return refuse_hubbard(atoms)
    with pytest.raises(Failure, match="Hubbard U"):
        refuse_hubbard(atoms)


@pytest.mark.parametrize(("key", "value"), [("code", "qe"), ("cutoff_ev", 10.0), ("max_scf_steps", 0)])
def test_settings_out_of_range_are_named(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        DftSettings(**json.loads(json.dumps({key: value})))
