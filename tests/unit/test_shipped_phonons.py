"""The README's counts of M3GNet's phonons follow from the records that are shipped with it."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "docs" / "records" / "deng2025_s3.m3gnet-matgl-pes.jsonl.xz"


@pytest.fixture(scope="module")
def records() -> dict[str, dict[str, Any]]:
    lines = lzma.decompress(RECORDS.read_bytes()).decode().splitlines()
    return {record["id"]: record for record in (json.loads(line)["record"] for line in lines)}


@pytest.fixture(scope="module")
def deviations(records: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Status and relative deviation of the paper's and of the symmetric relaxation, by material."""
    path = ROOT / "data" / "published" / "deng2025_s3_phonons.csv"
    printed = pd.read_csv(path, comment="#").set_index("mp_id")["m3gnet_thz"]
    found = {}
    for name, record in records.items():
        parts = [record["values"].get(part) or {} for part in ("free", "path")]
        free, kept = (abs(p.get("max_frequency_thz", float("nan")) / printed[name] - 1) for p in parts)
        found[name] = {"status": parts[0].get("status", record["status"]), "free": free, "kept": kept}
    return pd.DataFrame.from_dict(found, orient="index")


@pytest.mark.parametrize(
    ("line", "column", "statuses"),
    [
        ("| M3GNet (the matgl port", "free", ["ok", "not_converged"]),
        ("| of these, converged", "free", ["ok"]),
        ("| of these, left at 500 steps", "free", ["not_converged"]),
        ("| the same rows, relaxed with the space group kept", "kept", ["ok", "not_converged", "failed"]),
    ],
)
def test_readme_counts_what_the_records_say(
    line: str, column: str, statuses: list[str], deviations: pd.DataFrame
) -> None:
    [told] = [x for x in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if x.startswith(line)]
    cells = [int(re.match(r"\d+", cell.strip())[0]) for cell in told.strip(" |").split("|")[1:]]
    values = deviations.loc[deviations["status"].isin(statuses), column].dropna()
    assert cells == [len(values), *(int((values < limit).sum()) for limit in (0.001, 0.01, 0.02))]


def test_records_are_of_one_model_and_one_protocol(records: dict[str, dict[str, Any]]) -> None:
    assert {record["model"] for record in records.values()} == {"m3gnet-matgl-pes"}
    for name in ("settings", "checkpoint"):
        assert len({record["digests"][name] for record in records.values()}) == 1
    dear = [record["values"].get("free") or {} for record in records.values()]
    assert all(free["steps"] <= 500 for free in dear if "steps" in free)
