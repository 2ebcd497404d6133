"""One run: labels in, a trained model, its answers for the test frames, and what was used, out."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from pesbench.benchmarks.fine_tuning.frames import Split, energy_reference, referred, split
from pesbench.benchmarks.fine_tuning.settings import Settings, restart_file, run_id
from pesbench.engine.predictions import predict, read_predictions, to_bytes
from pesbench.engine.training.families import open_session
from pesbench.engine.training.loop import Example, Plan, Session, train
from pesbench.failures import Failure, stage
from pesbench.models.registry import ModelEntry, load_registry
from pesbench.models.tuned import DESCRIPTION, describe, load_tuned
from pesbench.softening import slope
from pesbench.sources.frames import Frame
from pesbench.sources.labelled import read_labels

if TYPE_CHECKING:
    from pesbench.engine.predictions import Predictions

Array = NDArray[np.float64]
REGISTRY = Path("data/models.yaml")
#: Answers of the tuned model for the test frames, and for its own labels.
PREDICTIONS, ON_LABELS = ".predictions.npz", ".labels.npz"


def fine_tune(structure: Path, task: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """See `pesbench.benchmarks.fine_tuning.run`."""
    entry = load_registry(REGISTRY).get(task["model"])
    with stage("labels"):
        frames = _frames(structure, task)
        energies, forces = _published(frames, task["predictions"])
        chosen = split(frames, forces, task["count"], task["seed"], settings.validation_share)
    of_frame = {frame.id: energy for frame, energy in zip(frames, energies, strict=True)}
    start = np.array([0.0 if task["part"] == "scratch" else of_frame[f.id] for f in chosen.labels])
    reference = energy_reference(chosen.labels, start)
    plan = _plan(task, settings, len(chosen.train))
    name = run_id(task["part"], task["count"], task["set"], task["seed"])
    with stage("training"):
        training, valid = ([_example(f, reference) for f in part] for part in (chosen.train, chosen.valid))
        session = open_session(entry, training, valid, plan)
        trained = session.trained
        progress = train(session, plan, task["key"], restart_file(entry.name, name), task["count"] > 1)
        session.network.requires_grad_(True)
    symbols = {chemical_symbols[n]: e for n, e in reference.items()}
    files = _tuned_files(entry, session, task, symbols)
    found, own = _answers(files, (chosen.test, chosen.labels), plan.device)
    return {
        **_summary(found, reference),
        **_used(chosen, frames[0].level_of_theory),
        "energy_reference_ev": symbols,
        "plan": asdict(plan),
        "trained_parameters": trained,
        "parameters": session.parameters,
        "history": progress.history,
        "best_epoch": progress.best_epoch,
        "train_seconds": round(progress.seconds, 3),
        "files": {
            PREDICTIONS: to_bytes(found),
            ON_LABELS: to_bytes(own),
            **{f"/{name}": data for name, data in files.items()},
        },
    }


def _frames(structure: Path, task: Mapping[str, Any]) -> list[Frame]:
    frames = read_labels(structure, task["level_of_theory"], repeats_allowed=True)
    chosen = [f for f in frames if not task["file_part"] or f.material == task["file_part"]]
    if not chosen:
        raise Failure("labels", f"{structure}: holds no frame of {task['file_part']}")
    return chosen


def _published(frames: Sequence[Frame], predictions: str) -> tuple[list[float], list[Array]]:
    """Return the published model's energies and forces on every frame; the labels' own where no such model is asked."""
    if not predictions:
        return [0.0] * len(frames), [f.forces_ev_per_ang for f in frames]
    found = read_predictions(Path(predictions))
    forces = found.split(found.forces_ev_per_ang)
    known = {
        name: (e, f) for name, e, f in zip(found.ids.tolist(), found.energy_ev.tolist(), forces, strict=True)
    }
    missing = [frame.id for frame in frames if frame.id not in known]
    if missing:
        raise Failure(
            "labels",
            f"{predictions}: lacks {len(missing)} frames, {missing[0]} the first; set most_frames to 0",
        )
    return [known[f.id][0] for f in frames], [known[f.id][1] for f in frames]


def _plan(task: Mapping[str, Any], settings: Settings, trained: int) -> Plan:
    names = ("batch_size", "learning_rate", "final_learning_rate", "mace_channels")
    weights = ("energy_weight", "force_weight", "stress_weight")
    return Plan(
        part=task["part"],
        epochs=settings.epochs_for(trained),
        seed=task["seed"],
        device=task["device"],
        **{name: getattr(settings, name) for name in (*names, *weights)},
    )


def _example(frame: Frame, reference: dict[int, float]) -> Example:
    stress = frame.stress_ev_per_ang3
    tensor = None if stress is None else np.asarray(stress)[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
    return Example(frame.atoms, referred(frame, reference), frame.forces_ev_per_ang, tensor)


def _tuned_files(
    entry: ModelEntry, session: Session, task: Mapping[str, Any], symbols: dict[str, float]
) -> dict[str, bytes]:
    """Return the files of the tuned model and its description."""
    files = session.files()
    told = {key: task[key] for key in ("part", "count", "set", "seed")}
    text = describe(entry, files, session.parameters, **told, energy_reference_ev=symbols)
    return {**files, DESCRIPTION: text.encode()}


def _answers(files: Mapping[str, bytes], asked: Sequence[Sequence[Frame]], device: str) -> list[Predictions]:
    """Return what the tuned model, loaded as a user will load it, says of the test frames and of its labels."""
    with tempfile.TemporaryDirectory() as folder, stage("evaluation"):
        for name, data in files.items():
            Path(folder, name).write_bytes(data)
        calculator = load_tuned(folder, device, REGISTRY).calculator
        found = [predict(frames, calculator) for frames in asked]
    if not len(found[0].ids):
        raise Failure("evaluation", f"no test frame finished; the first: {found[0].failures[0]}")
    return found


def _summary(found: Predictions, reference: dict[int, float]) -> dict[str, Any]:
    model, dft = found.forces_ev_per_ang.ravel(), found.forces_dft_ev_per_ang.ravel()
    return {
        "n_test": len(found.ids),
        "n_test_failed": len(found.failed_ids),
        "force_mae_ev_per_ang": float(np.abs(model - dft).mean()),
        "slope": slope(model, dft),
    }


def _used(chosen: Split, level: str) -> dict[str, Any]:
    """Return which frames were used, and what is said about them."""
    ids = {name: [f.id for f in getattr(chosen, name)] for name in ("train", "valid", "test")}
    both = set(ids["test"]) & {*ids["train"], *ids["valid"]}
    assert not both, f"test frames among the labels: {both}"
    return {
        "train_ids": ids["train"],
        "valid_ids": ids["valid"],
        "test_ids_sha256": hashlib.sha256("\n".join(ids["test"]).encode()).hexdigest()[:16],
        "labels_level_of_theory": level,
    }
