"""The surface benchmark's arithmetic and its table: what a row says, and which slab it is of."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pesbench.benchmarks import surfaces
from pesbench.manifests import assign, surface_manifest
from pesbench.records import Record
from pesbench.sources.prototypes import load_prototype
from pesbench.tables import read_published

ROOT = Path(__file__).parents[2]
MANIFEST, PUBLISHED = ROOT / surfaces.MANIFEST, ROOT / surfaces.PUBLISHED
LINES = surfaces.read_manifest(MANIFEST)


def record(material: str, scale: float = 1.0, model: str = "chgnet-0.3.0", **changes: Any) -> Record:
    """Return a record in which every matched slab has the published CHGNet value times ``scale``, others 0.5."""
    value = read_published(PUBLISHED).set_index("row")["chgnet_ev_per_ang2"]
    found = [
        {
            "miller": json.loads(line["miller"]),
            "termination": line["termination"],
            "shift": float(line["shift"]),
            "status": "ok",
            "message": "",
            "gamma_ev_per_ang2": scale * value[int(line["row"])] if line["row"] else 0.5,
        }
        for line in LINES
        if line["mp_id"] == material
    ]
    digests = {"settings": "s", "checkpoint": "c", "input": "i"}
    given = {"status": "ok", "values": {"bulk": {}, "surfaces": found}, **changes}
    return Record(id=material, benchmark="surfaces", model=model, digests=digests, **given)


def scored(*records: Record, model: str = "chgnet-0.3.0") -> pd.DataFrame:
    frame = surfaces.score({model: list(records)}, {model: "PBE"}, MANIFEST, PUBLISHED)
    return frame.set_index("row")


def test_surface_energy_is_the_excess_over_two_faces() -> None:
    """Ten atoms at -3 eV in a slab of -29 eV: 1 eV on two faces of 5 A^2."""
    assert surfaces.surface_energy(-29.0, 10, -3.0, 5.0) == pytest.approx(0.1)


def test_every_published_row_is_there_once_whatever_ran() -> None:
    frame = scored(record("mp-149"))
    assert list(frame.index) == list(range(1, 148))
    assert (frame["status"] == "ok").sum() == 6 and (frame["status"] == "not_run").sum() == 141
    ok = frame[frame["status"] == "ok"]
    assert ok["gamma_ev_per_ang2"].to_list() == pytest.approx(ok["published_ev_per_ang2"].to_list())
    assert frame.loc[frame["status"] == "not_run", "gamma_ev_per_ang2"].isna().all()
    assert frame.loc[82, "termination"] != frame.loc[84, "termination"], "Si (221) has two rows, two slabs"


def test_the_other_termination_is_named_with_its_energy() -> None:
    """Si (111) has two cuts and one published row."""
    frame = scored(record("mp-149"))
    assert frame.loc[83, "candidates"] == 2
    assert "other terminations (eV/A^2): t" in frame.loc[83, "explanation"]
    assert " 0.5000" in frame.loc[83, "explanation"]
    assert frame.loc[81, "candidates"] == 1 and "other" not in frame.loc[81, "explanation"]


@pytest.mark.parametrize(("scale", "unexplained"), [(1.019, False), (1.03, True), (0.97, True)])
def test_a_row_that_is_off_is_never_without_a_word(scale: float, unexplained: bool) -> None:
    """Copper's rows need no explanation in the manifest; beyond 2 % each gets one."""
    frame = scored(record("mp-30", scale))
    rows = frame[frame["mp_id"] == "mp-30"]
    assert rows["relative_difference"].to_list() == pytest.approx([scale - 1.0] * 6)
    assert (rows["explanation"] == "unexplained").all() == unexplained


def test_a_model_that_the_paper_did_not_run_has_no_published_value() -> None:
    frame = scored(record("mp-30", model="sevennet-0"), model="sevennet-0")
    assert frame["published_ev_per_ang2"].isna().all() and frame["relative_difference"].isna().all()
    assert frame["dft_ev_per_ang2"].notna().all()


def test_failures_and_slabs_that_did_not_converge_say_so() -> None:
    broken = record("mp-30", status="failed", stage="bulk relaxation", message="no", values={})
    rows = scored(broken).query("mp_id == 'mp-30'")
    assert (rows["status"] == "failed").all() and (rows["explanation"] == "bulk relaxation: no").all()
    partly = record("mp-30")
    partly.values["surfaces"][0] |= {"status": "not_converged", "message": "fmax 0.2 eV/A after 9 steps"}
    rows = scored(partly).query("mp_id == 'mp-30'")
    assert sorted(rows["status"]) == ["not_converged"] + ["ok"] * 5
    assert "fmax 0.2" in rows.set_index("status").loc["not_converged", "explanation"]


def test_the_manifest_stands_for_all_rows_one_to_one() -> None:
    numbers = sorted(int(line["row"]) for line in LINES if line["row"])
    assert numbers == list(range(1, 148))
    keys = [(line["mp_id"], line["miller"], line["termination"]) for line in LINES]
    assert len(set(keys)) == len(keys)
    published = read_published(PUBLISHED).set_index("row")
    for line in LINES:
        if line["row"]:
            assert published.loc[int(line["row"]), ["mp_id", "miller"]].to_list() == [
                line["mp_id"],
                line["miller"],
            ]


@pytest.mark.parametrize("material", ["mp-149", "mp-8062", "mp-560588", "mp-19079"])
def test_the_manifest_s_cuts_are_those_of_the_structure_files(material: str) -> None:
    published = read_published(PUBLISHED).query("mp_id == @material")
    structures = {material: load_prototype(ROOT / f"data/prototypes/{material}.yaml").structure}
    frame = surface_manifest(structures, published, "chgnet_ev_per_ang2", {}, 12.0, 10.0)
    made = frame[["miller", "termination", "shift", "slab_atoms"]].to_numpy().tolist()
    kept = [
        [line["miller"], line["termination"], float(line["shift"]), int(line["slab_atoms"])]
        for line in LINES
        if line["mp_id"] == material
    ]
    assert sorted(made) == sorted(kept)


def test_assignment_is_one_to_one_and_by_relative_difference() -> None:
    """Greedy matching would give 0.10 to row 7 twice; the third slab stands for nothing."""
    assert assign([0.10, 0.30, 0.11], {7: 0.105, 8: 0.31}) in ({0: 7, 1: 8}, {2: 7, 1: 8})
    assert assign([0.012, 0.010], {1: 0.010, 2: 0.012}) == {0: 2, 1: 1}
