"""Training by the packages' own trainers, in whatever environment this runs: real labels (data/labels), few epochs."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

pytest.importorskip("torch", reason="no PyTorch here")

from pesbench.benchmarks.fine_tuning import Settings, restart_file
from pesbench.benchmarks.fine_tuning.frames import energy_reference, referred, split
from pesbench.benchmarks.fine_tuning.train import _example
from pesbench.engine.predictions import predict, read_predictions, to_bytes
from pesbench.engine.training.families import open_session
from pesbench.engine.training.loop import Example, Plan, Session, train
from pesbench.errors import RecordError
from pesbench.failures import Failure
from pesbench.models.loaders import load_model
from pesbench.models.registry import ModelEntry, load_registry
from pesbench.models.tuned import load_tuned
from pesbench.records import Record, read_records
from pesbench.sources.frames import Frame
from pesbench.sources.labelled import read_labels

ROOT = Path(__file__).resolve().parents[2]
RECORD = Path("results/fine_tuning/model/chunks/run.jsonl")
# Model -> what must be installed to train it.
MODELS = {
    "chgnet-0.3.0": ("chgnet",),
    "m3gnet-matgl-pes": ("matgl", "lightning"),
    "tiny-mace": ("mace",),
    "tiny-mace-heads": ("mace",),
}
HERE = [name for name, packages in MODELS.items() if all(map(importlib.util.find_spec, packages))]
if not HERE:
    pytest.skip("no family that can be trained is installed here", allow_module_level=True)
PLAN = Plan("all", 3, 1, 1e-3, 1e-5, 0.1, 100.0, 0.1, seed=0)


@pytest.fixture(params=HERE)
def entry(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    """A model that can be trained here, in an empty folder."""
    name = request.param
    if name in tiny.TINY:
        tiny.make(name, tmp_path)
        (tmp_path / "data").mkdir()
        shutil.copy(tmp_path / "models.yaml", tmp_path / "data/models.yaml")
    else:
        shutil.copytree(ROOT / "data", tmp_path / "data", ignore=shutil.ignore_patterns("prototypes"))
        weights = ROOT / "results/inputs/weights" / name
        if name.startswith("m3gnet"):
            if not weights.is_dir():
                pytest.skip(f"the weights of {name} are not here: make weights")
            shutil.copytree(weights, tmp_path / "results/inputs/weights" / name)
    monkeypatch.chdir(tmp_path)
    return load_registry(Path("data/models.yaml")).get(name)


@pytest.fixture
def frames() -> list[Frame]:
    """Real labels of silicon: one frame to train on, one held out."""
    found = read_labels(ROOT / "data/labels/gpaw_rattled_mp-149.extxyz")
    return [replace(f, split=s) for f, s in zip(found[:2], ("train", "test"), strict=True)]


def session_of(entry: ModelEntry, frames: list[Frame], plan: Plan = PLAN) -> Session:
    label = frames[0]
    start = (
        np.zeros(1) if plan.part == "scratch" else predict([label], load_model(entry).calculator).energy_ev
    )
    example = _example(label, energy_reference([label], start))
    return open_session(entry, [example], [example], plan)


def test_the_trainer_starts_from_what_the_loader_says(entry: ModelEntry, frames: list[Frame]) -> None:
    found = predict(frames[:1], load_model(entry).calculator)
    report = session_of(
        entry, frames, replace(PLAN, learning_rate=1e-12, final_learning_rate=0.0)
    ).run_epoch()
    own = np.abs(found.forces_ev_per_ang - found.forces_dft_ev_per_ang).mean()
    assert report["valid_force_mae_ev_per_ang"] == pytest.approx(own, rel=1e-3)
    assert report["valid_energy_mae_ev_per_atom"] < 1e-4, "the labels count from where the model does"


@pytest.mark.parametrize("quantity", ["energy", "force", "stress"])
def test_every_label_is_learned_in_the_loader_s_units(
    entry: ModelEntry, frames: list[Frame], quantity: str
) -> None:
    """One quantity alone in the loss: its error, as the loader computes it afterwards, all but goes."""
    weights = {f"{name}_weight": float(name == quantity) for name in ("energy", "force", "stress")}
    # M3GNet learns slowly; a tiny network of random weights swings at first and gets smaller steps too.
    steps: dict[str, Any] = {"epochs": 25 if entry.name == "chgnet-0.3.0" else 100}
    steps["learning_rate"] = 5e-4 if entry.name in tiny.TINY else 2e-3
    plan = replace(PLAN, **steps, **weights)
    before = predict(frames[:1], load_model(entry).calculator)
    label = replace(
        frames[0], energy_ev=float(before.energy_ev[0]) + 0.4
    )  # 0.05 eV/atom, half the offset kept
    session = open_session(entry, [_example(label, {})], [_example(label, {})], plan)
    train(session, plan, "key", Path("state.pt"), keep_best=False)
    after = answers(entry, session, [label])
    assert error(after, quantity) < 0.5 * error(predict([label], load_model(entry).calculator), quantity)


def error(found: Any, quantity: str) -> float:
    names = {"energy": "energy{}_ev", "force": "forces{}_ev_per_ang", "stress": "stress{}_ev_per_ang3"}
    ours, label = (getattr(found, names[quantity].format(which)) for which in ("", "_dft"))
    return float(np.abs(ours - label).mean())


def answers(entry: ModelEntry, session: Session, frames: list[Frame]) -> Any:
    from pesbench.models.tuned import DESCRIPTION, describe

    folder = Path("tuned")
    folder.mkdir()
    files = session.files()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / DESCRIPTION).write_text(describe(entry, files, session.parameters))
    return predict(frames, load_tuned(folder).calculator)


@pytest.mark.parametrize("part", ["last_layer", "readout", "all", "scratch"])
def test_only_the_weights_of_a_part_move(entry: ModelEntry, frames: list[Frame], part: str) -> None:
    session = session_of(entry, frames, replace(PLAN, part=part))
    before = {name: value.detach().clone() for name, value in session.network.named_parameters()}
    session.run_epoch()
    moved = sum(v.numel() for n, v in session.network.named_parameters() if not v.equal(before[n]))
    total = sum(v.numel() for v in before.values())
    assert 0 < moved <= session.trained <= total
    if part in ("last_layer", "readout"):
        assert session.trained < total / 2
        assert session.trained == sum(v.numel() for v in before.values() if v.requires_grad) or moved > 0
    else:
        assert moved > total / 2


def test_from_scratch_nothing_of_the_published_weights_is_left(
    entry: ModelEntry, frames: list[Frame]
) -> None:
    known = predict(frames[:1], load_model(entry).calculator)
    scratch = answers(entry, session_of(entry, frames, replace(PLAN, part="scratch")), frames[:1])
    assert error(scratch, "force") != pytest.approx(error(known, "force"), rel=0.02)
    other = session_of(entry, frames, replace(PLAN, part="scratch", seed=1)).network.state_dict()
    same = session_of(entry, frames, replace(PLAN, part="scratch")).network.state_dict()
    again = session_of(entry, frames, replace(PLAN, part="scratch")).network.state_dict()
    assert all(same[name].equal(again[name]) for name in same)
    assert not all(same[name].equal(other[name]) for name in same)


def test_a_training_that_explodes_is_a_record(entry: ModelEntry, frames: list[Frame]) -> None:
    record = job(
        entry, frames, {"epochs": 30, "learning_rate": 10.0, "final_learning_rate": 9.0, "force_weight": 1e6}
    )
    if record.status == "ok":  # a network with normalized layers may bear it
        pytest.skip("this network bears a learning rate of 10")
    assert record.status == "failed" and record.stage == "training" and "exploded" in record.message
    assert "smaller learning_rate" in record.message and record.files == {}


def test_a_number_that_is_none_ends_the_training(entry: ModelEntry, frames: list[Frame]) -> None:
    session = session_of(entry, frames)
    next(p for p in session.network.parameters() if p.requires_grad).data.fill_(float("nan"))
    with pytest.raises(Failure, match=r"exploded: .* is not finite in epoch 1 of 3"):
        train(session, PLAN, "key", Path("state.pt"))


def test_the_state_of_another_training_is_not_gone_on_from(entry: ModelEntry, frames: list[Frame]) -> None:
    state = Path("state.pt")
    train(session_of(entry, frames), PLAN, "one", state)
    before = train(session_of(entry, frames), PLAN, "one", state).history
    assert len(before) == 3
    session = session_of(entry, frames)
    calls: list[int] = []
    run_epoch = session.run_epoch
    session.run_epoch = lambda: calls.append(0) or run_epoch()  # type: ignore[func-returns-value]
    train(session, PLAN, "another", state)
    assert len(calls) == 3
    state.write_bytes(b"half")
    with pytest.raises(RecordError, match=r"state\.pt: cannot be read; delete it"):
        train(session_of(entry, frames), PLAN, "one", state)


# --- the job


def prepare(entry: ModelEntry, frames: list[Frame], settings: dict[str, Any], folder: Path) -> list[str]:
    """Write what a job needs and return its command; its name is all-1-silicon-0."""
    from pesbench.sources.interface import Provenance
    from pesbench.sources.labelled import write_labels

    labels, answers = folder / "silicon.extxyz", folder / "silicon.predictions.npz"
    fields = dict.fromkeys(Provenance.__dataclass_fields__, "test")
    write_labels(labels, frames, Provenance(**fields))
    answers.write_bytes(to_bytes(predict(frames, load_model(entry).calculator)))
    told = {"model": entry.name, "part": "all", "count": 1, "set": "silicon", "seed": 0, "file_part": ""}
    told |= {"level_of_theory": "", "predictions": str(answers), "device": "cpu"}
    whole = asdict(Settings(**{"epochs": 6, "most_frame_passes": 0, **settings}))
    asked = {"benchmark": "fine_tuning", "model": entry.name, "settings": whole}
    asked["structures"] = {"all-1-silicon-0": str(labels)}
    command = [sys.executable, str(ROOT / "scripts/fine_tune.py"), json.dumps(asked), json.dumps(told)]
    return [*command, str(RECORD)]


def job(entry: ModelEntry, frames: list[Frame], settings: dict[str, Any]) -> Record:
    command = prepare(entry, frames, settings, Path.cwd())
    subprocess.run(command, check=True, env=environment())
    [record] = read_records(RECORD)
    return record


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}


def test_a_killed_job_goes_on_at_its_last_epoch_and_ends_with_the_same_bytes(
    entry: ModelEntry, frames: list[Frame]
) -> None:
    whole = job(entry, frames, {})
    kept = {name: Path("results/fine_tuning/model/files", name).read_bytes() for name in whole.files}
    assert len(whole.values["history"]) == 6 and len(kept) >= 4
    command = prepare(entry, frames, {}, Path.cwd())
    shutil.rmtree("results/fine_tuning/model")
    state, kills = restart_file(entry.name, "all-1-silicon-0"), 0
    state.unlink(missing_ok=True)
    for _ in range(2):
        seen = state.stat().st_mtime_ns if state.exists() else 0
        process = subprocess.Popen(command, env=environment())
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if state.exists() and state.stat().st_mtime_ns != seen:
                process.send_signal(signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.001)
        process.wait()
    assert kills and not RECORD.exists()
    assert state.exists()
    subprocess.run(command, check=True, env=environment())
    [record] = read_records(RECORD)
    again = {name: Path("results/fine_tuning/model/files", name).read_bytes() for name in record.files}
    assert again == kept
    timed = {"train_seconds"}
    assert {k: v for k, v in record.values.items() if k not in timed} == {
        k: v for k, v in whole.values.items() if k not in timed
    }
    assert not state.exists(), "a finished job leaves no state"


def test_the_tuned_model_is_loaded_in_three_lines_and_verified(
    entry: ModelEntry, frames: list[Frame]
) -> None:
    from pesbench.errors import CheckpointError

    record = job(entry, frames, {})
    folder = Path("results/fine_tuning/model/files/all-1-silicon-0")
    model = load_tuned(folder)
    kept = read_predictions(Path("results/fine_tuning/model/files/all-1-silicon-0.predictions.npz"))
    again = predict(frames[1:], model.calculator)
    assert again.ids.tolist() == [frames[1].id] and record.values["train_ids"] == [frames[0].id]
    assert np.allclose(again.forces_ev_per_ang, kept.forces_ev_per_ang, atol=1e-6)
    started = predict(frames[:1], load_model(entry).calculator)
    assert error(predict(frames[:1], model.calculator), "force") < error(started, "force")
    [largest] = sorted(folder.glob("*[!n]"), key=lambda p: p.stat().st_size)[-1:]
    largest.write_bytes(largest.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="is not the pinned checkpoint and was not opened"):
        load_tuned(folder)


def test_too_few_labels_are_named(entry: ModelEntry, frames: list[Frame]) -> None:
    with pytest.raises(Failure, match="the set has 1 training frames, 10 are asked for"):
        split(frames, [f.forces_ev_per_ang for f in frames], 10, 0, 0.1)
    with pytest.raises(Failure, match="no split into train and test"):
        split(frames[:1], [frames[0].forces_ev_per_ang], 1, 0, 0.1)


def test_an_energy_is_referred_by_the_atoms_of_each_element(frames: list[Frame]) -> None:
    assert referred(frames[0], {14: -1.5}) == pytest.approx(frames[0].energy_ev + 12.0)
    assert isinstance(_example(frames[0], {}), Example)
