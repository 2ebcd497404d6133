"""The checks on results must see what is wrong: a planted corruption fails the check meant for it."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def load_checks() -> ModuleType:
    """Return the module tests/results/test_results.py."""
    path = Path(__file__).parents[1] / "results" / "test_results.py"
    spec = importlib.util.spec_from_file_location("results_checks", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


CHECKS = load_checks()
ALL = sorted(name for name in vars(CHECKS) if name.startswith("test_"))


@pytest.fixture
def root(finished_once: Any, tmp_path: Path) -> Path:
    """Results of a finished run, without the workflow."""
    for part in ("results", "data"):
        shutil.copytree(finished_once.root / part, tmp_path / part)
    return tmp_path


def failing(root: Path) -> set[str]:
    """Return the checks that fail."""
    try:
        results = CHECKS.load(root)
    except AssertionError:
        return {"load"}
    failed = set()
    for name in ALL:
        try:
            getattr(CHECKS, name)(results)
        except (AssertionError, KeyError):
            failed.add(name)
    return failed


def change_csv(name: str, change: Callable[[list[dict[str, str]]], object]) -> Callable[[Path], None]:
    """Return a corruption that rewrites a table after ``change`` worked on its rows."""

    def corrupt(root: Path) -> None:
        path = root / "results" / "tables" / f"{name}.csv"
        with open(path, newline="") as handle:
            rows = list(csv.DictReader(handle))
        columns = list(rows[0])
        change(rows)
        with open(path, "w", newline="") as handle:
            writer = csv.DictWriter(handle, columns)
            writer.writeheader()
            writer.writerows(rows)

    return corrupt


def change_records(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Return a corruption of every record, with a right checksum."""

    def corrupt(root: Path) -> None:
        path = root / "results" / "surfaces" / "emt" / "records.jsonl"
        records = [json.loads(line)["record"] for line in path.read_text().splitlines()]
        for record in records:
            change(record)
        bodies = [json.dumps(record, sort_keys=True, separators=(",", ":")) for record in records]
        sums = [hashlib.sha256(body.encode()).hexdigest() for body in bodies]
        lines = [f'{{"record":{body},"sha256":"{sum_}"}}\n' for body, sum_ in zip(bodies, sums, strict=True)]
        path.write_text("".join(lines))

    return corrupt


def change_claim(name: str, key: str, value: object) -> Callable[[Path], None]:
    """Return a corruption of one number of the ledger."""

    def corrupt(root: Path) -> None:
        path = root / "results" / "claims.json"
        claims = json.loads(path.read_text())
        next(claim for claim in claims if claim["id"] == name)[key] = value
        path.write_text(json.dumps(claims))

    return corrupt


def first_ok(rows: list[dict[str, str]]) -> dict[str, str]:
    return next(row for row in rows if row["status"] == "ok")


def swap_two_values(rows: list[dict[str, str]]) -> None:
    one, two = [row for row in rows if row["status"] == "ok"][:2]
    key = "gamma_ev_per_ang2"
    one[key], two[key] = two[key], one[key]


def of_surfaces(key: str, factor: float) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        for surface in record["values"]["surfaces"]:
            surface[key] *= factor

    return change


def edit_in_place(root: Path) -> None:
    path = root / "results" / "surfaces" / "emt" / "records.jsonl"
    path.write_text(path.read_text().replace('"n_atoms":4', '"n_atoms":5', 1))


SURFACES, METRICS = "deng2025_s1_surfaces", "deng2025_s1_metrics"
CORRUPTIONS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a value changed in its fifth digit": (
        change_csv(SURFACES, lambda rows: first_ok(rows).update(gamma_ev_per_ang2="0.071234")),
        "test_every_value_is_its_record_s",
    ),
    "two values swapped": (change_csv(SURFACES, swap_two_values), "test_every_value_is_its_record_s"),
    "a foreign digest": (
        change_csv(SURFACES, lambda rows: first_ok(rows).update(settings_digest="0" * 16)),
        "test_every_value_is_its_record_s",
    ),
    "a status of our own": (
        change_csv(SURFACES, lambda rows: first_ok(rows).update(status="fine")),
        "test_statuses_are_the_four_words",
    ),
    "a finished row called not run": (
        change_csv(SURFACES, lambda rows: first_ok(rows).update(status="not_run", gamma_ev_per_ang2="")),
        "test_every_value_is_its_record_s",
    ),
    "a row dropped": (
        change_csv(SURFACES, lambda rows: rows.pop()),
        "test_every_published_row_stands_once_for_every_model",
    ),
    "a row doubled": (
        change_csv(SURFACES, lambda rows: rows.append(rows[-1])),
        "test_every_published_row_stands_once_for_every_model",
    ),
    "another DFT value": (
        change_csv(SURFACES, lambda rows: rows[5].update(dft_ev_per_ang2="0.1")),
        "test_published_columns_are_the_paper_s",
    ),
    "a published value that the paper does not have": (
        change_csv(SURFACES, lambda rows: rows[5].update(published_ev_per_ang2="0.1")),
        "test_published_columns_are_the_paper_s",
    ),
    "a difference without its columns": (
        change_csv(SURFACES, lambda rows: rows[5].update(relative_difference="0.0")),
        "test_relative_difference_follows_from_its_columns",
    ),
    "a termination dropped": (
        change_csv("deng2025_s1_terminations", lambda rows: rows.pop(0)),
        "test_terminations_are_those_of_the_records",
    ),
    "a count off by one": (
        change_csv(METRICS, lambda rows: rows[0].update(n="17")),
        "test_metrics_follow_from_the_table",
    ),
    "another error": (
        change_csv(METRICS, lambda rows: rows[0].update(mae_ev_per_ang2="0.010000")),
        "test_metrics_follow_from_the_table",
    ),
    "a claim's number": (
        change_claim("deng2025.surfaces.mean_error.emt", "from_our_runs", -0.0155),
        "test_the_ledger_s_numbers_follow_from_the_tables",
    ),
    "a claim's count": (
        change_claim("deng2025.surfaces.share_below.emt", "n_ours", 17),
        "test_the_ledger_s_numbers_follow_from_the_tables",
    ),
    "a published error": (
        change_claim("deng2025.surfaces.mae.chgnet", "from_published_table", 0.043),
        "test_the_ledger_s_numbers_follow_from_the_tables",
    ),
    "a record edited by hand": (edit_in_place, "load"),
    "both faces counted as one": (
        change_records(of_surfaces("area_ang2", 2.0)),
        "test_slabs_are_as_thick_as_asked",
    ),
    "slabs too thin": (
        change_records(of_surfaces("n_atoms", 0.5)),
        "test_slabs_are_as_thick_as_asked",
    ),
    "meV for eV": (
        change_records(of_surfaces("gamma_ev_per_ang2", 1000.0)),
        "test_surface_energies_are_physical",
    ),
    "the wrong sign": (
        change_records(of_surfaces("gamma_ev_per_ang2", -1.0)),
        "test_surface_energies_are_physical",
    ),
    "forces that are too large": (
        change_records(of_surfaces("fmax_ev_per_ang", 1000.0)),
        "test_finished_relaxations_met_the_threshold",
    ),
    "bohr for angstrom": (
        change_records(
            lambda record: record["values"]["bulk"].update(
                lengths_ang=[x / 0.529177 for x in record["values"]["bulk"]["lengths_ang"]]
            )
        ),
        "test_relaxed_cells_are_near_their_structures",
    ),
    "no evaluations": (
        change_records(lambda record: record.update(evaluations=0)),
        "test_records_say_what_they_cost_and_which_software_made_them",
    ),
    "no versions": (
        change_records(lambda record: record.update(versions={})),
        "test_records_say_what_they_cost_and_which_software_made_them",
    ),
}


def test_a_good_run_passes_every_check(root: Path) -> None:
    assert len(ALL) >= 14
    assert failing(root) == set()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_fails_its_check(root: Path, name: str) -> None:
    corrupt, check = CORRUPTIONS[name]
    corrupt(root)
    assert check in failing(root)


def test_a_model_of_the_paper_must_give_its_values(root: Path) -> None:
    """EMT under CHGNet's name is far from CHGNet's published values."""
    results = CHECKS.load(root)
    rows = [dict(row, model="chgnet-0.3.0", relative_difference="0.3") for row in results.table]
    published = [row for row in rows if row["status"] == "ok"]
    impostor = CHECKS.Results(
        **{**vars(results), "table": published, "config": {**results.config, "models": ["chgnet-0.3.0"]}}
    )
    with pytest.raises(AssertionError, match="0 of 18 rows"):
        CHECKS.test_models_of_the_paper_give_the_paper_s_values(impostor)
