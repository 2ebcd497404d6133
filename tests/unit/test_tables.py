"""Tables say what the frames hold: every number in its row and column, in every format."""

import csv
import errno
import io
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pesbench.errors import PesbenchError
from pesbench.files import write_atomic as write
from pesbench.summary import PAPER_MODELS, relative_difference_percent, summary
from pesbench.tables import PAPER_TABLES, paper_layout, paper_table, read_published, tidy_csv
from pesbench.typeset import formula_latex, formula_markdown, latex_escape, miller_latex

DATA = Path(__file__).parents[2] / "data" / "published"
S1 = "deng2025_s1_surfaces"


def markdown_rows(text: str) -> list[dict[str, str]]:
    """Read a Markdown table back."""
    lines = [
        [c.strip() for c in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"
    ]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def test_tidy_csv_gives_back_the_frame(runs: pd.DataFrame) -> None:
    back = pd.read_csv(io.StringIO(tidy_csv(runs)), keep_default_na=False)
    assert list(back.columns) == list(runs.columns) and len(back) == len(runs)
    for name in ("row", "mp_id", "formula", "miller", "model", "status", "explanation", "record"):
        assert list(back[name]) == list(runs[name]), name
    ours = [f"{value:.6f}" if value == value else "" for value in runs["gamma_ev_per_ang2"]]
    assert [line[6] for line in csv.reader(io.StringIO(tidy_csv(runs)))][1:] == ours


def test_tidy_csv_does_not_see_rounding_noise() -> None:
    frame = pd.DataFrame({"n": [1, 2], "x_ev": [0.1 + 0.2, -1e-9], "text": ["a,b", None]})
    noisy = frame.assign(x_ev=[0.3, 0.0])
    assert tidy_csv(frame) == tidy_csv(noisy) == 'n,x_ev,text\n1,0.300000,"a,b"\n2,0.000000,\n'
    assert tidy_csv(frame) != tidy_csv(frame.assign(x_ev=[0.300001, 0.0]))


def test_markdown_has_every_number_in_its_place(published: pd.DataFrame, runs: pd.DataFrame) -> None:
    rows = markdown_rows(paper_table(S1, published, runs, "md"))
    mine = {m: runs[runs["model"] == m].set_index("row") for m in ("chgnet-0.3.0", "sevennet-0")}
    assert len(rows) == 147
    for shown, given in zip(rows, published.to_dict("records"), strict=True):
        number = given["row"]
        assert shown["mp-id"] == given["mp_id"] and shown["Miller index"] == given["miller"]
        for stem, name in PAPER_MODELS.values():
            assert shown[f"{name} published"] == f"{given[f'{stem}_ev_per_ang2']:.6f}"
        assert shown["DFT"] == f"{given['dft_ev_per_ang2']:.6f}"
        chgnet, sevennet = mine["chgnet-0.3.0"].loc[number], mine["sevennet-0"].loc[number]
        if chgnet["status"] == "ok":
            ratio = chgnet["gamma_ev_per_ang2"] / given["chgnet_ev_per_ang2"]
            assert shown["CHGNet ours"] == f"{chgnet['gamma_ev_per_ang2']:.6f}"
            assert float(shown["CHGNet diff. %"]) == pytest.approx(100 * (ratio - 1), abs=0.00501)
        else:
            assert shown["CHGNet diff. %"] == ""
        if sevennet["status"] == "ok":
            assert shown["sevennet-0 ours"] == f"{sevennet['gamma_ev_per_ang2']:.6f}"
    assert rows[8]["CHGNet ours"] == "failed"
    assert rows[4]["CHGNet ours"] == f"{mine['chgnet-0.3.0'].loc[5, 'gamma_ev_per_ang2']:.6f}†"
    assert "sevennet-0 diff. %" not in rows[0] and "sevennet-0 published" not in rows[0]


def test_notes_tell_coverage_and_level_of_theory(published: pd.DataFrame, runs: pd.DataFrame) -> None:
    notes = "\n".join(paper_layout(S1, published, runs).notes)
    assert "Coverage of 147 rows, chgnet-0.3.0: 139 ok, 1 failed, 2 not converged, 5 not run." in notes
    assert "Coverage of 147 rows, sevennet-0: 141 ok, 0 failed, 1 not converged, 5 not run." in notes
    assert "chgnet-0.3.0: PBE+U (MP)" in notes and "Warning" not in notes
    mixed = runs.assign(level_of_theory=runs["model"].map({"chgnet-0.3.0": "PBE+U", "sevennet-0": "r2SCAN"}))
    assert "Warning: the levels of theory differ" in "\n".join(paper_layout(S1, published, mixed).notes)


def test_rows_that_the_frame_lacks_count_as_not_run(published: pd.DataFrame, runs: pd.DataFrame) -> None:
    few = runs[(runs["model"] == "chgnet-0.3.0") & (runs["row"] <= 4)]
    notes = "\n".join(paper_layout(S1, published, few).notes)
    assert "chgnet-0.3.0: 4 ok, 0 failed, 0 not converged, 143 not run." in notes
    assert [row["CHGNet ours"] for row in markdown_rows(paper_table(S1, published, few))][4:] == [""] * 143


def test_published_alone_when_nothing_ran(published: pd.DataFrame, runs: pd.DataFrame) -> None:
    alone = paper_table(S1, published)
    idle = runs.assign(status="not_run", gamma_ev_per_ang2=np.nan)
    assert "nothing has run yet" in alone and "ours" not in alone.splitlines()[2]
    assert paper_table(S1, published, idle).splitlines()[2:150] == alone.splitlines()[2:150]


def test_latex_row_and_rules(published: pd.DataFrame, runs: pd.DataFrame) -> None:
    text = paper_table(S1, published, runs, "tex")
    row = next(line for line in text.splitlines() if r"\bar{2}" in line and "Cr" in line)
    given = published[published["miller"] == "[2, 1, -2]"].iloc[0]
    assert row.startswith(
        r"mp-19399 & Cr$_{2}$O$_{3}$ & $(2\,1\,\bar{2})$ & " + f"{given['m3gnet_ev_per_ang2']:.6f} &"
    )
    assert sum(line.startswith("mp-") and line.endswith(r"\\") for line in text.splitlines()) == 147 + 2
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 1
    assert all(rule in text for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\endhead"))
    columns = re.search(r"\{@\{\}([lr]+)@\{\}\}", text)
    assert columns and len(columns[1]) == row.count("&") + 1
    assert r"\begin{landscape}" not in text


def test_latex_turns_a_wide_table(published: pd.DataFrame, runs: pd.DataFrame) -> None:
    more = pd.concat(
        [runs, *(runs[runs["model"] == "sevennet-0"].assign(model=m) for m in ("a", "b", "c_d"))]
    )
    text = paper_table(S1, published, more, "tex")
    assert r"\begin{landscape}" in text and text.rstrip().endswith(r"\end{landscape}") and r"c\_d" in text


@pytest.mark.parametrize(
    ("name", "n"), [(S1, 147), ("deng2025_s2_defects", 129), ("deng2025_s3_phonons", 229)]
)
def test_every_supplementary_table_is_whole(name: str, n: int) -> None:
    published = read_published(DATA / f"{name}.csv")
    rows, unit = markdown_rows(paper_table(name, published)), PAPER_TABLES[name].unit
    assert len(rows) == n
    assert [row["DFT"] for row in rows] == [f"{value:.6f}" for value in published[f"dft_{unit}"]]
    assert [row["MACE published"] for row in rows] == [f"{value:.6f}" for value in published[f"mace_{unit}"]]


def test_a_cell_that_the_paper_calls_failed_says_so() -> None:
    rows = markdown_rows(paper_table("deng2025_s2_defects", read_published(DATA / "deng2025_s2_defects.csv")))
    failed = [(row["Composition"], key) for row in rows for key, value in row.items() if value == "Failed"]
    assert failed == [("K", "M3GNet published")]


def test_the_phonon_table_compares_with_the_m3gnet_that_the_paper_used_there() -> None:
    published = read_published(DATA / "deng2025_s3_phonons.csv")
    runs = pd.concat(
        published[["row"]].assign(
            model=model, status="ok", max_freq_thz=published["m3gnet_thz"] * 1.01, level_of_theory="PBE"
        )
        for model in ("m3gnet-matgl-pes", "m3gnet-mp-2021.2.8-efs")
    )
    row = markdown_rows(paper_table("deng2025_s3_phonons", published, runs))[0]
    ours = f"{published['m3gnet_thz'][0] * 1.01:.6f}"
    assert row["M3GNet ours"] == row["m3gnet-mp-2021.2.8-efs ours"] == ours
    assert row["M3GNet diff. %"] == "+1.00" and "m3gnet-mp-2021.2.8-efs diff. %" not in row


def test_formulas_and_indices() -> None:
    assert formula_markdown("BaNaIn2(PO4)3") == "BaNaIn₂(PO₄)₃" and formula_markdown("Pt") == "Pt"
    assert formula_latex("Al2O3") == "Al$_{2}$O$_{3}$"
    assert miller_latex("[2, -1, 0]") == miller_latex([2, -1, 0]) == r"$(2\,\bar{1}\,0)$"
    assert latex_escape("a_b 5 %") == r"a\_b 5 \%"


def test_summary_meets_the_printed_errors(published: pd.DataFrame, runs: pd.DataFrame) -> None:
    lines = summary(published, runs).set_index("model")
    printed = {"m3gnet-mp-2021.2.8-efs": 0.047, "chgnet-0.3.0": 0.042, "mace-mp-0-medium": 0.032}
    assert {m: round(lines.loc[m, "mae_published"], 3) for m in printed} == printed
    ours = runs[(runs["model"] == "chgnet-0.3.0") & (runs["status"] == "ok")]
    gamma, paper, dft = (ours[c].to_numpy() for c in ours.columns[6:9])
    line = lines.loc["chgnet-0.3.0"]
    assert line["mae_ours"] == pytest.approx(np.abs(gamma - dft).mean(), rel=1e-12)
    assert line["mae_published_same_rows"] == pytest.approx(np.abs(paper - dft).mean(), rel=1e-12)
    off = np.round(100 * np.abs(gamma / paper - 1), 9)
    assert (line["n_compared"], line["n_within_4_percent"]) == (139, 138) == (len(off), (off <= 4).sum())
    assert line["worst_difference_percent"] == pytest.approx(12.0)
    assert lines.loc["sevennet-0", "n_compared"] == 0 and np.isnan(lines.loc["sevennet-0", "mae_published"])


def test_relative_difference() -> None:
    got = relative_difference_percent(pd.Series([1.1, -0.9, 1.0, np.nan]), pd.Series([1.0, -1.0, 0.0, 1.0]))
    assert got[:2].to_list() == pytest.approx([10.0, 10.0]) and got[2:].isna().all()


def test_write_keeps_the_old_file_when_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new" / "table.csv"
    write(path, "old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PesbenchError, match=r"table\.csv: no space left"):
        write(path, "new")
    assert path.read_text() == "old" and [p.name for p in path.parent.iterdir()] == ["table.csv"]
    monkeypatch.undo()
    write(path, b"new")
    assert path.read_text() == "new"
