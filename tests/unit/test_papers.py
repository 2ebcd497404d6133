"""The transcription: nasty cells, refusals, the shipped tables, and the papers' printed numbers."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pesbench import metrics
from pesbench.errors import SourceError
from pesbench.models.registry import load_registry
from pesbench.published import explain, read_explanations
from pesbench.sources import paper_text as text
from pesbench.sources.paper_tables import (
    Table,
    by_line,
    read_defects,
    read_diffusion,
    read_loew_models,
    read_sic,
    six,
)
from pesbench.sources.papers import PAPERS, TABLES, table_csv, transcribe
from pesbench.tables import read_published

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "data" / "published"
BY_NAME = {table.name: table for table in TABLES}
HEADER = "mp-id\tcomposition\tmiller index\tM3GNet\tCHGNet\tMACE\tDFT"
ROW = "mp-1\tK <sub>2</sub> O\t[1, 0, -1]\t0.100000\t0.200000\t0.300000\t0.400000"


def surfaces(*rows: str, n_rows: int) -> tuple[Table, str]:
    """Return the surface table's reader for ``n_rows`` rows and a page that holds ``rows``."""
    page = "\n".join(["Words before.", "", HEADER, *rows, "", "Supplementary Table I: words after", ""])
    return replace(BY_NAME["deng2025_s1_surfaces"], n_rows=n_rows), page


def rows_of(content: str) -> list[str]:
    """Return the lines of a CSV below its origin and header."""
    return [line for line in content.splitlines() if not line.startswith("#")][1:]


def lines(page: str) -> list[text.Line]:
    """Return tab-separated lines numbered from 1."""
    return [text.Line(i, line.split("\t")) for i, line in enumerate(page.splitlines(), start=1)]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("Pt", "Pt"),
        ("Rb <sub>2</sub> O <sub>3</sub>", "Rb2O3"),
        ("<chem>Rb2O3</chem>", "Rb2O3"),
        (r"$\text{Rb}_1\text{Mg}_{12}$", "Rb1Mg12"),
        ("$Rb_2MgCl_4$", "Rb2MgCl4"),
        ("<chem>Mg3(BN2)2</chem>", "Mg3(BN2)2"),
        ("Mg <sub>3</sub> (BN <sub>2</sub> ) <sub>2</sub>", "Mg3(BN2)2"),
        ("CoO", "CoO"),
        ("NO <sub>2</sub>", "NO2"),
    ],
)
def test_formula_loses_its_markup_and_nothing_else(cell: str, expected: str) -> None:
    """Subscripts of every kind are joined; Co and CO stay apart."""
    assert text.formula(cell) == expected


@pytest.mark.parametrize("cell", ["", "Xy2", "K2(O", "2KO", "K<sup>2</sup>", "K,O", "K2O 0.5"])
def test_formula_refuses_what_is_none(cell: str) -> None:
    """An unknown element, an open parenthesis or stray signs are not passed on."""
    with pytest.raises(ValueError, match="not a formula"):
        text.formula(cell)


@pytest.mark.parametrize(("cell", "expected"), [("[2, 1, -2]", "[2, 1, -2]"), ("[0, 0, 1]", "[0, 0, 1]")])
def test_miller_is_json(cell: str, expected: str) -> None:
    """The index comes out as JSON with its signs."""
    assert text.miller(cell) == expected
    assert len(json.loads(text.miller(cell))) == 3


@pytest.mark.parametrize(
    ("read", "cell"),
    [
        (text.miller, "[1, 1]"),
        (text.miller, "[1, 1, l]"),
        (text.mp_id, "mp-12O"),
        (text.mp_id, "mp 12"),
        (six, "0.12345"),
        (six, "O.123456"),
        (six, "Failed"),
        (text.number, "1,5"),
        (text.amount, "3 G"),
        (text.plain, "  "),
    ],
)
def test_garbled_cells_are_refused(read: text.Callable[[str], str], cell: str) -> None:
    """Letters for digits, lost digits and lost indices are errors, not guesses."""
    with pytest.raises(ValueError, match=r"not a|empty"):
        read(cell)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("<b>0.040</b>", "0.040"),
        (r"$4.5 \times 10^{10}$", "4.5e10"),
        (r"$2.6 \times 10^5$", "2.6e5"),
        ("–", ""),
    ],
)
def test_numbers_keep_their_printed_digits(cell: str, expected: str) -> None:
    """Bold and powers of ten are understood, trailing zeros stay, a dash is an empty cell."""
    assert text.number(cell) == expected


@pytest.mark.parametrize(("cell", "value"), [("188 k", 188_000), ("227.5K", 227_500), ("1.58M", 1_580_000)])
def test_amounts_are_whole_numbers(cell: str, value: int) -> None:
    """Thousands and millions are written out."""
    assert text.amount(cell) == str(value)


def test_repeated_labels_and_page_breaks_keep_every_row() -> None:
    """Two rows with one label stay two, a page break between them does not end the table."""
    table, page = surfaces(ROW, ROW.replace("0.1000", "0.1500"), "", " ", ROW, n_rows=3)
    assert rows_of(table_csv(table, page)) == [
        '1,mp-1,K2O,"[1, 0, -1]",0.100000,0.200000,0.300000,0.400000',
        '2,mp-1,K2O,"[1, 0, -1]",0.150000,0.200000,0.300000,0.400000',
        '3,mp-1,K2O,"[1, 0, -1]",0.100000,0.200000,0.300000,0.400000',
    ]


def test_a_bad_line_is_named() -> None:
    """The message has the file, the table, the line number and the cell."""
    table, page = surfaces(ROW, ROW.replace("0.300000", "0.3000OO"), n_rows=2)
    with pytest.raises(SourceError, match=r"supplement.md, deng2025_s1_surfaces: line 5: '0.3000OO'"):
        table_csv(table, page)


def test_a_lost_cell_is_refused() -> None:
    """A line with one cell fewer cannot be shifted into place."""
    table, page = surfaces(ROW.replace("\t0.200000", ""), n_rows=1)
    with pytest.raises(SourceError, match="6 cells instead of 7"):
        table_csv(table, page)


def test_a_lost_line_is_refused() -> None:
    """A garbled line without tabs ends the table early, and then rows are missing."""
    table, page = surfaces(ROW, "mp-2 garbled", ROW, n_rows=3)
    with pytest.raises(SourceError, match="1 rows instead of 3"):
        table_csv(table, page)


def test_a_missing_table_is_refused() -> None:
    """A page without the header is an error."""
    table, page = surfaces(ROW, n_rows=1)
    with pytest.raises(SourceError, match="no table with the header"):
        table_csv(table, page.replace("miller index", "hkl"))


def test_the_second_of_two_equal_headers_is_found() -> None:
    """``after`` tells two tables with one header apart."""
    page = "one\nA\tB\n1.0\t2.0\ntext\ntwo\nA\tB\n3.0\t4.0\n"
    assert [line.cells for line in text.find_lines(page, "two", ["A\tB"])] == [["3.0", "4.0"]]
    assert [(line.number, line.cells) for line in text.find_lines(page, "", ["A\tB"])] == [
        (3, ["1.0", "2.0"])
    ]


def test_failed_becomes_an_empty_cell_with_a_note() -> None:
    """A model's Failed empties its cell alone and is told in the note; DFT must be a number."""
    row = r"$\text{Rb}_1\text{Mg}_3$" + "\tInterstitial_Rb_2\tFailed\t-0.200000\tFailed\t0.400000"
    read = read_defects(lines(row))
    assert read == [
        ["Rb1Mg3", "Interstitial_Rb_2", "", "-0.200000", "", "0.400000", "M3GNet: Failed; MACE: Failed"]
    ]
    with pytest.raises(SourceError, match="line 1: 'Failed'"):
        read_defects(lines(row.replace("0.400000", "Failed")))


def test_a_cell_over_three_lines_is_joined() -> None:
    """The sources above and below a model's line belong to it, and not to the model before."""
    page = "A\t2 k\tone\t3 M\n\t\tfirst,\t\nB\t1 M\tsecond,\t5 k\n\t\tthird\t\nC\t7 k\tlast\t8 k"
    assert read_loew_models(lines(page)) == [
        ["A", "2000", "one", "3000000"],
        ["B", "1000000", "first, second, third", "5000"],
        ["C", "7000", "last", "8000"],
    ]
    with pytest.raises(SourceError, match="without its model"):
        read_loew_models(lines("A\t2 k\tone\t3 M\n\t\tfirst,\t"))


def test_several_values_in_one_cell_become_rows() -> None:
    """Value, functional and reference are taken apart."""
    assert read_sic(lines("$a$ (Å)\t4.1\t4.2 (PBE)[3], 4.3(LDA)[5]\t4.4[6]")) == [
        ["lattice_constant_ang", "mattersim-mt", "", "", "4.1"],
        ["lattice_constant_ang", "theory", "PBE", "3", "4.2"],
        ["lattice_constant_ang", "theory", "LDA", "5", "4.3"],
        ["lattice_constant_ang", "experiment", "", "6", "4.4"],
    ]
    with pytest.raises(SourceError, match="not a quantity"):
        read_sic(lines("$b$ (Å)\t4.1\t4.2[3]\t4.4[6]"))


def test_uncertainty_and_range_are_told_apart() -> None:
    """``a ± b`` is a value with uncertainty, ``a ~ b`` is a range."""
    page = "one\t$0.100\\pm 0.020$\t<b>This work</b>\ntwo\t$0.300\\sim 0.400$\t[7, 8]\nthree\t0.500\t[9]"
    assert [row[1:] for row in read_diffusion(lines(page))] == [
        ["0.100", "0.100", "0.020", "This work"],
        ["0.300", "0.400", "", "7, 8"],
        ["0.500", "0.500", "", "9"],
    ]


def test_a_comma_in_a_cell_is_quoted() -> None:
    """What the reader gives is what pandas reads back."""
    table = Table(
        "deng2025_x", "", "p", "u", "n", ("a", "b"), 1, by_line(text.plain, text.plain), typed="x, y\tz"
    )
    assert rows_of(table_csv(table, "")) == ['"x, y",z']


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_shipped_tables_have_their_rows_and_their_origin(name: str) -> None:
    """Each CSV names paper, doi, place, units and transcription, and has the known rows and columns."""
    path = PUBLISHED / f"{name}.csv"
    told = [
        line.split(":")[0] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# ")
    ]
    assert told == ["# paper", "# doi", "# place", "# units", "# transcription"]
    frame, table = read_published(path), BY_NAME[name]
    assert len(frame) == table.n_rows
    assert [c for c in frame.columns if c != "row"] == list(table.columns)
    assert PAPERS[next(key for key in PAPERS if name.startswith(key))].doi in path.read_text(encoding="utf-8")


def test_deng_has_147_129_and_229_rows_in_order() -> None:
    """Rows are numbered as printed; spot checks at both ends and at a repeated index."""
    frames = [
        read_published(PUBLISHED / f"deng2025_{n}.csv") for n in ("s1_surfaces", "s2_defects", "s3_phonons")
    ]
    assert [list(frame["row"]) for frame in frames] == [list(range(1, n + 1)) for n in (147, 129, 229)]
    first, defects, phonons = frames
    assert tuple(first.iloc[0]) == (1, "mp-126", "Pt", "[1, 1, 1]", 0.034337, 0.067933, 0.108786, 0.09454)
    assert tuple(first.iloc[-1])[1:4] == ("mp-19079", "CoO", "[1, 2, 0]")
    silicon = first[(first["mp_id"] == "mp-149") & (first["miller"] == "[2, 2, 1]")]
    assert list(silicon["mace_ev_per_ang2"]) == [0.056349, 0.047707]
    assert list(defects.loc[defects["m3gnet_ev"].isna(), "note"]) == ["M3GNet: Failed"]
    assert defects["m3gnet_ev"].min() == -16.462205
    assert phonons["mp_id"].is_unique
    assert phonons.set_index("mp_id").loc["mp-677179", "formula"] == "BaNaIn2(PO4)3"


@pytest.mark.parametrize(
    ("name", "unit", "printed"),
    [
        ("deng2025_s1_surfaces", "ev_per_ang2", (0.047, 0.042, 0.032)),
        ("deng2025_s2_defects", "ev", (1.397, 1.296, 0.974)),
    ],
)
def test_recomputed_errors_meet_the_printed_ones(name: str, unit: str, printed: tuple[float, ...]) -> None:
    """The MAEs of Fig. 2a and 2b come out within half their last digit."""
    frame = read_published(PUBLISHED / f"{name}.csv")
    for model, value in zip(("m3gnet", "chgnet", "mace"), printed, strict=True):
        scored = frame[frame[f"{model}_{unit}"].notna()]
        assert metrics.mae(scored[f"{model}_{unit}"], scored[f"dft_{unit}"]) == pytest.approx(
            value, abs=0.0005
        )


def test_recomputed_phonon_shares_meet_the_printed_ones() -> None:
    """The shares of Fig. 4b come out within half their last digit."""
    frame = read_published(PUBLISHED / "deng2025_s3_phonons.csv")
    for model, percent in (("m3gnet", 97.4), ("chgnet", 90.8), ("mace", 93.9)):
        share = metrics.share_underestimated(frame[f"{model}_thz"], frame["dft_thz"])
        assert 100 * share == pytest.approx(percent, abs=0.05)


def test_tables_agree_with_themselves() -> None:
    """Loew's shares add up to 100, Focassio's two tables agree, LO minus TO is the printed splitting."""
    stability = read_published(PUBLISHED / "loew2024_t3_stability.csv")
    assert (stability["true_stable_percent"] + stability["false_unstable_percent"]).eq(100).all()
    assert (stability["true_unstable_percent"] + stability["false_stable_percent"]).eq(100).all()
    main, supporting = (read_published(PUBLISHED / f"focassio2024_{n}_rmse.csv") for n in ("t1", "s1"))
    pd.testing.assert_frame_equal(main.drop(columns="type"), supporting.drop(columns="type").head(len(main)))
    sic = read_published(PUBLISHED / "mattersim_mt_s7_sic.csv").set_index(["quantity", "origin"])["value"]
    for origin in ("mattersim-mt", "theory", "experiment"):
        lo, to, split = (
            sic[q, origin].item() for q in ("lo_frequency_thz", "to_frequency_thz", "lo_to_splitting_thz")
        )
        assert lo - to == pytest.approx(split, abs=0.005)
    materials = read_published(PUBLISHED / "mattersim_mt_s5_materials.csv")
    assert list(materials["mp_id"]) == sorted(set(materials["mp_id"]))


def test_a_missing_paper_is_named(tmp_path: Path) -> None:
    """Nothing is written when a text is not there."""
    with pytest.raises(SourceError, match=r"deng2025-supplement.md: not there"):
        transcribe(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(
    "PESBENCH_PAPERS" not in os.environ, reason="PESBENCH_PAPERS does not name the papers' folder"
)
def test_transcribing_again_gives_the_shipped_bytes(tmp_path: Path) -> None:
    """The tables in data/published are what the script writes, byte for byte, and no others lie there."""
    written = transcribe(Path(os.environ["PESBENCH_PAPERS"]), tmp_path)
    assert sorted(path.name for path in written) == sorted(path.name for path in PUBLISHED.glob("*.csv"))
    for path in written:
        assert path.read_bytes() == (PUBLISHED / path.name).read_bytes(), path.name


def test_every_explanation_is_of_a_published_row_and_a_registered_model() -> None:
    rows = {
        "deng2025_s1": set(read_published(PUBLISHED / "deng2025_s1_surfaces.csv")["row"].astype(str)),
        "deng2025_s3": set(read_published(PUBLISHED / "deng2025_s3_phonons.csv")["mp_id"]),
    }
    models = {"*", *load_registry(ROOT / "data/models.yaml").models}
    for table, known in rows.items():
        found = read_explanations(table, ROOT / "data/explanations.csv")
        assert found and {row for row, _ in found} <= known and {model for _, model in found} <= models


def test_an_explanation_of_every_model_comes_after_the_model_s_own() -> None:
    found = {("1", "a"): "its own", ("1", "*"): "of all", ("2", "b"): "of b"}
    assert [explain(found, row, "a") for row in "123"] == ["its own; of all", "", ""]
