"""The page's phonons: every number is the data's, curves come back from their files, and a browser shows them."""

import dataclasses
import json
import lzma
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pesbench.phonon_run import PhononRun, run_of
from pesbench.records import Record, write_records
from pesbench.report.page import ReportInputs, build_report
from pesbench.report.phonons import (
    file_name,
    material_data,
    parity_plot,
    summary_table,
    viewer,
    write_materials,
)
from pesbench.tables import read_published, tidy_csv

CHGNET, SEVENNET, DFT = "chgnet-0.3.0", "sevennet-0", "phonondb-2018"
FACTORS = {DFT: 1.0, CHGNET: 0.9, SEVENNET: 1.05}
MATERIALS = ("mp-1265", "mp-2691", "mp-2998")
HOSTILE = '<script>alert("x")</script> & </script>'
DATA = Path(__file__).parents[2] / "data" / "published"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def band_file(factor: float) -> dict[str, Any]:
    """Three branches on the path Γ-X-L and, after a jump, W-K."""
    q = np.linspace(0, 1, 26)
    branches = factor * np.column_stack([3 * q - 1, 10.12345 * np.sin(np.pi * q / 2), 15.6789 - q])
    ends = [(0.0, 1.0), (1.0, 1.8), (1.8, 2.1)]
    segments = [
        {"distance": np.linspace(*pair, 26).tolist(), "frequencies_thz": np.sort(branches).tolist()}
        for pair in ends
    ]
    dos = {
        "frequency_thz": np.linspace(-1, 16, 201).tolist(),
        "states_per_thz": np.linspace(0, 1, 201).tolist(),
    }
    return {"labels": ["GAMMA", "X", "X", "L", "W", "K"], "segments": segments, "dos": dos}


def phonon_records(model: str) -> list[Record]:
    """One record a material; CHGNet fails on mp-2691 with a message that is HTML."""
    values = {"space_group_start": 225, "path": {"max_frequency_thz": 15.6789 * FACTORS[model]}}
    records = [Record(m, "phonons", model, "ok", {"settings": "0"}, values=values) for m in MATERIALS]
    if model == CHGNET:
        records[1] = Record("mp-2691", "phonons", model, "failed", {}, stage="relaxation", message=HOSTILE)
    return records


def keep_bands(records: list[Record], folder: Path) -> None:
    for record in records:
        path = folder / record.model / "files" / f"{record.id}.bands.json.xz"
        path.parent.mkdir(parents=True, exist_ok=True)
        if record.status == "ok":
            path.write_bytes(lzma.compress(json.dumps(band_file(FACTORS[record.model])).encode()))


@pytest.fixture
def published() -> pd.DataFrame:
    return read_published(DATA / "deng2025_s3_phonons.csv")


@pytest.fixture
def run(tmp_path: Path) -> PhononRun:
    records = [record for model in FACTORS for record in phonon_records(model)]
    keep_bands(records, tmp_path / "phonons")
    formulas = {"mp-1265": "MgO", "mp-2691": "CdSe", "mp-2998": "BaTiO3"}
    return run_of(records, {DFT: "PBEsol"}, formulas, tmp_path / "phonons")


@pytest.fixture
def table(published: pd.DataFrame) -> pd.DataFrame:
    """Our tidy table, planted: CHGNet 0.5 % too high on the first twenty rows, two of them not finished."""
    lines = [
        {
            **{"row": r["row"], "mp_id": r["mp_id"], "formula": r["formula"], "model": model},
            "max_freq_thz": _planted(model, r),
            "published_thz": r["chgnet_thz"] if model == CHGNET else float("nan"),
            "dft_thz": float("nan"),
            "dft_published_thz": r["dft_thz"],
            "status": _status(int(r["row"])),
            "relative_difference": 0.005
            if model == CHGNET and _status(int(r["row"])) == "ok"
            else float("nan"),
            "explanation": "",
            "level_of_theory": "PBE (MP)",
        }
        for model in (CHGNET, SEVENNET)
        for r in published.to_dict("records")
    ]
    return pd.DataFrame(lines)


def _status(row: int) -> str:
    return {3: "failed", 4: "not_converged"}.get(row, "ok") if row <= 20 else "not_run"


def _planted(model: str, row: dict[str, Any]) -> float:
    if _status(int(row["row"])) != "ok":
        return float("nan")
    return row["chgnet_thz"] * 1.005 if model == CHGNET else row["dft_thz"] + 0.25


@pytest.fixture
def inputs(table: pd.DataFrame, run: PhononRun, tmp_path: Path) -> ReportInputs:
    """Everything that a run of the phonon benchmark leaves behind."""
    tables = {"deng2025_s3_phonons": tmp_path / "deng2025_s3_phonons.csv", "loew2024_t1": tmp_path / "t1.csv"}
    tables["deng2025_s3_phonons"].write_text(tidy_csv(table))
    tables["loew2024_t1"].write_text("model,n\nsevennet-0,3\n")
    figure = tmp_path / "deng2025_fig4a.png"
    figure.write_bytes(b"image")
    for model in FACTORS:
        write_records(run.folder / model / "records.jsonl", phonon_records(model))
    return ReportInputs(
        published={path.stem: path for path in sorted(DATA.glob("deng2025_s*.csv"))},
        tables=tables,
        records={f"phonons/{model}": run.folder / model / "records.jsonl" for model in FACTORS},
        figures={"deng2025_fig4a": figure},
        phonons=run.folder,
        phonon_databases={DFT: "PBEsol"},
    )


def loaded(path: Path) -> dict[str, Any]:
    """Return what a material's file hands to the page."""
    call = re.fullmatch(r"pesbenchPhonons\((.*)\);\n", path.read_text(encoding="utf-8"))
    assert call, path
    return json.loads(call[1])


def test_curves_come_back_to_a_thousandth(run: PhononRun, tmp_path: Path) -> None:
    write_materials(run, tmp_path / "js")
    assert sorted(p.name for p in (tmp_path / "js").iterdir()) == [f"{m}.js" for m in sorted(MATERIALS)]
    data = loaded(tmp_path / "js" / "mp-2998.js")
    assert [c["name"] for c in data["curves"]] == [DFT, CHGNET, SEVENNET] and data["failed"] == []
    assert data["title"] == "BaTiO₃ (mp-2998)"
    assert data["ticks"] == [[0.0, "Γ"], [1.0, "X"], [1.8, "L|W"], [2.1, "K"]]
    for curve in data["curves"]:
        kept = band_file(FACTORS[curve["name"]])
        for segment, x, bands in zip(kept["segments"], data["x"], curve["bands"], strict=True):
            assert np.allclose(segment["distance"], x, atol=5e-5)
            assert np.abs(np.array(segment["frequencies_thz"]) - np.array(bands) / 1000).max() <= 0.000501
        assert (
            np.abs(np.array(kept["dos"]["frequency_thz"]) - np.array(curve["dos"][0]) / 1000).max()
            <= 0.000501
        )
        assert curve["max"] == round(15678.9 * FACTORS[curve["name"]]) and bool(curve["dash"]) == (
            curve["name"] != DFT
        )
    assert len({curve["dash"] for curve in data["curves"]}) == 3
    assert loaded(tmp_path / "js" / "mp-2691.js")["failed"] == [
        f"CHGNet ({CHGNET}): ✗ failed, relaxation: {HOSTILE}"
    ]


def test_same_bytes_and_no_stale_material(run: PhononRun, tmp_path: Path) -> None:
    folder = tmp_path / "js"
    write_materials(run, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "mp-99.js").write_text("old")
    (folder / "note.txt").write_text("not ours")
    write_materials(run, folder)
    assert {path.name: path.read_bytes() for path in folder.glob("*.js")} == before
    assert (folder / "note.txt").exists()
    write_materials(PhononRun({}), folder)
    assert list(folder.glob("*.js")) == []


def test_odd_ids_and_formulas_stay_text(run: PhononRun, tmp_path: Path) -> None:
    odd = '../a b"</select><script>'
    assert Path(file_name(odd)).name == file_name(odd) and '"' not in file_name(odd)
    own = dataclasses.replace(run.records[SEVENNET]["mp-1265"], id=odd)
    strange = PhononRun({SEVENNET: {odd: own}}, {}, {odd: f"Mg{HOSTILE}"}, run.folder)
    write_materials(strange, tmp_path / "js")
    [path] = (tmp_path / "js").iterdir()
    assert loaded(path)["id"] == odd and loaded(path)["curves"] == []
    shown = str(viewer(strange).body)
    assert "<script" not in shown and shown.count("<option") == 1
    value = re.search(r'<option value="([^"]*)" data-file="([^"]*)">', shown)
    assert value and unescape(value[1]) == odd and unescape(value[2]) == path.name


def test_summary_counts_and_errors(published: pd.DataFrame, table: pd.DataFrame) -> None:
    shown = summary_table(published, table)
    rows = [dict(zip(shown.columns, (c.text for c in row), strict=True)) for row in shown.rows]
    lines = {row["Model"]: row for row in rows}
    own = lines[f"CHGNet ({CHGNET})"]
    assert [own[t] for t in ("Ok", "Failed", "Not converged", "Not run")] == ["18", "1", "1", "209"]
    error = (published["chgnet_thz"] - published["dft_thz"]).abs().mean()
    assert (
        own["MAE published, all rows (THz)"] == f"{error:.3f}" and own["Below DFT, published (%)"] == "90.8"
    )
    assert (own["Within 1 %"], own["Compared rows"], own["Worst difference (%)"]) == ("18", "18", "0.50")
    seven = lines[SEVENNET]
    assert (seven["MAE ours"], seven["Below DFT, ours (%)"], seven["Within 1 %"]) == ("0.250", "0.0", "0")
    assert "M3GNet (m3gnet-matgl-pes)" in lines and lines["MACE (mace-mp-0-medium)"]["Not run"] == "229"


def test_parity_points_are_the_data(published: pd.DataFrame, table: pd.DataFrame) -> None:
    points = parity_plot(CHGNET, published, table).points
    drawn = {(p.key, p.kind): (10**p.x, 10**p.y) for p in points}
    assert len(points) == 229 + 18
    for row in published.to_dict("records"):
        assert drawn[row["mp_id"], "published"] == pytest.approx((row["dft_thz"], row["chgnet_thz"]))
        if _status(row["row"]) == "ok":
            assert drawn[row["mp_id"], "ours"] == pytest.approx((row["dft_thz"], 1.005 * row["chgnet_thz"]))
    assert "difference +0.50 %" in next(p.tip for p in points if p.kind == "ours")


def test_page_holds_the_section(inputs: ReportInputs, tmp_path: Path) -> None:
    output = tmp_path / "report" / "index.html"
    build_report(inputs, output)
    text = output.read_text(encoding="utf-8")
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids)) and {"phonons", "phonon-bands", "phonons-rows"} <= set(ids)
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    assert ids.count("paper-deng2025-s3-phonons") == ids.count("table-loew2024_t1") == 1
    assert "After Table I of Loew et al.: relaxation" in text and "Fig. 4a of Deng et al. rebuilt" in text
    assert "<script>alert" not in text and text.count("<script") == 1
    assert f"Ran {CHGNET}, {SEVENNET}, {DFT} (forces on file, PBEsol) on 3 materials: " in text
    assert len(list((tmp_path / "report" / "phonons").iterdir())) == 3
    again = tmp_path / "again" / "index.html"
    build_report(inputs, again)
    assert again.read_bytes() == output.read_bytes()


@pytest.mark.parametrize("materials", [(), ("mp-1265",)])
def test_page_of_no_material_and_of_one(
    materials: tuple[str, ...], inputs: ReportInputs, table: pd.DataFrame, tmp_path: Path
) -> None:
    for model, path in zip(FACTORS, inputs.records.values(), strict=True):
        write_records(path, [r for r in phonon_records(model) if r.id in materials])
    idle = table.assign(status="not_run", max_freq_thz=float("nan"), relative_difference=float("nan"))
    inputs.tables["deng2025_s3_phonons"].write_text(tidy_csv(idle))
    output = tmp_path / "report" / "index.html"
    build_report(inputs, output)
    text = output.read_text(encoding="utf-8")
    assert text.count("<option") == len(materials) == len(list((output.parent / "phonons").glob("*.js")))
    assert ("No material in this run." in text) == (not materials) and ">nan<" not in text


def test_without_the_benchmark_the_published_table_stays(inputs: ReportInputs, tmp_path: Path) -> None:
    bare = tmp_path / "published.csv"
    bare.write_text(tidy_csv(read_published(DATA / "deng2025_s3_phonons.csv")))
    none = dataclasses.replace(inputs, tables={"deng2025_s3_phonons": bare}, records={})
    build_report(none, tmp_path / "report" / "index.html")
    text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert 'id="phonons"' not in text and 'id="paper-deng2025-s3-phonons"' in text
    assert not (tmp_path / "report" / "phonons").exists()


def test_material_without_a_database_takes_the_first_models_path(run: PhononRun) -> None:
    alone = PhononRun(
        {m: r for m, r in run.records.items() if m != DFT}, run.databases, run.formulas, run.folder
    )
    data = material_data(alone, "mp-2691")
    assert [c["name"] for c in data["curves"]] == [SEVENNET] and data["ticks"][-1] == (2.1, "K")


# Runs after the page's own script; what it finds out is left in the page, which the browser then prints.
PROBE = """
<script>{
const found = {}, find = (selector) => document.querySelector(`.bands ${selector}`);
const wait = (test) => new Promise((done) => {
  const again = () => (test() ? done() : setTimeout(again, 20));
  again();
});
const says = (text) => wait(() => find("output").textContent.includes(text));
const mouse = (type, x, y) => {
  const svg = find(".drawing svg"), box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
  svg.setPointerCapture = () => {};
  const where = { clientX: box.x + x * box.width / view.width, clientY: box.y + y * box.height / view.height };
  svg.dispatchEvent(new PointerEvent(type, { bubbles: true, pointerId: 1, ...where }));
};
const ticks = () => Array.from(document.querySelectorAll(".bands .tick"), (t) => t.textContent);
(async () => {
  await says("mp-1265");
  found.first = find("output").textContent;
  const search = find("input[type=search]");
  search.value = "batio3"; search.dispatchEvent(new Event("input", { bubbles: true }));
  await says("mp-2998");
  found.options = Array.from(find("select").options, (o) => o.textContent);
  found.curves = document.querySelectorAll(".bands .curve:not(.sample *)").length;
  found.labels = ticks();
  const svg = find(".drawing svg");
  svg.scrollIntoView({ block: "center" });
  const end = svg.querySelector(".box").getBBox();
  const low = Array.from(svg.querySelectorAll(".tick")).find((t) => t.textContent === "0");
  const ten = Array.from(svg.querySelectorAll(".tick")).find((t) => t.textContent === "10");
  const perThz = (low.getAttribute("y") - ten.getAttribute("y")) / 10, zero = low.getAttribute("y") - 4;
  mouse("pointermove", end.x, zero - 15.679 * perThz);
  found.tip = tip.hidden ? "" : tip.textContent;
  mouse("pointerdown", end.x + 20, zero - 12 * perThz);
  mouse("pointerup", end.x + 200, zero - 8 * perThz);
  found.zoomed = ticks();
  find("button[data-deed=whole]").click();
  found.whole = ticks();
  find(".curves input").click();
  found.without = document.querySelectorAll(".bands .curve:not(.sample *)").length;
  document.querySelector('.pt[data-key="mp-2691"]').dispatchEvent(new MouseEvent("click", { bubbles: true }));
  await says("mp-2691");
  found.failed = Array.from(document.querySelectorAll(".bands .notes li"), (li) => li.textContent);
  const result = document.createElement("pre");
  result.id = "found"; result.textContent = JSON.stringify(found);
  document.body.append(result);
})();
}</script>
"""


@pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome")
def test_bands_in_a_browser(inputs: ReportInputs, run: PhononRun, tmp_path: Path) -> None:
    page = tmp_path / "report" / "index.html"
    manifest = tmp_path / "phonons.csv"
    manifest.write_text("mp_id,formula\n" + "".join(f"{m},{f}\n" for m, f in run.formulas.items()))
    build_report(dataclasses.replace(inputs, phonon_manifest=manifest), page)
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", PROBE + "</body>"), encoding="utf-8")
    options = "--headless --no-sandbox --disable-gpu --no-first-run --disable-dev-shm-usage --disable-sync"
    options += " --disable-background-networking --disable-component-update --dump-dom"
    command = [str(BROWSER), *options.split(), "--enable-logging=stderr", "--window-size=1280,900"]
    command += ["--virtual-time-budget=8000", f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    result = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    assert result, f"the probe did not finish: {console or done.stderr[-2000:]}"
    assert console == ""
    found = json.loads(unescape(result[1]))
    assert found["first"].startswith("MgO (mp-1265): PhononDB (PBEsol) up to 15.679 THz; CHGNet")
    assert found["options"] == ["BaTiO₃ (mp-2998)"]
    assert found["curves"] == 3 * (3 + 1)  # of each three segments, and the density of states
    assert found["labels"][-4:] == ["Γ", "X", "L|W", "K"] and "10" in found["labels"]
    assert found["tip"].splitlines() == [
        "Band 3 at Γ",
        "▸ PhononDB (PBEsol): 15.679 THz",
        f"CHGNet ({CHGNET}): 14.111 THz",
        f"{SEVENNET}: 16.463 THz",
    ]
    inside = [float(t) for t in found["zoomed"] if re.fullmatch(r"[\d.]+", t)]
    assert inside[0] >= 8 and inside[-1] <= 12 and len(inside) > 4 and found["whole"] == found["labels"]
    assert found["without"] == 2 * (3 + 1)
    assert found["failed"] == [f"CHGNet ({CHGNET}): ✗ failed, relaxation: {HOSTILE}"]
