"""The ledger: verdicts on planted values, subsets, contradictions, extra models, and its two outputs."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pesbench.claims.ledger import Claim, ClaimResult, evaluate, format_ledger, load_claims, write_ledger
from pesbench.claims.measures import MEASURES
from pesbench.errors import PesbenchError
from pesbench.tables import read_published

ROOT = Path(__file__).parents[2]
PUBLISHED = {path.stem: read_published(path) for path in (ROOT / "data" / "published").glob("*.csv")}
CLAIMS = load_claims(ROOT / "data" / "claims.yaml")
TABLE = "deng2025_s1_surfaces"
SMALL = pd.DataFrame(
    {
        "row": [1, 2, 3, 4],
        "mp_id": ["mp-1", "mp-1", "mp-2", "mp-2"],
        "formula": ["Pt", "Pt", "NiO", "NiO"],
        "miller": ["[1, 1, 1]", "[1, 1, 1]", "[2, -1, 0]", "[1, 0, 0]"],
        "m3gnet_ev_per_ang2": [0.5, 0.5, 0.5, 0.5],
        "chgnet_ev_per_ang2": [0.8, 0.9, 1.2, 0.9],
        "mace_ev_per_ang2": [1.0, 1.1, 0.9, 0.9],
        "dft_ev_per_ang2": [1.0, 1.0, 1.0, 1.0],
    }
)
MAE = Claim(
    id="mae",
    paper="deng2025",
    place="Fig. 2a",
    claim="error",
    kind="number",
    published=0.15,
    tolerance=0.005,
    table=TABLE,
    compute={"function": "mae"},
    models=("chgnet",),
)


def runs(values: dict[str, list[float | None]], status: str = "ok") -> pd.DataFrame:
    """Return our tidy table for the small one; None is a row that did not run."""
    parts = [
        SMALL[["row", "mp_id", "formula", "miller", "dft_ev_per_ang2"]].assign(
            model=model,
            gamma_ev_per_ang2=[float("nan") if v is None else v for v in gamma],
            status=["not_run" if v is None else status for v in gamma],
        )
        for model, gamma in values.items()
    ]
    return pd.concat(parts, ignore_index=True)


def check(claim: Claim, ours: pd.DataFrame | None = None) -> ClaimResult:
    """Evaluate one claim on the small table."""
    (result,) = evaluate([claim], {TABLE: SMALL}, None if ours is None else {TABLE: ours})
    return result


def test_value_from_the_published_table_and_not_run() -> None:
    """Without runs the table's own value stands there: (0.2 + 0.1 + 0.2 + 0.1) / 4."""
    result = check(MAE)
    assert (result.from_published_table, result.from_our_runs, result.verdict) == (0.15, None, "not run")
    assert (result.n_ours, result.n_total) == (0, 4)


def test_a_planted_wrong_value_is_not_reproduced() -> None:
    """A printed number that the paper's own table does not give is found without any run, and with runs."""
    planted = replace(MAE, published=0.17)
    assert check(planted).verdict == "not reproduced"
    assert check(planted, runs({"chgnet-0.3.0": [0.8, 0.9, 1.2, 0.9]})).verdict == "not reproduced"


def test_complete_runs_decide() -> None:
    """All four rows: the same numbers reproduce, numbers off by more than the tolerance do not."""
    good = check(MAE, runs({"chgnet-0.3.0": [0.8, 0.9, 1.2, 0.9]}))
    assert (good.verdict, good.n_ours, good.from_our_runs) == ("reproduced", 4, 0.15)
    bad = check(MAE, runs({"chgnet-0.3.0": [0.7, 0.9, 1.2, 0.9]}))
    assert (bad.verdict, bad.from_our_runs) == ("not reproduced", 0.175)


def test_a_subset_is_partial_with_the_paper_on_the_same_rows() -> None:
    """Two of four rows: our value and the paper's on those two stand side by side."""
    result = check(MAE, runs({"chgnet-0.3.0": [0.81, None, 1.2, None]}))
    assert (result.verdict, result.n_ours, result.n_total) == ("partial", 2, 4)
    assert result.from_our_runs == pytest.approx(0.195)
    assert result.published_on_our_rows == pytest.approx(0.2)


@pytest.mark.parametrize("status", ["failed", "not_converged"])
def test_rows_without_ok_do_not_count(status: str) -> None:
    """A failed or unconverged value never enters a number."""
    assert check(MAE, runs({"chgnet-0.3.0": [0.8, 0.9, 1.2, 0.9]}, status)).verdict == "not run"


def test_another_model_does_not_stand_in() -> None:
    """Runs of a model that the claim does not name leave it not run."""
    assert check(MAE, runs({"sevennet-0": [0.8, 0.9, 1.2, 0.9]})).verdict == "not run"


def test_a_row_that_stands_twice_is_refused() -> None:
    """Counting a row twice would shift every mean."""
    ours = runs({"chgnet-0.3.0": [0.8, 0.9, 1.2, 0.9]})
    with pytest.raises(PesbenchError, match=r"row 1 of chgnet-0.3.0 stands twice"):
        check(MAE, pd.concat([ours, ours]))


def test_order_needs_every_model() -> None:
    """The ranking is taken on common rows once all three have run."""
    models = ("m3gnet", "chgnet", "mace")
    order = replace(
        MAE, kind="order", published="mace < chgnet < m3gnet", compute={"function": "ranking"}, models=models
    )
    assert check(order).from_published_table == "mace < chgnet < m3gnet"
    one = {"chgnet-0.3.0": [0.8, 0.9, 1.2, 0.9]}
    assert check(order, runs(one)).verdict == "not run"
    others = {"mace-mp-0-medium": [0.1, 0.1, 0.1, 0.1], "m3gnet-mp-2021.2.8-efs": [0.5, 0.5, 0.5, None]}
    result = check(order, runs({**one, **others}))
    assert (result.verdict, result.n_ours) == ("partial", 3)
    assert result.from_our_runs == "chgnet < m3gnet < mace"


def test_counts_need_no_run() -> None:
    """A claim about the table alone is settled by the table."""
    count = replace(
        MAE, kind="count", published=2, compute={"function": "n_distinct", "column": "mp_id"}, models=()
    )
    assert check(count).verdict == "reproduced"
    assert check(replace(count, published=3)).verdict == "not reproduced"


def test_a_contradiction_is_shown_and_goes_away_when_the_table_agrees() -> None:
    """134 against 4 rows is a contradiction; 4 against 4 would be none."""
    claim = replace(
        MAE, kind="contradiction", published=134, tolerance=0.0, compute={"function": "n_rows"}, models=()
    )
    result = check(claim)
    assert (result.verdict, result.published, result.from_published_table) == ("contradiction", 134, 4)
    assert check(replace(claim, published=4)).verdict == "reproduced"
    text_only = replace(claim, published=None, table="", compute={}, note="470 here, 477 there")
    assert check(text_only).verdict == "contradiction"
    assert "470 here, 477 there" in format_ledger([check(text_only)])


def test_a_statement_is_tried_on_models_that_the_paper_did_not_run() -> None:
    """An extra model gets its own result without a published value; with half the rows it is partial."""
    claim = replace(
        MAE,
        claim="{model} is too low",
        published=None,
        relation="<",
        bound=0,
        compute={"function": "mean_error"},
        each=True,
        extra=True,
    )
    ours = runs({"sevennet-0": [0.8, 0.9, 1.05, 0.9], "emt": [1.3, None, 1.2, None]})
    results = {result.id: result for result in evaluate([claim], {TABLE: SMALL}, {TABLE: ours})}
    assert sorted(results) == ["mae.chgnet", "mae.emt", "mae.sevennet-0"]
    low, high = results["mae.sevennet-0"], results["mae.emt"]
    assert (low.verdict, low.from_published_table, low.claim) == ("reproduced", None, "sevennet-0 is too low")
    assert low.from_our_runs == pytest.approx(-0.0875)
    assert (high.verdict, high.from_our_runs, high.n_ours) == ("partial", pytest.approx(0.25), 2)
    full = runs({"emt": [1.3, 1.3, 1.3, 1.3]})
    assert {r.id: r.verdict for r in evaluate([claim], {TABLE: SMALL}, {TABLE: full})}[
        "mae.emt"
    ] == "not reproduced"


def test_measures_on_the_small_table() -> None:
    """Hand values of what the shipped claims use."""
    long = pd.concat(
        SMALL[["row", "mp_id", "formula", "miller"]].assign(
            model=m, value=SMALL[f"{m}_ev_per_ang2"], dft=SMALL["dft_ev_per_ang2"]
        )
        for m in ("m3gnet", "chgnet", "mace")
    )
    mace = long[long["model"] == "mace"]
    assert MEASURES["n_not_below"](mace) == 2
    assert MEASURES["share_not_below"](mace) == 0.5
    assert MEASURES["share_below"](mace) == 0.5
    assert MEASURES["n_repeated"](long, ["mp_id", "miller"]) == 1
    assert MEASURES["max_miller"](long) == 2
    assert MEASURES["max_elements"](long) == 2
    assert MEASURES["n_element_sets"](long) == 2
    assert MEASURES["n_with_u"](long) == 2
    assert [MEASURES["n_drawn"](long, 0.0, high) for high in (1.0, 1.15, 1.2)] == [2, 3, 4]
    other = long.replace({"formula": {"Pt": "LiNiO2"}, "miller": {"[1, 0, 0]": "[0, -3, 1]"}})
    assert (MEASURES["max_elements"](other), MEASURES["max_miller"](other)) == (3, 3)
    assert MEASURES["best"](long) == "mace"
    assert MEASURES["ranking"](long, 0.0, 1.0) == "mace < chgnet < m3gnet"


@pytest.mark.parametrize(("name", "rows"), [("NaAg2", 2), ("Na2Ag4", 2), ("NaAg4", 1), ("NaAg", 0)])
def test_compositions_are_compared_reduced(name: str, rows: int) -> None:
    """Na2Ag4 is NaAg2 and is not NaAg4."""
    frame = pd.DataFrame({"row": [1, 2, 3], "formula": ["Na2Ag4", "Ag2Na1", "NaAg4"]})
    assert MEASURES["n_rows_of"](frame, name) == rows


def test_ratios_of_a_table_of_models() -> None:
    """Entries, their ratio, and the smallest ratio to one model."""
    frame = pd.DataFrame({"model": ["a", "b", "c"], "n": [2.0, 3.0, 8.0], "set": ["x", "y", "x"]})
    assert MEASURES["entry"](frame, "c", "n", 4.0) == 2.0
    assert MEASURES["ratio"](frame, "c", "a", "n") == 4.0
    assert MEASURES["smallest_ratio"](frame, "a", "n") == 1.5
    assert MEASURES["n_distinct_among"](frame, ["a", "c"], "set") == 1
    assert MEASURES["n_distinct_among"](frame, ["a", "b"], "set") == 2


def test_shipped_claims_on_the_shipped_tables() -> None:
    """No printed number disagrees with the tables unless the entry says so; the known values come out."""
    results = {result.id: result for result in evaluate(CLAIMS, PUBLISHED)}
    assert not [r.id for r in results.values() if r.verdict in ("not reproduced", "partial")]
    assert not [r.id for r in results.values() if r.kind == "contradiction" and r.verdict != "contradiction"]
    known = {
        "surfaces.rows": 147,
        "surfaces.materials": 29,
        "surfaces.max_miller": 2,
        "surfaces.best": "mace",
        "surfaces.exceptions.chgnet": 5,
        "surfaces.labels": 10,
        "defects.rows_caption": 129,
        "defects.chemical_systems": 27,
        "defects.scored": 128,
        "phonons.rows": 229,
    }
    assert {name: results[f"deng2025.{name}"].from_published_table for name in known} == known
    assert results["deng2025.surfaces.mae.mace"].from_published_table == pytest.approx(0.031572, abs=1e-6)
    assert results["deng2025.surfaces.share_below.mace"].from_published_table == pytest.approx(
        113 / 147, abs=1e-6
    )
    assert results["deng2025.defects.ranking_drawn"].from_published_table == "mace < m3gnet < chgnet"


def test_shipped_claims_with_the_papers_own_numbers_as_runs() -> None:
    """Were our CHGNet the paper's on all 147 rows, its claims would be reproduced and no others decided."""
    table = PUBLISHED[TABLE]
    ours = table[["row", "mp_id", "formula", "miller", "dft_ev_per_ang2"]].assign(
        model="chgnet-0.3.0", status="ok", gamma_ev_per_ang2=table["chgnet_ev_per_ang2"]
    )
    results = {result.id: result for result in evaluate(CLAIMS, PUBLISHED, {TABLE: ours})}
    assert results["deng2025.surfaces.mae.chgnet"].verdict == "reproduced"
    assert results["deng2025.surfaces.mae.mace"].verdict == "not run"
    assert results["deng2025.defects.mae.chgnet"].verdict == "not run"
    assert results["deng2025.surfaces.exceptions.chgnet"].from_our_runs == 5
    part = [r for r in evaluate(CLAIMS, PUBLISHED, {TABLE: ours.head(30)}) if r.n_ours == 30]
    assert {result.verdict for result in part} == {"partial", "contradiction"}


def test_the_port_is_the_m3gnet_of_the_phonon_table() -> None:
    """The paper's M3GNet column as runs of the matgl port decides its claims; as runs of the original it does not."""
    name = "deng2025_s3_phonons"
    table = PUBLISHED[name]
    for model, verdict in {"m3gnet-matgl-pes": "reproduced", "m3gnet-mp-2021.2.8-efs": "not run"}.items():
        ours = table[["row", "mp_id", "formula"]].assign(
            model=model, status="ok", max_freq_thz=table["m3gnet_thz"], dft_published_thz=table["dft_thz"]
        )
        results = {result.id: result for result in evaluate(CLAIMS, PUBLISHED, {name: ours})}
        assert results["deng2025.phonons.share_below.m3gnet"].verdict == verdict


def test_ledger_file_is_sorted_and_its_bytes_are_stable(tmp_path: Path) -> None:
    """The order of the results does not matter, and the file has the agreed keys."""
    results = evaluate(CLAIMS, PUBLISHED)
    write_ledger(results, tmp_path / "a.json")
    write_ledger(results[::-1], tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    rows = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert [row["id"] for row in rows] == sorted(result.id for result in results)
    agreed = (
        "id paper place claim unit published from_published_table from_our_runs tolerance verdict note models"
    )
    assert set(agreed.split()) <= set(rows[0])


def test_printed_ledger_fits_and_shows_both_numbers() -> None:
    """At most 110 columns; a partial line has its rows and the paper's value on them; verdicts counted."""
    partial = check(MAE, runs({"chgnet-0.3.0": [0.81, None, 1.2, None]}))
    printed = format_ledger([partial, *evaluate(CLAIMS, PUBLISHED)])
    assert max(len(line) for line in printed.splitlines()) <= 110
    line = next(line for line in printed.splitlines() if line.startswith("partial"))
    assert line.split() == ["partial", "mae", "0.15", "0.15", "0.195", "2/4"]
    assert "The paper's table on the same rows: 0.2." in printed
    assert "1 partial" in printed.splitlines()[-1]
    assert printed.index("deng2025.defects.rows_caption") < printed.index("deng2025.surfaces.mae.mace")
    assert printed.index("deng2025.surfaces.mae.mace") < printed.index("\npartial"), "our runs come last"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("kind: numbr", "kind 'numbr' is none of"),
        ("compute: {function: mea}", "no function 'mea'"),
        ("models: [chgnat]", "models must be among"),
        ("tolerence: 1", "unexpected keyword argument 'tolerence'"),
        ("relation: '<'", "relation and bound go together"),
        ("extra: true", "extra needs a relation"),
        ("each: true", "each needs one number a model"),
        ("published: null", "published or relation is missing"),
    ],
)
def test_bad_entries_are_named(tmp_path: Path, change: str, message: str) -> None:
    """One wrong key: one line with the file, the id and what is wrong."""
    entry = {
        "id": "x.y", "paper": "p", "place": "here", "claim": "c", "kind": "number", "published": 1,
        "table": TABLE, "compute": "{function: mae}", "models": "[chgnet]",
    }  # fmt: skip
    key, value = change.split(": ", 1)
    path = tmp_path / "claims.yaml"
    path.write_text(
        "- " + "\n  ".join(f"{k}: {v}" for k, v in {**entry, key: value}.items()), encoding="utf-8"
    )
    with pytest.raises(PesbenchError, match=message) as caught:
        load_claims(path)
    assert str(path) in str(caught.value)
    assert "x.y" in str(caught.value)


def test_an_id_that_stands_twice_and_a_missing_table_are_refused(tmp_path: Path) -> None:
    """Two entries with one id, and a claim on a table that is not given."""
    one = "- {id: x, paper: p, place: h, claim: c, kind: contradiction}\n"
    (tmp_path / "claims.yaml").write_text(one * 2, encoding="utf-8")
    with pytest.raises(PesbenchError, match="the id x stands twice"):
        load_claims(tmp_path / "claims.yaml")
    with pytest.raises(PesbenchError, match=f"claim mae: no table {TABLE}"):
        evaluate([MAE], {})
