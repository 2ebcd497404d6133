"""Checks on the phonon results there are: rules/checks.smk runs them last, ``pytest`` where results exist.

They hold for good and bad models, for a part of the materials and for all. Everything is read and counted here again,
without the package.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

PUBLISHED_COLUMN = {
    "chgnet-0.3.0": "chgnet_thz",
    "m3gnet-matgl-pes": "m3gnet_thz",
    "mace-mp-0-medium": "mace_thz",
}
REFERENCE = "phonondb-2018"
HALF_A_DIGIT = 0.51e-6  # tables have six decimals
GAS_CONSTANT_J_PER_K_MOL = 8.314462618
Row = dict[str, str]


@dataclass(frozen=True)
class Results:
    """Everything that the checks look at, as text and plain values."""

    root: Path
    table: list[Row]
    metrics: list[Row]
    stability: list[Row]
    published: dict[str, Row]
    config: dict[str, Any]
    records: dict[str, dict[str, dict[str, Any]]]

    def values(self) -> list[tuple[str, dict[str, Any]]]:
        """Return (model and material, values) of every finished record, references included."""
        return [
            (f"{model}, {name}", record["values"])
            for model, records in self.records.items()
            for name, record in records.items()
            if record["status"] == "ok"
        ]


def read_csv(path: Path) -> list[Row]:
    """Return a table's rows as text; lines with # are remarks."""
    with open(path, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(line for line in handle if not line.startswith("#")))


def read_records(path: Path) -> dict[str, dict[str, Any]]:
    """Return merged records by material."""
    records = [json.loads(line)["record"] for line in path.read_text(encoding="utf-8").splitlines()]
    return {record["id"]: record for record in records}


@pytest.fixture(scope="module")
def results() -> Results:
    """The results of the folder in which the tests run."""
    root, tables = Path("results"), Path("results/tables")
    for path in (tables / "deng2025_s3_metrics.csv", root / "run_config.yaml"):
        if not path.exists():
            pytest.skip(f"nothing to check: no {path} here")
    config = yaml.safe_load((root / "run_config.yaml").read_text(encoding="utf-8"))
    fetched = config["reference"] == "fetched" or REFERENCE in config["reference"]
    names = [*config["models"], *([REFERENCE] if fetched else [])]
    return Results(
        root=root / "phonons",
        table=read_csv(tables / "deng2025_s3_phonons.csv"),
        metrics=read_csv(tables / "deng2025_s3_metrics.csv"),
        stability=read_csv(tables / "phonons_stability.csv"),
        published={r["mp_id"]: r for r in read_csv(Path("data/published/deng2025_s3_phonons.csv"))},
        config=config,
        records={name: read_records(root / "phonons" / name / "records.jsonl") for name in names},
    )


def test_every_published_row_stands_once_for_every_model(results: Results) -> None:
    for model in results.config["models"]:
        rows = [row["mp_id"] for row in results.table if row["model"] == model]
        assert len(rows) == 229 and set(rows) == set(results.published), model


def test_table_says_what_records_and_the_paper_say(results: Results) -> None:
    for row in results.table:
        where, paper = f"{row['model']}, {row['mp_id']}", results.published[row["mp_id"]]
        record = results.records[row["model"]].get(row["mp_id"])
        assert float(row["dft_published_thz"]) == float(paper["dft_thz"]), where
        column = PUBLISHED_COLUMN.get(row["model"])
        assert (
            row["published_thz"] == ""
            if column is None
            else float(row["published_thz"]) == float(paper[column])
        )
        values = record["values"] if record else {}
        value = values.get("free") or values.get("path")
        if record is None or value is None:
            assert row["status"] == ("not_run" if record is None else record["status"]), where
            assert row["max_freq_thz"] == "", where
            continue
        assert row["status"] == value.get("status", record["status"]), where
        if row["status"] == "ok":
            assert abs(float(row["max_freq_thz"]) - value["max_frequency_thz"]) < HALF_A_DIGIT, where
        if row["relative_difference"] and abs(float(row["relative_difference"])) > 0.01:
            assert row["explanation"], f"{where}: more than 1 % off without a word"


def test_metrics_follow_from_the_table(results: Results) -> None:
    for model in results.config["models"]:
        ok = [row for row in results.table if row["model"] == model and row["status"] == "ok"]
        [line] = [
            r for r in results.metrics if (r["model"], r["values"], r["set"]) == (model, "ours", "finished")
        ]
        assert int(line["n"]) == len(ok) and int(line["n_not_run"]) + len(ok) <= 229, model
        if ok:
            pairs = [(float(r["max_freq_thz"]), float(r["dft_thz"] or r["dft_published_thz"])) for r in ok]
            mae = math.fsum(abs(p - d) for p, d in pairs) / len(pairs)
            below = sum(p < d for p, d in pairs) / len(pairs)
            assert float(line["mae_thz"]) == pytest.approx(mae, abs=2e-6), model
            assert float(line["share_underestimated"]) == pytest.approx(below, abs=2e-6), model


def test_models_of_the_paper_give_the_paper_s_values(results: Results) -> None:
    """Four of five rows are within 2 %: the same checkpoint in the same protocol."""
    for model in sorted(set(PUBLISHED_COLUMN) & set(results.config["models"])):
        rows = [row for row in results.table if row["model"] == model and row["status"] == "ok"]
        near = [row for row in rows if abs(float(row["relative_difference"])) <= 0.02]
        assert len(rows) < 10 or len(near) >= 0.8 * len(rows), (
            f"{model}: {len(near)} of {len(rows)} within 2 %"
        )


def test_the_database_s_forces_give_the_paper_s_dft_column(results: Results) -> None:
    for name, record in results.records.get(REFERENCE, {}).items():
        if name in results.published and record["status"] == "ok":
            ours, theirs = record["values"]["path"]["max_frequency_thz"], results.published[name]["dft_thz"]
            assert ours == pytest.approx(float(theirs), rel=1e-3), name


def test_spectra_are_physical(results: Results) -> None:
    """Three zero modes at Gamma, C_V below 3 N R, entropy and zero-point energy positive, F below the latter."""
    for where, values in results.values():
        gamma = sorted(map(abs, values["commensurate"]["gamma_thz"]))
        assert len(gamma) == 3 * values["n_atoms_primitive"], where
        assert max(gamma[:3]) < 1e-3, f"{where}: acoustic modes at {gamma[:3]} THz"
        mesh = values["mesh"]
        limit = 3 * values["n_atoms_primitive"] * GAS_CONSTANT_J_PER_K_MOL
        assert 0 < mesh["heat_capacity_j_per_k_mol"] <= limit * (1 + 1e-9), where
        assert mesh["entropy_j_per_k_mol"] > 0 and mesh["zero_point_energy_kj_per_mol"] > 0, where
        assert mesh["free_energy_kj_per_mol"] < mesh["zero_point_energy_kj_per_mol"], where
        assert mesh["max_frequency_thz"] < 150 and values["path"]["max_frequency_thz"] < 150, where
        assert 0 <= mesh["imaginary_share"] <= 1, where


def test_finished_relaxations_met_the_threshold(results: Results) -> None:
    settings = results.config["benchmarks"]["phonons"]["settings"]
    for where, values in results.values():
        if values["relaxation"]:
            assert values["relaxation"]["fmax_ev_per_ang"] <= settings["fmax_ev_per_ang"], where
            assert values["relaxation"]["steps"] <= settings["max_steps"], where
            assert values["space_group"] >= 1, where


def test_kept_files_are_those_of_the_records(results: Results) -> None:
    for model, records in results.records.items():
        for name, record in records.items():
            assert bool(record["files"]) == (record["status"] == "ok"), f"{model}, {name}"
            for file, head in record["files"].items():
                data = (results.root / model / "files" / file).read_bytes()
                assert hashlib.sha256(data).hexdigest().startswith(head), f"{model}, {file}"


def test_stability_is_counted_from_all_finished_materials(results: Results) -> None:
    for model, records in results.records.items():
        finished = sum(record["status"] == "ok" for record in records.values())
        lines = [r for r in results.stability if r["model"] == model and r["set"] == "finished"]
        assert not finished or len({r["definition"] for r in lines}) >= 5, model
        for line in lines:
            counts = [int(line[name] or 0) for name in ("n_stable", "n_unstable")]
            assert sum(counts) == int(line["n"]) <= finished, f"{model}, {line['definition']}"
