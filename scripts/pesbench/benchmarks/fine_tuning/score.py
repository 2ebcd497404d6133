"""Published, corrected and fine-tuned models on the same held-out frames: errors, slopes, and who is better."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase.data import atomic_numbers

from pesbench.benchmarks.fine_tuning.answers import Answers, Row, answers_of, reference_of
from pesbench.benchmarks.fine_tuning.settings import parse
from pesbench.benchmarks.fine_tuning.train import PREDICTIONS
from pesbench.benchmarks.fine_tuning.verdict import verdict_table
from pesbench.correction import CorrectionError, factor
from pesbench.engine.predictions import read_predictions
from pesbench.metrics import whole_counts
from pesbench.naming import chunk_records, kept_file, single_record
from pesbench.records import Record

PUBLISHED = Path("data/published/focassio2024_t1_rmse.csv")
RESAMPLES = 1000


def tables(
    records: Mapping[str, list[Record]], levels: Mapping[str, str], seed: int
) -> dict[str, pd.DataFrame]:
    """Return every table of `pesbench.benchmarks.fine_tuning.TABLES` from the records of each model's runs."""
    rows = [row for model, of in records.items() for row in _rows(model, of, levels[model])]
    lines = pd.DataFrame([row.known | _scores(row.answers, seed) for row in rows])
    main = whole_counts(lines.sort_values(["set", "model", "n_labels", "method", "seed"], kind="stable"))
    return {
        "fine_tuning": main.reset_index(drop=True),
        "fine_tuning_verdict": verdict_table(rows, seed),
        "fine_tuning_costs": costs_table(records),
        "focassio2024_t1_fine_tuning": focassio_table(rows),
    }


def _rows(model: str, records: list[Record], level: str) -> Iterator[Row]:
    """Yield the rows of one model: as published, corrected with each run's labels, and each run itself."""
    for labels in sorted({parse(r.id)["set"] for r in records}):
        of_set = [r for r in records if parse(r.id)["set"] == labels]
        theory = next((r.values["labels_level_of_theory"] for r in of_set if r.values), "")
        known = {"set": labels, "model": model, "level_of_theory": level, "labels_level_of_theory": theory}
        yield from _published_rows(known, of_set)
        for record in of_set:
            run = parse(record.id)
            values = record.values
            told = {
                "method": run["part"],
                "n_labels": run["count"],
                "seed": run["seed"],
                "n_train": len(values.get("train_ids", [])),
                "epochs": len(values.get("history", [])),
                "best_epoch": values.get("best_epoch", float("nan")),
                "trained_parameters": values.get("trained_parameters", float("nan")),
                "status": record.status,
                "message": record.message,
                "record": f"{chunk_records('fine_tuning', model, record.id)}#{record.id}",
            }
            yield Row(known | told, _tuned(model, record) if record.status == "ok" else None)


def _published_rows(known: dict[str, Any], records: list[Record]) -> Iterator[Row]:
    """Yield the published model as it is, and times the c of each choice of labels that a run was trained on."""
    path = Path(
        kept_file(
            single_record("high_energy", known["model"], known["set"]), f"{known['set']}.predictions.npz"
        )
    )
    done = [r for r in records if r.status == "ok"]
    if not path.is_file() or not done:
        return
    found = read_predictions(path)
    number = {name: i for i, name in enumerate(found.ids.tolist())}
    test = [number[i] for i in _test_ids(known["model"], done[0])]
    common = {"status": "ok", "message": "", "n_train": 0}
    held = set(test)
    reference = reference_of(found.take(np.array([i for i in range(len(found.ids)) if i not in held])))
    start = answers_of(found.take(np.array(test)), reference)
    yield Row(known | {"method": "pretrained", "n_labels": 0, "seed": 0, "record": str(path)} | common, start)
    chosen = {(parse(r.id)["count"], parse(r.id)["seed"]): _label_ids(r) for r in done}
    # The first label of any run is the one that a correction from one label takes.
    chosen |= {(1, parse(r.id)["seed"]): _label_ids(r)[:1] for r in done}
    model, dft = found.split(found.forces_ev_per_ang), found.split(found.forces_dft_ev_per_ang)
    for (count, seed), ids in sorted(chosen.items()):
        told = {
            "method": "correction",
            "n_labels": count,
            "seed": seed,
            "n_train": count,
            "record": str(path),
        }
        try:
            y, x = (np.concatenate([side[number[i]].ravel() for i in ids]) for side in (model, dft))
            c = factor(y, x)
        except CorrectionError as error:
            yield Row(known | told | {"status": "failed", "message": str(error)}, None)
            continue
        nothing = np.full(len(test), np.nan)
        yield Row(
            known | common | told | {"c": c},
            Answers(start.ids, [c * y for y in start.model], start.dft, nothing),
        )


def _label_ids(record: Record) -> list[str]:
    return list(dict.fromkeys([*record.values["train_ids"], *record.values["valid_ids"]]))


def _kept(model: str, record: Record, suffix: str = PREDICTIONS) -> Path:
    return Path(kept_file(chunk_records("fine_tuning", model, record.id), f"{record.id}{suffix}"))


def _test_ids(model: str, record: Record) -> list[str]:
    found = read_predictions(_kept(model, record))
    return [*found.ids.tolist(), *found.failed_ids.tolist()]


def _tuned(model: str, record: Record) -> Answers:
    reference = {atomic_numbers[s]: e for s, e in record.values["energy_reference_ev"].items()}
    return answers_of(read_predictions(_kept(model, record)), reference)


def _scores(answers: Answers | None, seed: int) -> dict[str, Any]:
    """Return the errors with their bootstrap 95 % intervals, whole frames being drawn."""
    if answers is None:
        return {"n_frames": 0, "n_components": 0}
    errors, energy = answers.frame_errors, answers.energy_ev_per_atom
    products = np.array([[y @ x, x @ x] for y, x in zip(answers.model, answers.dft, strict=True)])
    drawn = np.random.default_rng(seed).integers(0, len(errors), size=(RESAMPLES, len(errors)))
    lines: dict[str, Any] = {"n_frames": len(errors), "n_components": int(errors[:, 1].sum())}
    for name, pairs in (("force_mae{}_ev_per_ang", errors), ("slope{}", products)):
        sums = pairs[drawn].sum(axis=1)
        low, high = np.quantile(sums[:, 0] / sums[:, 1], [0.025, 0.975])
        value = float(pairs[:, 0].sum() / pairs[:, 1].sum())
        lines |= {name.format(""): value, name.format("_low"): float(low), name.format("_high"): float(high)}
    return lines | {
        "energy_mae_ev_per_atom": float(np.abs(energy).mean()),
        "energy_rmse_ev_per_atom": float(np.sqrt((energy**2).mean())),
    }


def costs_table(records: Mapping[str, list[Record]]) -> pd.DataFrame:
    """Return what each run cost: seconds of training (kills included), memory, weights."""
    rows = []
    for model, of in records.items():
        for record in of:
            run, values = parse(record.id), record.values
            seconds, history = values.get("train_seconds", float("nan")), values.get("history", [])
            passes = len(history) * len(values.get("train_ids", []))
            rows.append(
                {
                    **{"set": run["set"], "model": model, "method": run["part"]},
                    **{"n_labels": run["count"], "seed": run["seed"], "epochs": len(history)},
                    "parameters": values.get("parameters", float("nan")),
                    "train_seconds": seconds,
                    "seconds_per_epoch": seconds / len(history) if history else float("nan"),
                    "seconds_per_frame": seconds / passes if passes else float("nan"),
                    "wall_seconds": record.wall_seconds,
                    "peak_memory_mb": record.peak_memory_mb,
                    "device": values.get("plan", {}).get("device", ""),
                    "status": record.status,
                }
            )
    return whole_counts(pd.DataFrame(rows))


#: What our number is, beside a column of the paper that asks for another thing.
NOTE = (
    "energies and forces of the test frames of Zuo et al.; the paper's energies are of Materials Project bulks and "
    "slabs, which have not been fetched"
)


def focassio_table(rows: list[Row]) -> pd.DataFrame:
    """Return Table I of Focassio et al. as published, then ours: errors pooled over the elements at hand.

    Ours are of another test set than the paper's, and in columns of their own: see `NOTE`.
    """
    published = pd.read_csv(PUBLISHED, comment="#").assign(source="published")
    groups: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        if row.answers is not None and row.known["seed"] == 0 and row.known["method"] != "correction":
            groups.setdefault(tuple(row.known[k] for k in ("model", "method", "n_labels")), []).append(row)
    ours = [_pooled(key, of) for key, of in sorted(groups.items())]
    return whole_counts(pd.concat([published, pd.DataFrame(ours)], ignore_index=True))


def _pooled(key: tuple[str, str, int], rows: list[Row]) -> dict[str, Any]:
    model, method, count = key
    answers = [row.answers for row in rows if row.answers is not None]
    energy = np.concatenate([a.energy_ev_per_atom for a in answers])
    forces = np.concatenate([np.concatenate(a.model) - np.concatenate(a.dft) for a in answers])
    kind = {"pretrained": "UIP", "scratch": "GNN"}.get(method, "UIP-FT")
    return {
        "model": f"{model} [{method}]" if method != "pretrained" else model,
        "type": kind,
        "source": "ours",
        "n_labels": count,
        "sets": " ".join(sorted(row.known["set"] for row in rows)),
        "n_frames": len(energy),
        "test_energy_rmse_ev_per_atom": float(np.sqrt((energy**2).mean())),
        "test_force_rmse_ev_per_ang": float(np.sqrt((forces**2).mean())),
        "note": NOTE,
    }
