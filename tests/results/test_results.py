"""Checks on whatever results there are: rules/checks.smk runs them last, ``pytest`` where results exist.

They hold for good and bad models, for a part of the materials and for all. Everything is read and counted
here again, without the package: what a table says must follow from the records, what the ledger says from
the table.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

STATUSES = {"ok", "failed", "not_converged", "not_run"}
PUBLISHED_COLUMN = {
    "chgnet-0.3.0": "chgnet_ev_per_ang2",
    "m3gnet-mp-2021.2.8-efs": "m3gnet_ev_per_ang2",
    "mace-mp-0-medium": "mace_ev_per_ang2",
}
HALF_A_DIGIT = 0.51e-6  # tables have six decimals
Row = dict[str, str]


@dataclass(frozen=True)
class Results:
    """Everything that the checks look at, as text and plain values."""

    table: list[Row]
    metrics: list[Row]
    terminations: list[Row]
    published: dict[str, Row]
    flagged: set[tuple[str, str]]
    claims: list[dict[str, Any]]
    config: dict[str, Any]
    records: dict[str, dict[str, dict[str, Any]]]
    prototypes: Path

    @property
    def settings(self) -> dict[str, Any]:
        """Resolved settings of the surface benchmark."""
        return self.config["benchmarks"]["surfaces"]["settings"]

    def ok(self, model: str) -> list[Row]:
        """Return a model's finished rows."""
        return [row for row in self.table if row["model"] == model and row["status"] == "ok"]


def read_csv(path: Path) -> list[Row]:
    """Return a table's rows as text; lines with # are remarks."""
    with open(path, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(line for line in handle if not line.startswith("#")))


def read_records(path: Path) -> dict[str, dict[str, Any]]:
    """Return a model's merged records by material, each line's checksum compared."""
    records = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        wrapped = json.loads(line)
        body = json.dumps(wrapped["record"], sort_keys=True, separators=(",", ":"))
        record = wrapped["record"]
        assert hashlib.sha256(body.encode()).hexdigest() == wrapped["sha256"], (
            f"{path}: {record['id']} was changed"
        )
        assert record["id"] not in records, f"{path}: {record['id']} stands twice"
        records[record["id"]] = record
    return records


def load(root: Path) -> Results:
    """Read the results below a workflow's folder."""
    tables, published = root / "results" / "tables", root / "data" / "published" / "deng2025_s1_surfaces.csv"
    config = yaml.safe_load((root / "results" / "run_config.yaml").read_text(encoding="utf-8"))
    explained = read_csv(root / "data" / "explanations.csv")
    shipped = config["sources"]["structures"] == "prototypes"
    return Results(
        table=read_csv(tables / "deng2025_s1_surfaces.csv"),
        metrics=read_csv(tables / "deng2025_s1_metrics.csv"),
        terminations=read_csv(tables / "deng2025_s1_terminations.csv"),
        published={row["row"]: row for row in read_csv(published)},
        flagged={(row["row"], row["model"]) for row in explained if row["item"] == "deng2025_s1"},
        claims=json.loads((root / "results" / "claims.json").read_text(encoding="utf-8")),
        config=config,
        records={m: read_records(root / f"results/surfaces/{m}/records.jsonl") for m in config["models"]},
        prototypes=root / ("data/prototypes" if shipped else "results/inputs/materials_project"),
    )


@pytest.fixture(scope="module")
def results() -> Results:
    """The results of the folder in which the tests run."""
    names = ("tables/deng2025_s1_surfaces.csv", "claims.json", "run_config.yaml")
    absent = [name for name in names if not Path("results", name).exists()]
    if absent:
        pytest.skip(f"nothing to check: no results/{absent[0]} here")
    return load(Path())


def number(text: str) -> float | None:
    """Return a cell's number; None for an empty cell."""
    return float(text) if text else None


def surface_of(results: Results, row: Row) -> dict[str, Any] | None:
    """Return what the row's record holds of its surface."""
    record = results.records[row["model"]].get(row["mp_id"])
    wanted = (json.loads(row["miller"]), row["termination"])
    found = [
        s
        for s in (record or {"values": {}})["values"].get("surfaces", [])
        if (s["miller"], s["termination"]) == wanted
    ]
    assert len(found) <= 1, f"{row['mp_id']} {wanted}: {len(found)} entries in the record"
    return found[0] if found else None


def surfaces_that_are_ok(results: Results, model: str) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Return (material, bulk, surface) of every finished surface of a model, rows of the paper or not."""
    records = results.records[model].values()
    return [
        (r["id"], r["values"]["bulk"], s)
        for r in records
        for s in r["values"].get("surfaces", [])
        if s["status"] == "ok"
    ]


def test_every_published_row_stands_once_for_every_model(results: Results) -> None:
    assert len(results.published) == 147
    for model in results.config["models"]:
        rows = [row["row"] for row in results.table if row["model"] == model]
        assert sorted(rows, key=int) == [str(i) for i in range(1, 148)], f"{model}: {len(rows)} rows"
    assert {row["model"] for row in results.table} == set(results.config["models"])
    assert results.table == sorted(results.table, key=lambda row: (row["model"], int(row["row"])))


def test_statuses_are_the_four_words(results: Results) -> None:
    assert {row["status"] for row in results.table} <= STATUSES
    for row in results.table:
        where = f"row {row['row']} of {row['model']}"
        if row["status"] in ("ok", "not_converged") and surface_of(results, row):
            assert math.isfinite(float(row["gamma_ev_per_ang2"])), (
                f"{where} is {row['status']} without a number"
            )
        if row["status"] in ("failed", "not_run"):
            assert row["gamma_ev_per_ang2"] == "", f"{where} is {row['status']} and has a number"
        if row["status"] in ("failed", "not_converged"):
            assert row["explanation"], f"{where} is {row['status']} and does not say why"


def test_every_value_is_its_record_s(results: Results) -> None:
    for row in results.table:
        record = results.records[row["model"]].get(row["mp_id"])
        where = f"row {row['row']} of {row['model']} ({row['mp_id']} {row['miller']})"
        if row["status"] == "not_run":
            assert record is None and row["record"] == "", f"{where} is not_run and has a record"
            continue
        assert record is not None, f"{where} has no record"
        assert row["record"] == f"results/surfaces/{row['model']}/records.jsonl#{row['mp_id']}", where
        assert row["settings_digest"] == record["digests"]["settings"], where
        assert row["checkpoint_sha256"] == record["digests"]["checkpoint"], where
        surface = surface_of(results, row)
        if surface is None:
            assert row["status"] in ("failed", "not_converged"), f"{where}: no such surface in its record"
            continue
        assert row["status"] == surface["status"], where
        gamma = surface.get("gamma_ev_per_ang2")
        shown = number(row["gamma_ev_per_ang2"])
        assert (shown is None) == (gamma is None), where
        assert shown is None or abs(shown - gamma) < HALF_A_DIGIT, (
            f"{where}: {shown} in the table, {gamma} in its record"
        )


def test_published_columns_are_the_paper_s(results: Results) -> None:
    for row in results.table:
        paper, column = results.published[row["row"]], PUBLISHED_COLUMN.get(row["model"])
        where = f"row {row['row']} of {row['model']}"
        assert (row["mp_id"], row["formula"]) == (paper["mp_id"], paper["formula"]), where
        assert number(row["dft_ev_per_ang2"]) == number(paper["dft_ev_per_ang2"]), where
        assert number(row["published_ev_per_ang2"]) == (number(paper[column]) if column else None), where


def test_relative_difference_follows_from_its_columns(results: Results) -> None:
    for row in results.table:
        ours, theirs = number(row["gamma_ev_per_ang2"]), number(row["published_ev_per_ang2"])
        shown = number(row["relative_difference"])
        assert (shown is None) == (ours is None or theirs is None), f"row {row['row']} of {row['model']}"
        if shown is not None:
            assert shown == pytest.approx(ours / theirs - 1, abs=1e-6 + 1e-6 / theirs), (
                f"row {row['row']} of {row['model']}"
            )


def test_terminations_are_those_of_the_records(results: Results) -> None:
    def key(model: str, material: str, surface: dict[str, Any]) -> tuple[str, str, str, str]:
        return model, material, json.dumps(surface["miller"]), surface["termination"]

    stored = {
        key(model, r["id"], s): s
        for model, of_model in results.records.items()
        for r in of_model.values()
        for s in r["values"].get("surfaces", [])
    }
    shown = {
        (row["model"], row["mp_id"], row["miller"], row["termination"]): row for row in results.terminations
    }
    assert len(shown) == len(results.terminations)
    assert shown.keys() == stored.keys()
    for name, row in shown.items():
        gamma = stored[name].get("gamma_ev_per_ang2")
        assert row["status"] == stored[name]["status"], name
        assert gamma is None or abs(float(row["gamma_ev_per_ang2"]) - gamma) < HALF_A_DIGIT, name
    rows = [(row["model"], row["published_row"]) for row in results.terminations if row["published_row"]]
    assert len(rows) == len(set(rows)), "two terminations stand for one published row"


def test_metrics_follow_from_the_table(results: Results) -> None:
    by_key = {(row["model"], row["values"], row["set"]): row for row in results.metrics}
    assert len(by_key) == len(results.metrics)
    for model in results.config["models"]:
        rows = [row for row in results.table if row["model"] == model]
        counts = {status: sum(row["status"] == status for row in rows) for status in STATUSES}
        assert sum(counts.values()) == 147
        line = by_key.get((model, "ours", "finished"))
        assert (line is None) == (counts["ok"] == 0), f"{model}: {counts['ok']} finished rows"
        if line is None:
            continue
        assert int(line["n"]) == counts["ok"], model
        for status in ("failed", "not_converged", "not_run"):
            assert int(line[f"n_{status}"]) == counts[status], f"{model}: {status}"
        errors = [float(r["gamma_ev_per_ang2"]) - float(r["dft_ev_per_ang2"]) for r in results.ok(model)]
        mae, mean = statistics.fmean(map(abs, errors)), statistics.fmean(errors)
        assert float(line["mae_ev_per_ang2"]) == pytest.approx(mae, abs=2e-6), model
        assert float(line["mean_signed_error_ev_per_ang2"]) == pytest.approx(mean, abs=2e-6), model
        low, high = float(line["mae_low_ev_per_ang2"]), float(line["mae_high_ev_per_ang2"])
        assert low - 2e-6 <= mae <= high + 2e-6, model
        penalised = errors + [
            -float(r["dft_ev_per_ang2"]) for r in rows if r["status"] in ("failed", "not_converged")
        ]
        line = by_key[(model, "ours", "penalised")]
        assert int(line["n"]) == len(penalised), model
        assert float(line["mae_ev_per_ang2"]) == pytest.approx(
            statistics.fmean(map(abs, penalised)), abs=2e-6
        ), model


def test_the_ledger_s_numbers_follow_from_the_tables(results: Results) -> None:
    stems = {model: column.removesuffix("_ev_per_ang2") for model, column in PUBLISHED_COLUMN.items()}
    ours = {stems.get(m, m): results.ok(m) for m in results.config["models"]}
    claims = {claim["id"]: claim for claim in results.claims}
    assert claims["deng2025.surfaces.rows"]["from_published_table"] == len(results.published)
    distinct = {row["mp_id"] for row in results.published.values()}
    assert claims["deng2025.surfaces.materials"]["from_published_table"] == len(distinct)
    measures = {
        "mae": lambda errors: statistics.fmean(map(abs, errors)),
        "mean_error": statistics.fmean,
        "share_below": lambda errors: sum(e < 0 for e in errors) / len(errors),
    }
    for name, claim in claims.items():
        section, _, rest = name.removeprefix("deng2025.").partition(".")
        what, _, model = rest.partition(".")
        if section != "surfaces" or what not in measures:
            continue
        rows = ours.get(model, [])
        assert claim["n_ours"] == len(rows), name
        errors = [float(r["gamma_ev_per_ang2"]) - float(r["dft_ev_per_ang2"]) for r in rows]
        expected = pytest.approx(measures[what](errors), abs=2e-6) if rows else None
        assert claim["from_our_runs"] == expected, name
        if f"{model}_ev_per_ang2" in PUBLISHED_COLUMN.values():
            paper = results.published.values()
            errors = [float(r[f"{model}_ev_per_ang2"]) - float(r["dft_ev_per_ang2"]) for r in paper]
            assert claim["from_published_table"] == pytest.approx(measures[what](errors), abs=2e-6), name


def test_finished_relaxations_met_the_threshold(results: Results) -> None:
    threshold, most = results.settings["fmax_ev_per_ang"], results.settings["max_steps"]
    for model in results.config["models"]:
        for material, bulk, surface in surfaces_that_are_ok(results, model):
            where = f"{model}, {material} {surface['miller']} {surface['termination']}"
            for part in (bulk, surface):
                assert part["fmax_ev_per_ang"] <= threshold * (1 + 1e-6), where
                assert part["steps"] <= most, where


def test_slabs_are_as_thick_as_asked(results: Results) -> None:
    """Atoms, area and bulk density give a slab's thickness again: a wrong area would scale gamma."""
    for model in results.config["models"]:
        for material, bulk, surface in surfaces_that_are_ok(results, model):
            filled = surface["n_atoms"] * volume(bulk) / bulk["n_atoms"] / surface["area_ang2"]
            where = f"{model}, {material} {surface['miller']} {surface['termination']}"
            assert filled >= 0.999 * results.settings["min_slab_ang"], f"{where}: {filled:.2f} A of bulk"
            # From the outermost atoms' centers; one gap between layers less than the bulk that it holds.
            assert filled - 4 < surface["thickness_ang"] < filled + 1, (
                f"{where}: {surface['thickness_ang']:.2f} A"
            )


def test_surface_energies_are_physical(results: Results) -> None:
    """In the median, so that a bad model's odd surface is a result and a wrong unit an error."""
    for model in results.config["models"]:
        gammas = [s["gamma_ev_per_ang2"] for _, _, s in surfaces_that_are_ok(results, model)]
        if gammas:
            assert 0 < statistics.median(gammas) < 1, f"{model}: median {statistics.median(gammas)} eV/A^2"


def test_relaxed_cells_are_near_their_structures(results: Results) -> None:
    """Within 15 % in volume, in the median of three materials or more (see above)."""
    for model in results.config["models"]:
        changes = {
            name: volume(record["values"]["bulk"]) / prototype_volume(results.prototypes / f"{name}.yaml") - 1
            for name, record in results.records[model].items()
            if record["status"] == "ok"
        }
        middle = statistics.median(map(abs, changes.values())) if len(changes) >= 3 else 0.0
        assert middle <= 0.15, f"{model}: relaxed volumes are off by {changes}"


def test_models_of_the_paper_give_the_paper_s_values(results: Results) -> None:
    """Four of five unflagged rows are within 10 %: the same checkpoint in the same protocol."""
    for model in sorted(set(PUBLISHED_COLUMN) & set(results.config["models"])):
        rows = [
            row
            for row in results.ok(model)
            if results.flagged.isdisjoint({(row["row"], model), (row["row"], "*")})
        ]
        near = [row for row in rows if abs(float(row["relative_difference"])) <= 0.10]
        assert len(rows) < 10 or len(near) >= 0.8 * len(rows), (
            f"{model}: {len(near)} of {len(rows)} rows within 10 %"
        )


def test_records_say_what_they_cost_and_which_software_made_them(results: Results) -> None:
    for model, records in results.records.items():
        for name, record in records.items():
            where = f"{model}, {name}"
            assert {"python", "ase", "pymatgen", "numpy"} <= record["versions"].keys(), where
            assert record["wall_seconds"] > 0 and record["peak_memory_mb"] > 10, where
            if record["status"] == "ok":
                steps = [record["values"]["bulk"], *record["values"]["surfaces"]]
                assert record["evaluations"] >= sum(part["steps"] for part in steps), where


def volume(bulk: dict[str, Any]) -> float:
    """Return a cell's volume (angstrom^3) from lengths and angles."""
    (a, b, c), (x, y, z) = bulk["lengths_ang"], (math.cos(math.radians(v)) for v in bulk["angles_deg"])
    return a * b * c * math.sqrt(1 - x * x - y * y - z * z + 2 * x * y * z)


def prototype_volume(path: Path) -> float:
    """Return the volume (angstrom^3) of a structure file's conventional cell."""
    box = yaml.safe_load(path.read_text(encoding="utf-8"))["lattice"]
    names = (("a_ang", "b_ang", "c_ang"), ("alpha_deg", "beta_deg", "gamma_deg"))
    return volume(
        dict(zip(("lengths_ang", "angles_deg"), ([box[k] for k in keys] for keys in names), strict=True))
    )
