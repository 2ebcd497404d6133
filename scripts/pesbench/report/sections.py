"""The report's sections on the run itself: ledger, failures, cost, models, texts, records."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from pesbench.records import Record
from pesbench.report.parts import (
    Cell,
    Fold,
    Section,
    dict_table,
    number_cell,
    slug,
    status_cell,
    verdict_cell,
)

CLAIM_COLUMNS = {
    "published": "Published",
    "from_published_table": "Published table",
    "from_our_runs": "Our runs",
    "note": "Note",
    "tolerance": "Tolerance",
    "unit": "Unit",
    "published_on_our_rows": "Published table, our rows",
    "id": "Id",
}


def short(value: object) -> Cell:
    """Return a value of the ledger or of the registry: numbers with six significant digits, lists joined."""
    if isinstance(value, float):
        return Cell(f"{value:.6g}", value)
    if isinstance(value, list | tuple):
        return Cell(", ".join(short(v).text for v in value))
    if isinstance(value, Mapping):
        return Cell("; ".join(f"{k}: {short(v).text}" for k, v in value.items()))
    return number_cell(value)


def ledger_section(claims: list[dict[str, Any]]) -> Section:
    """Return the claims of the papers with the numbers that speak for or against them."""
    rows = [
        {
            "Verdict": verdict_cell(str(claim.get("verdict", "not run"))),
            "Claim": Cell(f"{claim.get('claim', '')} ({claim.get('place', '')})"),
            "Rows": _rows_cell(claim),
            **{title: short(claim.get(key)) for key, title in CLAIM_COLUMNS.items()},
        }
        # What our runs say comes first.
        for claim in sorted(claims, key=lambda claim: not claim.get("n_ours"))
    ]
    counts: dict[str, int] = {}
    for claim in claims:
        verdict = str(claim.get("verdict", "not run")).replace("_", " ")
        counts[verdict] = counts.get(verdict, 0) + 1
    intro = (
        "; ".join(f"{verdict}: {n}" for verdict, n in sorted(counts.items())) or "No claim was checked yet."
    )
    return Section("ledger", "Ledger of claims", intro, tables=[dict_table("claims", "Claims", rows)])


def _rows_cell(claim: Mapping[str, Any]) -> Cell:
    """Return how many of a claim's rows we have."""
    n, total = claim.get("n_ours") or 0, claim.get("n_total") or 0
    return Cell(f"{n}/{total}", float(n)) if total else Cell("")


def parts_of(record: Record) -> list[dict[str, Any]]:
    """Return the entries of a record's values that have a status of their own (surfaces, defects ...)."""
    lists = (value for value in record.values.values() if isinstance(value, list))
    return [part for entries in lists for part in entries if isinstance(part, dict) and "status" in part]


def failures_section(records: Iterable[Record]) -> Section:
    """Return what failed or did not converge, each with the message of its record."""
    rows = []
    for record in records:
        if record.status != "ok" and record.message:
            rows.append(_failure(record, "", record.status, f"{record.stage}: {record.message}"))
        for part in parts_of(record):
            if part["status"] != "ok":
                what = " ".join(short(part[k]).text for k in ("miller", "termination") if k in part)
                rows.append(_failure(record, what, str(part["status"]), str(part.get("message", ""))))
    intro = "" if rows else "Nothing failed."
    return Section(
        "failures", "Failed and not converged", intro, tables=[dict_table("failed", "Failures", rows)]
    )


def _failure(record: Record, what: str, status: str, message: str) -> dict[str, Cell]:
    return {
        "Model": Cell(record.model),
        "Material": Cell(record.id, link=f"#{anchor(record)}"),
        "Part": Cell(what),
        "Status": status_cell(status),
        "Message": Cell(message),
    }


def anchor(record: Record) -> str:
    """Return the name of a record on the page."""
    return slug("record", record.benchmark, record.model, record.id)


def cost_section(records: Iterable[Record], benchmarks: Path | None) -> Section:
    """Return what each material and each job cost."""
    materials = [
        {
            "Model": Cell(record.model),
            "Benchmark": Cell(record.benchmark),
            "Material": Cell(record.id, link=f"#{anchor(record)}"),
            "Status": status_cell(record.status),
            "Wall time (s)": number_cell(record.wall_seconds, 1),
            "In the model (%)": number_cell(_percent(record.model_seconds, record.wall_seconds), 0),
            "Evaluations": number_cell(record.evaluations),
            "Per evaluation (s)": number_cell(_ratio(record.wall_seconds, record.evaluations), 3),
            "Peak memory (MB)": number_cell(record.peak_memory_mb, 0),
        }
        for record in records
    ]
    jobs = (
        []
        if benchmarks is None or not benchmarks.is_dir()
        else [
            {"Job": Cell(path.relative_to(benchmarks).with_suffix("").as_posix()), **_job(path)}
            for path in sorted(benchmarks.rglob("*.tsv"))
            if path.stem != "report"  # its own cost is not known yet
        ]
    )
    total = sum(record.wall_seconds for record in records)
    tables = [
        dict_table("cost-models", "By model", _cost_by_model(records)),
        dict_table("cost-materials", "By material (from the records)", materials),
        dict_table("cost-jobs", "By job (the workflow's benchmark files)", jobs),
    ]
    intro = f"{total:.0f} s in {len(materials)} records."
    return Section("cost", "Cost", intro, tables=tables)


def _cost_by_model(records: Iterable[Record]) -> list[dict[str, Cell]]:
    by_model: dict[str, list[Record]] = {}
    for record in records:
        by_model.setdefault(record.model, []).append(record)
    return [
        {
            "Model": Cell(model),
            "Materials": number_cell(len(own)),
            "Wall time (s)": number_cell(sum(r.wall_seconds for r in own), 1),
            "In the model (%)": number_cell(
                _percent(sum(r.model_seconds for r in own), sum(r.wall_seconds for r in own)), 0
            ),
            "Evaluations": number_cell(sum(r.evaluations for r in own)),
            "Peak memory (MB)": number_cell(max(r.peak_memory_mb for r in own), 0),
        }
        for model, own in sorted(by_model.items())
    ]


def _ratio(seconds: float, evaluations: int) -> float | None:
    return seconds / evaluations if evaluations else None


def _percent(part: float, whole: float) -> float | None:
    return 100.0 * part / whole if whole else None


def _job(path: Path) -> dict[str, Cell]:
    """Return the columns of one benchmark file that people ask for."""
    with open(path, encoding="utf-8") as handle:
        line = next(iter(csv.DictReader(handle, delimiter="\t")), {})
    wanted = {
        "s": "Wall time (s)",
        "cpu_time": "CPU time (s)",
        "max_rss": "Peak memory (MB)",
        "mean_load": "Load (%)",
    }
    return {title: _tsv_cell(line.get(name, "")) for name, title in wanted.items()}


def _tsv_cell(text: str) -> Cell:
    try:
        return Cell(f"{float(text):.1f}", float(text))
    except ValueError:
        return Cell(text)


def models_section(
    registry: Mapping[str, Any], conformance: Mapping[str, Any], ran: Iterable[str]
) -> Section:
    """Return each model's checkpoint, level of theory, licence, citation and conformance result."""
    chosen = set(ran) | set(conformance)
    rows = []
    for name, entry in registry.get("models", {}).items():
        checkpoint = entry.get("checkpoint", {})
        citation = str(entry.get("citation", ""))
        rows.append(
            {
                "Model": Cell(name),
                "In this run": Cell(
                    "yes" if name in chosen else "no", tone="" if name in chosen else "muted"
                ),
                "Parameters": number_cell(entry.get("parameters")),
                "Level of theory": Cell(str(entry.get("level_of_theory", ""))),
                "Conformance": conformance_cell(conformance.get(name)),
                "Citation": Cell(
                    citation, link=f"https://doi.org/{citation}" if citation.startswith("10.") else ""
                ),
                "Licence": Cell(str(entry.get("licence", ""))),
                "Family": Cell(str(entry.get("family", ""))),
                "Checkpoint": Cell(f"{checkpoint.get('package', '')} {checkpoint.get('path', '')}".strip()),
                "sha256": Cell(str(checkpoint.get("sha256", ""))),
            }
        )
    folds = [
        Fold(
            slug("conformance", name),
            f"Conformance of {name}",
            json.dumps(result, indent=2, ensure_ascii=False),
        )
        for name, result in sorted(conformance.items())
    ]
    return Section(
        "models", "Models and checkpoints", tables=[dict_table("registry", "Models", rows)], folds=folds
    )


def conformance_cell(result: Mapping[str, Any] | None) -> Cell:
    """Return whether a model gave its pinned numbers, and its worst difference."""
    if result is None:
        return Cell("– not checked", tone="muted")
    passed, worst = result["passed"], result["worst"]
    off = f"{worst['off_by']:.1e} (tolerance {worst['tolerance']:g})"
    told = f", worst: {worst['quantity']} of {worst['structure']}, off by {off}"
    return Cell(f"{'✓ conforms' if passed else '✗ does not conform'}{told}", tone="good" if passed else "bad")


def records_section(records: Iterable[Record]) -> Section:
    """Return every record, folded."""
    folds = [
        Fold(
            anchor(record),
            f"{record.model}, {record.benchmark}, {record.id}: {status_cell(record.status).text}",
            json.dumps(asdict(record), indent=2, ensure_ascii=False),
        )
        for record in records
    ]
    intro = f"{len(folds)} records; each number of the tables above links to the one that it is from."
    return Section("records", "Records", intro if folds else "No record yet.", folds=folds)


def text_section(id: str, title: str, intro: str, texts: Mapping[str, str]) -> Section:
    """Return texts to unfold: the configuration, the environments."""
    folds = [Fold(slug(id, name), name, text) for name, text in sorted(texts.items())]
    return Section(id, title, intro if folds else "Nothing here yet.", folds=folds)


def inputs_section(paths: Mapping[str, Path]) -> Section:
    """Return the digest of every file that the page was made from."""
    rows = [
        {
            "Input": Cell(name),
            "File": Cell(path.name),
            "sha256": Cell(hashlib.sha256(path.read_bytes()).hexdigest()),
        }
        for name, path in paths.items()
    ]
    intro = "The page holds no time of its own: the same files give the same page."
    return Section(
        "inputs", "Files that this page was made from", intro, tables=[dict_table("files", "Files", rows)]
    )


def read_yaml(path: Path | None) -> dict[str, Any]:
    """Return a YAML mapping, empty where the file is not there."""
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path and path.exists() else {}
