"""The README's counts of the DFT's and the models' phonons follow from the records that are shipped with it."""

from __future__ import annotations

import json
import lzma
import re
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
#: Each model's column of the published table, and how the README calls it.
MODELS = {
    "m3gnet-matgl-pes": ("m3gnet_thz", "M3GNet"),
    "chgnet-0.3.0": ("chgnet_thz", "CHGNet"),
}
LIMITS = (0.001, 0.01, 0.02)


def printed(column: str) -> pd.Series:
    path = ROOT / "data" / "published" / "deng2025_s3_phonons.csv"
    return pd.read_csv(path, comment="#").set_index("mp_id")[column]


@cache
def records(model: str) -> dict[str, dict[str, Any]]:
    path = ROOT / "docs" / "records" / f"deng2025_s3.{model}.jsonl.xz"
    lines = lzma.decompress(path.read_bytes()).decode().splitlines()
    return {record["id"]: record for record in (json.loads(line)["record"] for line in lines)}


@cache
def deviations(model: str) -> pd.DataFrame:
    """Status and relative deviation of the paper's and of the symmetric relaxation, by material."""
    published = printed(MODELS[model][0])
    found = {}
    for name, record in records(model).items():
        parts = [record["values"].get(part) or {} for part in ("free", "path")]
        free, kept = (abs(p.get("max_frequency_thz", float("nan")) / published[name] - 1) for p in parts)
        found[name] = {"status": parts[0].get("status", record["status"]), "free": free, "kept": kept}
    return pd.DataFrame.from_dict(found, orient="index")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("relaxation", "column", "statuses"),
    [
        ("as published", "free", ["ok", "not_converged"]),
        ("of these, converged", "free", ["ok"]),
        ("of these, left at 500 steps", "free", ["not_converged"]),
        ("space group kept", "kept", ["ok", "not_converged", "failed"]),
    ],
)
def test_readme_counts_what_the_records_say(
    relaxation: str, column: str, statuses: list[str], model: str
) -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    [told] = [c for c in cells if c[0].startswith(MODELS[model][1]) and c[1].startswith(relaxation)]
    found = deviations(model)
    values = found.loc[found["status"].isin(statuses), column].dropna()
    counted = [len(values), *(int((values < limit).sum()) for limit in LIMITS)]
    assert [int(re.match(r"\d+", cell)[0]) for cell in told[2:]] == counted  # type: ignore[index]


@pytest.mark.parametrize("model", MODELS)
def test_records_are_of_every_row_one_model_and_one_protocol(model: str) -> None:
    assert len(records(model)) == 229
    assert {record["model"] for record in records(model).values()} == {model}
    for name in ("settings", "checkpoint"):
        assert len({record["digests"][name] for record in records(model).values()}) == 1
    free = [record["values"].get("free") or {} for record in records(model).values()]
    assert all(found["steps"] <= 500 for found in free if "steps" in found)


def test_the_dft_column_is_the_printed_one() -> None:
    path = {name: record["values"]["path"] for name, record in records("phonondb-2018").items()}
    found = pd.Series({name: values["max_frequency_thz"] for name, values in path.items()})
    largest = (found / printed("dft_thz") - 1).abs()
    assert len(found) == 229 and largest.max() < 2.45e-5, "README: worst 0.0024 %"
    assert largest.max() > 2.35e-5
