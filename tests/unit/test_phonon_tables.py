"""Tables of the phonon papers: every number against one worked out by hand, and nothing made up where there is none."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pesbench import metrics
from pesbench.benchmarks.phonons import deng, loew, mattersim, stability
from pesbench.published import PHONON_MODELS
from pesbench.records import Record
from pesbench.tables import paper_layout, paper_table, read_published, tidy_csv

DATA = Path(__file__).parents[2] / "data" / "published"
S3 = "deng2025_s3_phonons"
PBE, PBESOL = "PBE and PBE+U (Materials Project)", "PBEsol"
CHGNET, MATGL, TENSORFLOW = "chgnet-0.3.0", "m3gnet-matgl-pes", "m3gnet-mp-2021.2.8-efs"
LEVELS = {CHGNET: PBE, MATGL: PBE, TENSORFLOW: PBE, "other": PBE, "db": PBESOL, "pbe": "PBE"}


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return read_published(DATA / f"{S3}.csv")


def record(material: str, thz: float | None, status: str = "ok", **more: Any) -> Record:
    """Return a record whose spectrum has one largest frequency; ``more``: numbers that differ from the usual."""
    values: dict[str, Any] = {}
    if thz is not None:
        values = {
            "displacement_ang": 0.01,
            "energy_ev_per_atom": more.get("energy", -5.0),
            "volume_ang3_per_atom": more.get("volume", 10.0),
            "relaxation": {"fmax_ev_per_ang": 0.002},
            "space_group": 225,
            "free": {
                "status": more.get("free_status", "ok"),
                "message": "" if more.get("free_status", "ok") == "ok" else "free relaxation: fmax 0.1",
                "max_frequency_thz": more.get("free_thz", thz),
                "space_group": 139,
                "goal_met": True,
            },
            "path": {
                "max_frequency_thz": thz,
                "min_frequency_thz": 0.0,
                "max_group_velocity_km_per_s": more.get("velocity", 8.0),
            },
            "commensurate": {
                "max_frequency_thz": thz,
                "min_frequency_thz": 0.0,
                "gamma_thz": [0.0, 0.0, 0.0, thz],
                "min_beyond_gamma_thz": more.get("beyond", 1.0),
            },
            "mesh": {
                "temperature_kelvin": more.get("temperature", 300.0),
                "entropy_j_per_k_mol": more.get("entropy", 50.0),
                "free_energy_kj_per_mol": more.get("free", 20.0),
                "heat_capacity_j_per_k_mol": more.get("heat", 40.0),
            },
        }
    digests = {"settings": "s", "checkpoint": "c"}
    stage = "" if status == "ok" else "relaxation"
    return Record(material, "phonons", "x", status, digests, stage=stage, message=stage, values=values)


def planted(published: pd.DataFrame) -> dict[str, list[Record]]:
    """CHGNet 0.5 % above its published values, but one 8 % off, one failed, one not converged, one not run."""
    rows = published.to_dict("records")
    found = [record(row["mp_id"], 1.005 * row["chgnet_thz"]) for row in rows]
    found[6] = record(rows[6]["mp_id"], 1.08 * rows[6]["chgnet_thz"])
    found[10] = record(rows[10]["mp_id"], None, "failed")
    found[20] = record(rows[20]["mp_id"], None, "not_converged")
    return {CHGNET: found[:-1]}


def database(published: pd.DataFrame, factor: float = 1.0) -> dict[str, list[Record]]:
    return {"db": [record(row["mp_id"], factor * row["dft_thz"]) for row in published.to_dict("records")]}


def scored(published: pd.DataFrame, references: Mapping[str, list[Record]] | None = None) -> pd.DataFrame:
    reasons = {
        ("mp-1265", CHGNET): "why it is off",
        ("mp-1265", "emt"): "of another model",
        ("mp-30300", "*"): "must not be shown",
    }
    return deng.table(planted(published), references or {}, LEVELS, reasons, published)


def test_deng_table_has_every_published_row(published: pd.DataFrame) -> None:
    table = scored(published)
    assert list(table.columns)[1:9] == [
        *("mp_id", "formula", "model", "max_freq_thz"),
        *("published_thz", "dft_thz", "dft_published_thz", "status"),
    ]
    assert table["row"].to_list() == list(range(1, 230))
    assert table["published_thz"].to_list() == published["chgnet_thz"].to_list()
    assert table["dft_published_thz"].to_list() == published["dft_thz"].to_list()
    off = table[table["status"] == "ok"].set_index("row")["relative_difference"]
    assert off[7] == pytest.approx(0.08) and off.drop(7).to_numpy() == pytest.approx(0.005)
    given = published.set_index("row").loc[1]
    first = table.iloc[0]
    assert first["ratio_to_dft"] == pytest.approx(1.005 * given["chgnet_thz"] / given["dft_thz"])
    assert first["record"] == "results/phonons/chgnet-0.3.0/records.jsonl#mp-30300"
    assert table["dft_thz"].isna().all() and set(table["dft_status"]) == {"not_run"}


def test_deng_rows_that_are_off_say_why_and_the_others_nothing(published: pd.DataFrame) -> None:
    table = scored(published).set_index("row")
    assert table["status"].value_counts().to_dict() == {
        "ok": 226, "failed": 1, "not_converged": 1, "not_run": 1,
    }  # fmt: skip
    told = table.loc[table["explanation"] != "", "explanation"]
    assert told.to_dict() == {7: "why it is off", 11: "relaxation: relaxation", 21: "relaxation: relaxation"}
    unknown = deng.table(planted(published), {}, LEVELS, {}, published).set_index("row")
    assert unknown.loc[7, "explanation"] == "unexplained"


def test_the_database_at_the_papers_level_is_the_dft(published: pd.DataFrame) -> None:
    both = {"alex": database(published, 0.9)["db"], **database(published, 0.5)}
    table = deng.table(planted(published), both, {**LEVELS, "alex": "PBE"}, {}, published)
    assert table["dft_thz"].to_numpy() == pytest.approx(0.5 * published["dft_thz"].to_numpy())
    ratio = 1.005 * published["chgnet_thz"][0] / (0.5 * published["dft_thz"][0])
    assert table["ratio_to_dft"][0] == pytest.approx(ratio)


@pytest.mark.parametrize(("model", "has"), [(MATGL, True), (TENSORFLOW, False), ("other", False)])
def test_m3gnet_of_this_table_is_the_matgl_port(published: pd.DataFrame, model: str, has: bool) -> None:
    table = deng.table({model: []}, {}, LEVELS, {}, published)
    assert table["published_thz"].notna().all() == has and table["published_thz"].isna().all() != has
    assert has == (model in PHONON_MODELS)


def small() -> pd.DataFrame:
    """Four published rows; model a finishes the first two, fails on the third, did not run the fourth; b finishes
    the first three; c finishes nothing."""
    columns = {"row": [1, 2, 3, 4], "mp_id": ["m1", "m2", "m3", "m4"], "formula": "Si"}
    given = pd.DataFrame(
        {**columns, "chgnet_thz": [9.0, 18.0, 3.0, 30.0], "dft_thz": [10.0, 20.0, 4.0, 40.0]}
    )
    records = {
        CHGNET: [record("m1", 9.0), record("m2", 15.0), record("m3", None, "failed")],
        "other": [record("m1", 11.0), record("m2", 20.0), record("m3", 2.0)],
        "idle": [record("m1", None, "failed")],
    }
    return deng.table(records, {}, {**LEVELS, "idle": PBE}, {}, given)


def test_deng_metrics_by_hand() -> None:
    """CHGNet's errors 1, 5 (and 4 for the failed one); other's 1, 0, 2; ratios 0.9, 0.75 (0) and 1.1, 1, 0.5."""
    table = deng.metrics_table(small(), LEVELS, seed=0).set_index(["model", "values", "set"]).sort_index()
    ours = table.xs("ours", level="values")
    finished = ours.loc[(CHGNET, "finished")]
    assert (finished["n"], finished["n_ok"], finished["n_failed"], finished["n_not_run"]) == (2, 2, 1, 1)
    assert finished["mae_thz"] == pytest.approx(3.0)
    assert finished["mean_signed_error_thz"] == pytest.approx(-3.0)
    assert finished["ratio_median"] == pytest.approx(0.825)
    penalised = ours.loc[(CHGNET, "penalised")]
    assert (penalised["n"], penalised["mae_thz"]) == (3, pytest.approx(10 / 3))
    assert penalised["ratio_median"] == pytest.approx(0.75) and penalised["unfinished_counts_as"] == "0 THz"
    other = ours.loc[("other", "finished")]
    assert (other["n"], other["mae_thz"], other["share_underestimated"]) == (3, pytest.approx(1), 1 / 3)
    quartiles = [other[f"ratio_{name}"] for name in ("q25", "median", "q75")]
    assert quartiles == pytest.approx([0.75, 1.0, 1.05])
    assert 0.5 <= other["ratio_median_low"] <= 1.0 <= other["ratio_median_high"] <= 1.1
    common = ours.loc[("other", "common")]
    assert (common["n"], common["mae_thz"]) == (2, pytest.approx(0.5)), "idle must not empty the common set"
    theirs = table.xs("published", level="values")["mae_thz"]
    assert theirs[(CHGNET, "all")] == pytest.approx((1 + 2 + 1 + 10) / 4)
    assert theirs[(CHGNET, "finished")] == pytest.approx(1.5)
    assert theirs[(CHGNET, "penalised")] == pytest.approx(4 / 3)
    assert finished["n_compared"] == 2 and finished["n_within_1_percent"] == 1
    assert finished["largest_relative_difference"] == pytest.approx(3 / 18)
    idle = ours.loc[("idle", "finished")]
    assert (idle["n"], idle["n_failed"]) == (0, 1) and idle[["mae_thz", "ratio_median"]].isna().all()
    assert "PBEsol" in finished["warning"]


def test_published_values_meet_the_shares_printed_in_figure_4b(published: pd.DataFrame) -> None:
    table = deng.metrics_table(scored(published), LEVELS, seed=0).set_index(["values", "set"])
    paper = table.loc[("published", "all")]
    assert paper["n"] == 229 and round(100 * paper["share_underestimated"], 1) == 90.8


def test_a_constant_reproduces_nothing(published: pd.DataFrame) -> None:
    """The median published frequency for every material: next to no row within 1 %, neither for model nor DFT."""
    middle = float(published["chgnet_thz"].median())
    flat = [record(material, middle) for material in published["mp_id"]]
    table = deng.table({CHGNET: flat}, {"db": flat}, LEVELS, {}, published)
    found = deng.metrics_table(table, LEVELS, seed=0).set_index(["model", "values", "set"])
    ours = found.loc[(CHGNET, "ours", "finished")]
    assert ours["n_compared"] == 229 and ours["n_within_1_percent"] < 10
    assert found.loc[("DFT", "ours", "finished"), "n_within_0.1_percent"] < 5
    true = deng.metrics_table(scored(published), LEVELS, seed=0).set_index(["model", "values", "set"])
    assert true.loc[(CHGNET, "ours", "finished"), "n_within_1_percent"] == 225


def test_dft_line_counts_what_meets_the_published_column(published: pd.DataFrame) -> None:
    known = database(published)["db"]
    known[3] = record(known[3].id, 1.002 * published["dft_thz"][3])
    known[4] = record(known[4].id, 1.0005 * published["dft_thz"][4])
    known[5] = record(known[5].id, None, "failed")
    table = deng.metrics_table(scored(published, {"db": known}), LEVELS, seed=0).set_index("model")
    dft = table.loc["DFT"]
    assert (dft["n_compared"], dft["n_within_0.1_percent"], dft["n_within_1_percent"]) == (228, 227, 228)
    assert dft["largest_relative_difference"] == pytest.approx(0.002)
    assert (dft["n_ok"], dft["n_failed"]) == (228, 1)


def test_paper_layout_has_our_dft_beside_the_published(published: pd.DataFrame) -> None:
    shown = paper_layout(S3, published, scored(published, database(published, 1.001)))
    titles = [f"{column.group} {column.title}".strip() for column in shown.columns]
    assert titles[-2:] == ["DFT", "DFT ours"]
    assert shown.rows[0][-2:] == ("24.927849", f"{24.927849 * 1.001:.6f}")
    row = dict(zip(titles, shown.rows[6], strict=True))
    assert row["CHGNet diff. %"] == "+8.00" and row["CHGNet published"] == "16.278631"
    assert shown.rows[10][titles.index("CHGNet ours")] == "failed"
    without = paper_layout(S3, published, scored(published))
    assert [column.title for column in without.columns][-1] == "DFT"
    assert r"\toprule" in paper_table(S3, published, scored(published), "tex")


def loew_records() -> tuple[dict[str, list[Record]], dict[str, list[Record]]]:
    """Two materials that the model finished, one that failed, one that it did not run; two databases."""
    model = [
        record("m1", 11.0, energy=-4.9, volume=11.0, entropy=53.0, free=18.0, heat=40.0),
        record("m2", 20.0, energy=-5.2, volume=10.5, entropy=50.0, free=20.0, heat=41.0),
        record("m3", None, "not_converged"),
    ]
    pbe = [record(f"m{i}", 10.0 * i) for i in (1, 2, 3, 4)]
    pbesol = [record(f"m{i}", 10.0 * i + 0.5, energy=None, volume=9.0) for i in (1, 2, 3)]
    return {CHGNET: model}, {"pbe": pbe, "db": pbesol}


def indexed(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index(["model", "reference", "set"]).sort_index()


def test_loew_relaxation_by_hand() -> None:
    """Energy errors 100, 200 meV; volume errors 1, 0.5; the unfinished one as the worst of any model."""
    records, references = loew_records()
    given = read_published(DATA / "loew2024_t1_relaxation.csv")
    table = indexed(loew.relaxation_table(records, references, LEVELS, given, seed=0))
    line = table.loc[(CHGNET, "pbe", "finished")]
    assert (line["n_ok"], line["n_not_converged"], line["n_not_run"]) == (2, 1, 1)
    assert line["failed_percent"] == pytest.approx(100 / 3) and line["failed_published_percent"] == 0.09
    assert line["mae_energy_mev_per_atom"] == pytest.approx(150)
    assert line["mae_published_energy_mev_per_atom"] == 334
    assert line["mae_volume_ang3_per_atom"] == pytest.approx(0.75)
    assert line["mae_low_volume_ang3_per_atom"] == 0.5 and line["mae_high_volume_ang3_per_atom"] == 1.0
    assert line["warning"] == loew.ENERGY_WARNINGS[CHGNET]
    penalised = table.loc[(CHGNET, "pbe", "penalised")]
    assert penalised["mae_energy_mev_per_atom"] == pytest.approx((100 + 200 + 200) / 3)
    assert penalised["mae_volume_ang3_per_atom"] == pytest.approx(2.5 / 3)
    assert penalised["unfinished_counts_as_volume_ang3_per_atom"] == 1.0
    blind = table.loc[(CHGNET, "db", "finished")]
    assert blind["n_energy"] == 0 and pd.isna(blind["mae_energy_mev_per_atom"])
    assert blind["mae_volume_ang3_per_atom"] == pytest.approx((2 + 1.5) / 2)
    assert "levels of theory differ" in blind["warning"] and "do not compare" in blind["warning"]


def test_pbesol_against_pbe_is_the_yardstick() -> None:
    records, references = loew_records()
    given = read_published(DATA / "loew2024_t2_phonons.csv")
    table = indexed(loew.phonon_table(records, references, LEVELS, given, seed=0))
    yardstick = table.loc[("db", "pbe", "finished")]
    assert yardstick["published_as"] == "PBEsol" and yardstick["mae_published_max_frequency_kelvin"] == 33
    assert yardstick["mae_max_frequency_kelvin"] == pytest.approx(0.5 * 47.9924, rel=1e-5)
    assert (yardstick["n_max_frequency"], yardstick["n_not_run"]) == (3, 1)
    assert table.loc[("pbe", "db", "finished"), "published_as"] == ""
    newer = {"db": references["db"], "newer": references["db"]}
    two = loew.phonon_table(records, newer, {**LEVELS, "newer": PBESOL}, given, seed=0)
    assert set(two.loc[two["model"] == "newer", "published_as"]) == {""}
    one = loew.phonon_table(records, {"db": references["db"]}, LEVELS, given, seed=0).set_index("model")
    assert one.loc["PBEsol", "mae_published_max_frequency_kelvin"] == 33
    assert pd.isna(one.loc["PBEsol", "mae_max_frequency_kelvin"])


def test_loew_phonons_by_hand() -> None:
    records, references = loew_records()
    given = read_published(DATA / "loew2024_t2_phonons.csv")
    table = indexed(loew.phonon_table(records, references, LEVELS, given, seed=0))
    line = table.loc[(CHGNET, "pbe", "finished")]
    assert line["mae_max_frequency_kelvin"] == pytest.approx(0.5 * 47.9924, rel=1e-5)
    assert line["mae_entropy_j_per_k_mol"] == pytest.approx(1.5)
    assert line["mae_free_energy_kj_per_mol"] == pytest.approx(1.0)
    assert line["mae_heat_capacity_j_per_k_mol"] == pytest.approx(0.5)
    published = [line[quantity.published] for quantity in loew.PHONONS]
    assert published == [89, 114, 45, 21]
    idle = table.loc[("mace-mp-0-medium", "", "not_run")]
    assert idle["mae_published_entropy_j_per_k_mol"] == 60 and pd.isna(idle["mae_entropy_j_per_k_mol"])
    cold = loew.phonon_table({CHGNET: [record("m1", 1.0, temperature=100.0)]}, {}, LEVELS, given, 0)
    assert "ours at 100 K" in cold.set_index("model").loc[CHGNET, "warning"].iloc[0]


def test_a_material_that_the_database_lacks_is_scored_nowhere() -> None:
    """Nor counted as not run: what the database could not finish says nothing of the model."""
    records, references = loew_records()
    fewer = {"pbe": [references["pbe"][0], record("m2", None, "failed")]}
    given = read_published(DATA / "loew2024_t1_relaxation.csv")
    line = indexed(loew.relaxation_table(records, fewer, LEVELS, given, 0)).loc[(CHGNET, "pbe", "penalised")]
    assert (line["n_volume"], line["n_ok"], line["n_not_converged"], line["n_not_run"]) == (1, 1, 0, 0)


def test_loew_m3gnet_is_the_tensorflow_model() -> None:
    given = read_published(DATA / "loew2024_t2_phonons.csv")
    table = loew.phonon_table({TENSORFLOW: [], MATGL: []}, {}, LEVELS, given, 0).set_index("model")
    assert set(table.loc[TENSORFLOW, "mae_published_max_frequency_kelvin"]) == {98}
    assert table.loc[MATGL, "mae_published_max_frequency_kelvin"].isna().all()


def test_loew_stability_beside_the_published() -> None:
    references = {"pbe": [record("m1", 5.0), record("m2", 5.0), record("m3", 5.0, beyond=-1.0)]}
    records = {CHGNET: [record("m1", 5.0), record("m2", 5.0, beyond=-1.0), record("m3", 5.0, beyond=-2.0)]}
    counted = stability.table(records, references, LEVELS)
    given = read_published(DATA / "loew2024_t3_stability.csv")
    line = indexed(loew.stability_table(counted, LEVELS, given)).loc[(CHGNET, "pbe", "finished")]
    shares = [line[f"{count}_percent"] for count in stability.COUNTS]
    assert shares == pytest.approx([50, 50, 100, 0])
    assert [line[f"{count}_published_percent"] for count in stability.COUNTS] == [77, 23, 73, 27]
    assert (line["n_reference_stable"], line["n_reference_unstable"], line["warning"]) == (2, 1, "")


def test_loew_models_beside_the_registry() -> None:
    entry: Any = SimpleNamespace(training_data="MPtrj", training_structures=1580395, parameters=412525)
    given = read_published(DATA / "loew2024_t4_models.csv")
    table = loew.models_table({CHGNET: entry, "other": entry}, given).set_index("model")
    line = table.loc[CHGNET]
    assert (line["n_parameters"], line["n_parameters_published"]) == (412525, 413000)
    assert (line["n_training"], line["n_training_published"]) == (1580395, 1580000)
    assert pd.isna(table.loc["orb-v2", "n_training"]) and pd.isna(table.loc["other", "n_training_published"])


def test_mattersim_by_hand() -> None:
    """Frequencies off by 1 and 0 THz, group velocities by 2 and 1 km/s, against PBEsol alone."""
    references = {"db": [record("m1", 10.0), record("m2", 20.0)], "pbe": [record("m1", 99.0)]}
    records = {CHGNET: [record("m1", 11.0, velocity=10.0), record("m2", 20.0, velocity=7.0)]}
    given = read_published(DATA / "mattersim_mt_s4_phonons.csv")
    table = indexed(mattersim.table(records, references, LEVELS, given, seed=0))
    assert set(table.loc[CHGNET].index.get_level_values("reference")) == {"db"}
    line = table.loc[(CHGNET, "db", "finished")]
    assert line["mae_max_frequency_thz"] == pytest.approx(0.5)
    assert line["mae_max_group_velocity_km_per_s"] == pytest.approx(1.5)
    assert (line["mae_published_max_frequency_thz"], line["published_as"]) == (2.397, "CHGNet")
    assert line["mae_published_max_group_velocity_km_per_s"] == 109.495
    assert "at most 0.002 eV/A, displaced by 0.01 A; published: relaxed to 0.02 eV/A" in line["protocol"]
    idle = table.loc[("m3gnet-matgl-pes", "", "not_run")]
    assert idle["mae_published_max_frequency_thz"] == 4.248 and pd.isna(idle["mae_max_frequency_thz"])


def every_table(
    records: dict[str, list[Record]], references: dict[str, list[Record]]
) -> dict[str, pd.DataFrame]:
    def given(name: str) -> pd.DataFrame:
        return read_published(DATA / f"{name}.csv")

    tidy = deng.table(records, references, LEVELS, {}, given(S3))
    counted = stability.table(records, references, LEVELS)
    t1, t2 = given("loew2024_t1_relaxation"), given("loew2024_t2_phonons")
    return {
        "s3": tidy,
        "metrics": deng.metrics_table(tidy, LEVELS, 0),
        "stability": counted,
        "t1": loew.relaxation_table(records, references, LEVELS, t1, 0),
        "t2": loew.phonon_table(records, references, LEVELS, t2, 0),
        "t3": loew.stability_table(counted, LEVELS, given("loew2024_t3_stability")),
        "t4": loew.models_table({}, given("loew2024_t4_models")),
        "s4": mattersim.table(records, references, LEVELS, given("mattersim_mt_s4_phonons"), 0),
    }


@pytest.fixture(scope="module")
def full() -> dict[str, pd.DataFrame]:
    return every_table(*loew_records())


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("models", [[], [CHGNET], [CHGNET, "other"]])
@pytest.mark.parametrize("references", [{}, {"db": []}])
def test_tables_without_any_record_are_headers_and_rows_that_did_not_run(
    full: dict[str, pd.DataFrame], models: list[str], references: dict[str, list[Record]]
) -> None:
    tables = every_table({model: [] for model in models}, references)
    for name, table in tables.items():
        assert list(table.columns) == list(full[name].columns)
        assert tidy_csv(table).startswith(",".join(table.columns))
    assert len(tables["s3"]) == 229 * len(models) and set(tables["s3"]["status"]) <= {"not_run"}
    for name, stem in (("t1", "mae_volume"), ("t2", "mae_entropy"), ("t3", "true_stable"), ("s4", "mae_max")):
        ours = tables[name].filter(regex=f"^{stem}").filter(regex="^(?!.*published)")
        assert ours.shape[1] > 0 and ours.isna().all(axis=None), f"{name}: a number was made up"
        printed = set(tables[name]["published_as"]) - {""}
        assert len(printed) == (7 if name == "s4" else 8)
        assert set(models) <= set(tables[name]["model"])


def test_counts_are_printed_as_whole_numbers(full: dict[str, pd.DataFrame]) -> None:
    """Also where others of the column are missing."""
    for name, table in full.items():
        counts = [c for c in table.columns if c == "n" or c.startswith("n_")]
        text = pd.read_csv(io.StringIO(tidy_csv(table)), dtype=str, keep_default_na=False)
        assert not any("." in value for c in counts for value in text[c]), name


def test_lookup_and_levels() -> None:
    assert metrics.lookup({"a": {"b": 2}}, "a.b") == 2.0
    assert all(np.isnan(metrics.lookup(v, "a.b")) for v in ({}, {"a": None}, {"a": {"b": None}}, {"a": 3}))
    assert metrics.level_warning(PBE, "PBE") == "" and metrics.level_warning("r2SCAN", "") == ""
    assert "PBEsol" in metrics.level_warning(PBE, "PBEsol") and metrics.level_warning("PBEsol", "PBE")


def test_the_paper_s_relaxation_counts_and_the_symmetric_one_stands_beside(published: pd.DataFrame) -> None:
    """A saddle point left without symmetry: its frequency is the row's; not converged there, the row is not ok."""
    first, second = published["mp_id"][:2]
    records = {
        CHGNET: [
            record(first, 10.0, free_thz=11.0),
            record(second, 10.0, free_thz=12.0, free_status="not_converged"),
        ]
    }
    table = deng.table(records, {}, LEVELS, {}, published).set_index("mp_id")
    assert (table.loc[first, "max_freq_thz"], table.loc[first, "symmetric_max_freq_thz"]) == (11.0, 10.0)
    assert (table.loc[first, "space_group"], table.loc[first, "free_space_group"]) == (225, 139)
    assert (table.loc[first, "status"], table.loc[second, "status"]) == ("ok", "not_converged")
    assert table.loc[second, "explanation"] == "free relaxation: fmax 0.1"
    left = record(second, 10.0, free_thz=12.0)  # the symmetric relaxation failed, the paper's did not
    without = replace(
        left, status="not_converged", message="relaxation: fmax", values={"free": left.values["free"]}
    )
    alone = deng.table({CHGNET: [without]}, {}, LEVELS, {}, published).set_index("mp_id").loc[second]
    assert (alone["max_freq_thz"], alone["status"], alone["relaxation"]) == (12.0, "ok", deng.FREE)
    assert np.isnan(alone["symmetric_max_freq_thz"])
    printed = published.set_index("mp_id")["chgnet_thz"]
    met = {
        CHGNET: [
            record(first, 10.0, free_thz=printed[first]),
            record(second, 10.0, free_thz=1.015 * printed[second], free_status="not_converged"),
        ]
    }
    table = deng.metrics_table(deng.table(met, {}, LEVELS, {}, published), LEVELS, 0)
    ours = table[table["values"] == "ours"].set_index(["model", "set"])
    counts = ["n_compared", "n_within_0.1_percent", "n_within_1_percent", "n_within_2_percent"]
    assert ours.loc[(CHGNET, "finished"), counts].to_list() == [1, 1, 1, 1]
    assert ours.loc[(CHGNET, "converged or not"), counts].to_list() == [2, 1, 1, 2]


def test_a_row_that_is_off_says_what_its_record_knows(published: pd.DataFrame) -> None:
    """Without the paper's relaxation: a saddle point is named; with it, one that ran out of steps."""
    names = published["mp_id"][:3]
    kept, free, met = (record(name, 1.0) for name in names)
    kept.values["free"] = None
    kept.values["path"]["min_frequency_thz"] = -2.0
    free.values["free"] |= {"goal_met": False, "fmax_ev_per_ang": 0.002, "steps": 500}
    met.values["free"] |= {"goal_met": True}
    table = deng.table({CHGNET: [kept, free, met]}, {}, LEVELS, {}, published).set_index("mp_id")
    told = table.loc[names, "explanation"].to_list()
    assert "space group kept here" in told[0] and "saddle point (-2.00 THz)" in told[0]
    assert "2.0e-03 eV/A after 500 steps" in told[1] and told[2] == "unexplained"
    assert table.loc[names[0], "status"] == "ok" and table.loc[names[0], "max_freq_thz"] == 1.0


def test_a_row_left_unconverged_keeps_the_word_of_who_tried_it(published: pd.DataFrame) -> None:
    """Its record's message stands first; where it meets the published value, alone."""
    names, printed = published["mp_id"][:2], published["chgnet_thz"][:2]
    rows = [
        record(name, 1.0, free_thz=thz * share, free_status="not_converged")
        for name, thz, share in zip(names, printed, (1.03, 1.005), strict=True)
    ]
    for row in rows:
        row.values["free"] |= {"message": "0.02 eV/A"}
    words = dict.fromkeys(((name, CHGNET) for name in names), "rounding decides")
    table = deng.table({CHGNET: rows}, {}, LEVELS, words, published).set_index("mp_id")
    assert table.loc[names, "explanation"].to_list() == ["0.02 eV/A; rounding decides", "0.02 eV/A"]
