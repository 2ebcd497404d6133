"""The page in a real browser: sort, filter, hover, unfold, at two widths, without an error."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from pesbench.report.page import ReportInputs, build_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --enable-logging=stderr --dump-dom"
)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome")

# Runs after the page's own script; what it finds out is left in the page, which the browser then prints.
PROBE = """
<script>{
const found = {};
const rowsOf = (id) => Array.from(document.querySelectorAll(`#${id} tbody tr`));
const column = (id, title) => {
  const heads = Array.from(document.querySelectorAll(`#${id} th`));
  return heads.findIndex((th) => th.textContent === title);
};
const shown = (id) => rowsOf(id).filter((row) => !row.hidden);
const texts = (id, title) => shown(id).map((row) => row.cells[column(id, title)].textContent);
const click = (id, title) => document.querySelectorAll(`#${id} th button`)[column(id, title)].click();
const sort = () => document.querySelector("#surfaces-rows th[aria-sort]").getAttribute("aria-sort");

click("surfaces-rows", "Ours (eV/Å²)");
found.up = texts("surfaces-rows", "Ours (eV/Å²)"); found.upSort = sort();
click("surfaces-rows", "Ours (eV/Å²)");
found.down = texts("surfaces-rows", "Ours (eV/Å²)"); found.downSort = sort();
click("surfaces-rows", "Difference (%)");
found.difference = texts("surfaces-rows", "Difference (%)");
click("surfaces-rows", "mp-id");
found.ids = texts("surfaces-rows", "mp-id");

const input = document.querySelector("input[data-for=surfaces-rows]");
const type = (text) => { input.value = text; input.dispatchEvent(new Event("input", { bubbles: true })); };
type("Cr2O3 sevennet");
found.filtered = texts("surfaces-rows", "Composition");
found.told = document.querySelector("#surfaces-rows output").textContent;
type("");
found.unfiltered = texts("surfaces-rows", "Composition").length;

const points = Array.from(document.querySelectorAll("#parity .pt.published"));
const point = points.find((p) => p.dataset.tip.includes("mp-66"));
point.scrollIntoView({ block: "center" });
const box = point.getBoundingClientRect();
const where = { bubbles: true, clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
const hit = document.elementFromPoint(where.clientX, where.clientY);
const tip = document.getElementById("tip");
found.before = tip.hidden;
hit.dispatchEvent(new MouseEvent("mouseover", where));
const place = tip.getBoundingClientRect();
found.tip = tip.hidden ? "" : tip.textContent;
found.same = Array.from(document.querySelectorAll(".pt.same"), (p) => p.dataset.key);
found.inside = place.left >= 0 && place.right <= innerWidth && place.top >= 0 && place.bottom <= innerHeight;
document.querySelector("h1").dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
found.after = tip.hidden;

const link = document.querySelector("#surfaces-rows td a");
found.target = link.getAttribute("href").slice(1);
const fold = document.getElementById(found.target);
found.foldBefore = fold.open;
location.hash = link.getAttribute("href");
found.page = [document.documentElement.scrollWidth, innerWidth];
found.header = getComputedStyle(document.querySelector("#surfaces-rows th")).position;
addEventListener("hashchange", () => setTimeout(() => {
  found.foldAfter = fold.open;
  const result = document.createElement("pre");
  result.id = "found"; result.textContent = JSON.stringify(found);
  document.body.append(result);
}, 0));
}</script>
"""


def look(inputs: ReportInputs, folder: Path, width: int) -> tuple[dict[str, Any], str]:
    """Open the page with the probe added; return what it found, and what the browser's console said."""
    page = folder / "index.html"
    build_report(inputs, page)
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", PROBE + "</body>"), encoding="utf-8")
    command = [
        str(BROWSER),
        *OPTIONS.split(),
        f"--window-size={width},900",
        f"--user-data-dir={folder / 'profile'}",
    ]
    run = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=180, check=False)
    result = re.search(r'<pre id="found">(.*?)</pre>', run.stdout, re.DOTALL)
    console = "\n".join(line for line in run.stderr.splitlines() if "CONSOLE" in line)
    assert result, f"the probe did not finish: {console or run.stderr[-2000:]}"
    return json.loads(unescape(result[1])), console


@pytest.mark.parametrize("width", [1280, 800])
def test_page_in_a_browser(report_inputs: ReportInputs, tmp_path: Path, width: int) -> None:
    found, console = look(report_inputs, tmp_path, width)
    assert console == ""

    up, down = ([float(text) for text in found[name] if text] for name in ("up", "down"))
    assert up == sorted(up) and down == sorted(down, reverse=True) and len(up) > 250
    assert found["up"][-1] == found["down"][-1] == "" and found["up"][0] != found["down"][0]
    assert (found["upSort"], found["downSort"]) == ("ascending", "descending")
    difference = [float(text.split()[0]) for text in found["difference"] if text]
    assert difference == sorted(difference) and difference[0] < 0 < difference[-1]
    numbers = [int(text.removeprefix("mp-")) for text in found["ids"]]
    assert numbers == sorted(numbers) and numbers[0] < 100 < numbers[-1]

    assert found["filtered"] and set(found["filtered"]) == {"Cr₂O₃"}
    assert found["told"] == f"{len(found['filtered'])} of 294 rows" and found["unfiltered"] == 294

    assert found["before"] and found["after"] and found["inside"]
    assert found["tip"].startswith("C (mp-66) [") and "eV/Å²" in found["tip"]
    assert len(found["same"]) >= 4 and len(set(found["same"])) == 1

    assert found["target"].startswith("record-") and not found["foldBefore"] and found["foldAfter"]
    scroll, inner = found["page"]
    assert scroll <= inner and abs(inner - width) <= 20
    assert found["header"] == "sticky"
