"""The page shows what the files hold, escapes it, needs no network, and is the same for the same files."""

import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from pesbench.errors import RecordError
from pesbench.files import write_atomic as write
from pesbench.report.page import ReportInputs, build_report
from pesbench.report.parts import Cell, Section, dict_table
from pesbench.report.surfaces import reproduction_plot
from pesbench.report.svg import LEFT, TOP, Axis, Point, Scatter, draw

HOSTILE = '<script>alert("x")</script> & <b>bold</b>'


class Page(HTMLParser):
    """Reads the page: cells of each table by its id, ids, links, headings and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[tuple[int, str]] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._table, self._into = "", ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append((tag, given))
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" else []
        if given.get("class") == "table":
            self._table = given["id"]
            self.tables[self._table] = []
        elif tag == "tr":
            self.tables[self._table].append([])
        elif tag in ("td", "th"):
            self.tables[self._table][-1].append("")
        elif re.fullmatch(r"h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))
        if tag in ("td", "th", "h1", "h2", "h3"):
            self._into = tag

    def handle_endtag(self, tag: str) -> None:
        self._into = "" if tag == self._into else self._into

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._into in ("td", "th"):
            self.tables[self._table][-1][-1] += data
        elif self._into:
            self.headings[-1] = (self.headings[-1][0], self.headings[-1][1] + data)

    def rows(self, table: str) -> list[dict[str, str]]:
        """Return a table's rows by column title."""
        head, *body = self.tables[table]
        return [dict(zip(head, row, strict=True)) for row in body]


def page(inputs: ReportInputs, folder: Path, **options: object) -> tuple[str, Page]:
    output = folder / "report" / "index.html"
    build_report(inputs, output, **options)  # type: ignore[arg-type]
    return output.read_text(encoding="utf-8"), Page(output.read_text(encoding="utf-8"))


def test_every_number_of_the_table_is_in_its_row(
    report_inputs: ReportInputs, runs: pd.DataFrame, tmp_path: Path
) -> None:
    shown = page(report_inputs, tmp_path)[1].rows("surfaces-rows")
    words = {"ok": "✓ ok", "failed": "✗ failed", "not_converged": "≈ not converged", "not_run": "– not run"}
    assert len(shown) == len(runs) == 294
    expected = runs.sort_values("status", key=lambda status: status == "not_run", kind="stable")
    for line, row in zip(shown, expected.to_dict("records"), strict=True):
        for title, name in (("Ours", "gamma"), ("Published", "published"), ("DFT", "dft")):
            value = row[f"{name}_ev_per_ang2"]
            assert line[f"{title} (eV/Å²)"] == (f"{value:.6f}" if value == value else "")
        same = (
            ("mp_id", "mp-id"),
            ("miller", "Miller index"),
            ("model", "Model"),
            ("explanation", "Explanation"),
        )
        assert all(line[title] == row[name] for name, title in same)
        assert line["Status"] == words[row["status"]]
        if row["relative_difference"] == row["relative_difference"]:
            percent, mark = line["Difference (%)"].split()
            assert float(percent) == pytest.approx(100 * row["relative_difference"], abs=0.006)
            assert mark == ("✓" if abs(float(percent)) <= 2 else "≈" if abs(float(percent)) <= 4 else "✗")


def test_plots_hold_every_surface(report_inputs: ReportInputs, runs: pd.DataFrame, tmp_path: Path) -> None:
    parsed = page(report_inputs, tmp_path)[1]
    marks = [given for tag, given in parsed.tags if tag == "g" and given.get("class", "").startswith("pt ")]
    kinds = [given["class"] for given in marks]
    compared = ((runs["status"] == "ok") & runs["published_ev_per_ang2"].notna()).sum()
    assert kinds.count("pt published") == 3 * 147
    assert kinds.count("pt ours") == (runs["status"] == "ok").sum() + compared
    assert kinds.count("pt lost") == (runs["status"] == "not_converged").sum()
    row = runs[(runs["model"] == "chgnet-0.3.0") & (runs["miller"] == "[2, 1, -2]")].iloc[0]
    tips = [given["data-tip"] for given in marks if given["data-key"] == str(row["row"])]
    own = runs[(runs["model"] == "sevennet-0") & (runs["status"] == "ok")]
    error = (own["gamma_ev_per_ang2"] - own["dft_ev_per_ang2"]).abs().mean()
    assert f"sevennet-0: MAE in eV/Å²: ours {error:.3f} (n = 141 of 147)" in parsed.text
    assert "CHGNet (chgnet-0.3.0): MAE in eV/Å²: paper 0.042 (n = 147), ours 0.0" in parsed.text
    wanted = ("Cr₂O₃ (mp-19399) [2, 1, -2] t1", "CHGNet", f"ours {row['gamma_ev_per_ang2']:.6f} eV/Å²")
    assert any(all(part in tip for part in wanted) for tip in tips)


def test_ledger_shows_all_numbers_and_counts_verdicts(report_inputs: ReportInputs, tmp_path: Path) -> None:
    parsed = page(report_inputs, tmp_path)[1]
    claim, count = parsed.rows("claims")
    assert claim["Verdict"] == "✓ reproduced" and claim["Claim"] == f"MAE of CHGNet {HOSTILE} (Fig. 2a)"
    numbers = [claim[t] for t in ("Published", "Published table", "Our runs", "Rows")]
    assert numbers == ["0.042", "0.0419394", "0.0423456", "139/147"]
    assert count["Verdict"] == "! contradiction" and count["Note"] == "the text says 129"
    assert "contradiction: 1; reproduced: 1" in parsed.text


def test_failures_costs_models_and_texts(report_inputs: ReportInputs, tmp_path: Path) -> None:
    parsed = page(report_inputs, tmp_path)[1]
    failed = [(r["Model"], r["Material"], r["Status"], r["Message"]) for r in parsed.rows("failed")]
    assert ("sevennet-0", "mp-1", "✗ failed", f"bulk relaxation: {HOSTILE}") in failed
    assert (
        sum(r[2] == "≈ not converged" for r in failed) == 3 and sum(r[2] == "✗ failed" for r in failed) == 3
    )
    cost = parsed.rows("cost-materials")
    assert (cost[1]["Wall time (s)"], cost[1]["Evaluations"], cost[1]["Peak memory (MB)"]) == (
        "11.5",
        "100",
        "700",
    )
    total = sum(float(r["Wall time (s)"]) for r in cost if r["Model"] == "sevennet-0")
    assert float(parsed.rows("cost-models")[1]["Wall time (s)"]) == pytest.approx(total)
    assert list(parsed.rows("cost-jobs")[0].values()) == [
        "surfaces/chgnet-0.3.0",
        "93.2",
        "91.8",
        "812.5",
        "98.5",
    ]
    assert len(parsed.rows("cost-jobs")) == 1
    models = {row["Model"]: row for row in parsed.rows("registry")}
    assert "2.5e-06 (tolerance 0.001)" in models["chgnet-0.3.0"]["Conformance"]
    assert models["chgnet-0.3.0"]["Parameters"] == "412525" and len(models["chgnet-0.3.0"]["sha256"]) == 64
    assert models["sevennet-0"]["Conformance"] == "– not checked"
    assert "chgnet==0.4.2" in parsed.text and "reference: published" in parsed.text


def test_data_is_escaped(report_inputs: ReportInputs, tmp_path: Path) -> None:
    text, parsed = page(report_inputs, tmp_path)
    assert "<script>alert" not in text and "<b>bold" not in text
    assert parsed.text.count(HOSTILE) >= 4  # claim, two failures, configuration
    assert [tag for tag, _ in parsed.tags].count("script") == 1


def test_nothing_is_loaded_from_elsewhere(report_inputs: ReportInputs, tmp_path: Path) -> None:
    text, parsed = page(report_inputs, tmp_path)
    loads = [
        g[k] for tag, g in parsed.tags for k in ("src", "href", "data", "poster") if k in g and tag != "a"
    ]
    assert all(load.startswith("data:") for load in loads)
    styles = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in styles and "@import" not in styles and "http" not in styles
    outside = {link for link in parsed.links if not link.startswith("#")}
    assert outside and all(link.startswith("https://doi.org/") for link in outside)
    assert str(tmp_path) not in text and len(text) < 6e6


def test_links_lead_somewhere_and_headings_are_in_order(report_inputs: ReportInputs, tmp_path: Path) -> None:
    parsed = page(report_inputs, tmp_path)[1]
    inner = [link[1:] for link in parsed.links if link.startswith("#")]
    assert set(inner) <= set(parsed.ids) and len(parsed.ids) == len(set(parsed.ids))
    assert sum(link.startswith("record-surfaces-chgnet-0.3.0-") for link in inner) >= 142
    levels = [level for level, _ in parsed.headings]
    assert levels.count(1) == 1 and all(b - a <= 1 for a, b in pairwise(levels))
    assert {"ledger", "surfaces", "failures", "cost", "models", "records"} <= set(inner)


def test_same_files_same_bytes(report_inputs: ReportInputs, runs: pd.DataFrame, tmp_path: Path) -> None:
    first, second = page(report_inputs, tmp_path / "a")[0], page(report_inputs, tmp_path / "b")[0]
    assert first == second
    table = report_inputs.tables["deng2025_s1_surfaces"]
    write(table, table.read_text().replace("other termination", "another one"))
    assert page(report_inputs, tmp_path)[0] != first


def test_published_alone(report_inputs: ReportInputs, tmp_path: Path) -> None:
    text, parsed = page(ReportInputs(published=report_inputs.published), tmp_path)
    assert "Nothing has run yet" in parsed.text and "surfaces-rows" not in parsed.tables
    assert len(parsed.rows("paper-deng2025-s1-surfaces")) == 147
    assert len(parsed.rows("paper-deng2025-s3-phonons")) == 229
    assert len(text) < 1e6 and "nan" not in {c for t in parsed.tables.values() for row in t for c in row}


def test_files_that_are_not_there_yet(report_inputs: ReportInputs, tmp_path: Path) -> None:
    records = {**report_inputs.records, "later-model": tmp_path / "later" / "records.jsonl"}
    gone = dataclasses.replace(report_inputs, records=records, claims=tmp_path / "none.json")
    parsed = page(gone, tmp_path)[1]
    assert "No claim was checked yet." in parsed.text and "surfaces-rows" in parsed.tables


def test_a_corrupt_record_is_named(report_inputs: ReportInputs, tmp_path: Path) -> None:
    path = report_inputs.records["sevennet-0"]
    write(path, path.read_text().replace('"evaluations":101', '"evaluations":102'))
    with pytest.raises(RecordError, match=r"records\.jsonl, line \d+: corrupt record"):
        build_report(report_inputs, tmp_path / "index.html")


def test_record_details_are_whole(report_inputs: ReportInputs, tmp_path: Path) -> None:
    text = page(report_inputs, tmp_path)[0]
    fold = text[text.index('<details id="record-surfaces-sevennet-0-mp-126">') :]
    shown = fold[fold.index("<pre>") + 5 : fold.index("</pre>")].replace("&#34;", '"')
    record = json.loads(shown)
    lines = report_inputs.records["sevennet-0"].read_text().splitlines()
    assert record in [json.loads(line)["record"] for line in lines] and record["id"] == "mp-126"


def test_a_benchmark_adds_a_section(report_inputs: ReportInputs, tmp_path: Path) -> None:
    table = dict_table("mine", "My table", [{"Name": Cell("a<b"), "eV": Cell("1.5", 1.5)}])
    parsed = page(
        report_inputs, tmp_path, extra=[Section("extra", "Defects", "All of them.", tables=[table])]
    )[1]
    assert parsed.rows("mine") == [{"Name": "a<b", "eV": "1.5"}]
    assert (2, "Defects") in parsed.headings and "#extra" in parsed.links


def test_other_tables_and_figures_have_captions(report_inputs: ReportInputs, tmp_path: Path) -> None:
    table, figure = tmp_path / "deng2025_s1_metrics.csv", tmp_path / "deng2025_fig2a.png"
    write(table, "mp_id,formula,status,mae_ev_per_ang2\nmp-1,Al2O3,ok,0.027958\n")
    write(figure, b"image")
    tables = {**report_inputs.tables, "deng2025_s1_metrics": table}
    more = dataclasses.replace(report_inputs, tables=tables, figures={"deng2025_fig2a": figure})
    text, parsed = page(more, tmp_path)
    row = {"mp-id": "mp-1", "Formula": "Al₂O₃", "Status": "✓ ok", "Mae (eV/Å²)": "0.027958"}
    assert parsed.rows("table-deng2025_s1_metrics") == [row]
    assert "bootstrap intervals" in parsed.text and "Fig. 2a of Deng et al. rebuilt" in parsed.text
    assert 'src="data:image/png;base64,aW1hZ2U="' in text


def test_reproduction_plot_holds_the_relative_differences(
    published: pd.DataFrame, runs: pd.DataFrame
) -> None:
    plot = reproduction_plot("chgnet-0.3.0", published, runs)
    own = runs[(runs["model"] == "chgnet-0.3.0") & (runs["status"] == "ok")]
    assert [point.x for point in plot.points] == (own["row"] - 1).to_list()
    assert [point.y for point in plot.points] == pytest.approx((100 * own["relative_difference"]).to_list())
    assert [label for _, label in plot.y.ticks] == ["−10", "−4", "−2", "0", "+2", "+4", "+10"]
    assert plot.x.ticks[0] == (2.5, "Pt") and len(plot.x.ticks) == 29 and plot.bands == (2, 4)


def test_the_inputs_are_named_with_their_digests(report_inputs: ReportInputs, tmp_path: Path) -> None:
    parsed = page(report_inputs, tmp_path)[1]
    assert report_inputs.claims is not None
    files = {row["Input"]: row["sha256"] for row in parsed.rows("files")}
    assert files["claims"] == hashlib.sha256(report_inputs.claims.read_bytes()).hexdigest()
    assert {"records: sevennet-0", "tables: deng2025_s1_surfaces", "published: deng2025_s3_phonons"} <= set(
        files
    )
    assert parsed.rows("cost-materials")[1]["Per evaluation (s)"] == "0.115"
    assert "Ran chgnet-0.3.0, sevennet-0 on 29 materials: " in parsed.text and "torch 2.13.0" in parsed.text


def test_points_lie_where_the_data_says() -> None:
    x, y = Axis("DFT", 0, 0.4, [(0.2, "0.2")]), Axis("Model", -10, 10, [(5, "five")])
    points = [
        Point(0.1, 5, "published", "1", "a"),
        Point(0.3, -10, "ours", "2", "b"),
        Point(0.1, 99, "ours", "3", "c"),
        Point(0.4, 10, "lost", "4", "d"),
    ]
    plot = Scatter("A & B", "#123456", x, y, points, diagonal=True, bands=(2, 4), width=464, height=252)
    text = str(draw(plot))  # the axes are 400 wide and 200 high
    circles = [
        tuple(map(float, c)) for c in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', text)
    ]
    assert circles == [(LEFT + 100, TOP + 50, 4.5), (LEFT + 300, TOP + 200, 3.0)]
    assert f'<path d="M{LEFT + 100:.1f} {TOP - 4:.1f}' in text  # beyond: a triangle on the edge
    assert f'<path d="M{LEFT + 396:.1f} {TOP - 4:.1f}l8 8' in text  # did not converge: a cross
    assert f'class="parity" x1="{LEFT:.1f}" y1="{TOP + 200:.1f}" x2="{LEFT + 400:.1f}" y2="{TOP:.1f}"' in text
    bands = re.findall(r'class="band" x="52" y="([\d.]+)" width="400" height="([\d.]+)"', text)
    assert bands == [(f"{TOP + 60:.1f}", "80.0"), (f"{TOP + 80:.1f}", "40.0")]
    assert ">five</text>" in text and ">0.2</text>" in text and 'aria-label="A &amp; B"' in text
