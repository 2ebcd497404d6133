"""The page of a check in a real browser: its images load, it fits a telephone, it asks no network, nothing fails."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from pesbench.benchmarks.high_energy.curves import correction_table
from pesbench.benchmarks.high_energy.score import Run, labels_table, softening_table
from pesbench.check.page import document
from pesbench.check.request import Request
from pesbench.check.score import Answer, as_json, score
from pesbench.engine.predictions import predict
from pesbench.models.registry import load_registry
from pesbench.sources.frames import Frame

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --enable-logging=stderr --dump-dom"
)
ROOT = Path(__file__).parents[2]
HOSTILE = '<script>alert("x")</script>'
PROBE = """<script>
const images = Array.from(document.images, (i) => [i.complete, i.naturalWidth]);
const found = {images, page: [document.documentElement.scrollWidth, innerWidth]};
const result = document.createElement("pre");
result.id = "found"; result.textContent = JSON.stringify(found);
document.body.append(result);
</script></body>"""
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The page of EMT against labels that are 1.25 times as steep, with a hostile name in its caveats."""
    frames = []
    for seed in range(12):
        atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
        atoms.rattle(0.02 + 0.02 * (seed % 4), seed=seed)
        atoms.calc = EMT()
        energy, forces = 1.25 * atoms.get_potential_energy(), 1.25 * atoms.get_forces()
        atoms.calc = None
        frames.append(Frame(f"f{seed}", "copper", atoms, energy, forces, None, "PBE"))
    found = predict(frames, EMT())
    asked = Request("copper", "", "", "labels", "Cu", ("Cu",), 8, 11.8, 12, 0, "PBE", ("emt",), {})
    runs = [Run("emt", "copper", 12, None, found)]
    tables = softening_table(runs, {}, 0), correction_table(runs, {}, 0)
    volumes = np.array([frame.atoms.get_volume() / 8 for frame in frames])
    answers, registry = [Answer("emt", found, "")], load_registry(ROOT / "data/models.yaml")
    result, _ = score(asked, answers, tables, {"emt": registry.get("emt")}, volumes, [HOSTILE], 0)
    kept = json.loads(as_json(result, asked))
    drawn = document(asked, kept, (*tables, labels_table(runs)), answers, {}, {}, tmp_path / "figures")
    drawn.write(tmp_path / "index.html", tmp_path / "report.md")
    return tmp_path / "index.html"


@pytest.mark.parametrize("width", [390, 1100])
def test_the_page_opens_whole(page: Path, tmp_path: Path, width: int) -> None:
    assert BROWSER
    probed = tmp_path / "probed.html"
    probed.write_text(page.read_text().replace("</body>", PROBE))
    words = [BROWSER, *OPTIONS.split(), f"--user-data-dir={tmp_path}/profile", f"--window-size={width},900"]
    done = subprocess.run([*words, probed.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr, done.stderr
    match = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, flags=re.DOTALL)
    assert match, done.stdout[-2000:]
    found = json.loads(unescape(match[1]))
    assert len(found["images"]) == 3 and all(complete and size > 300 for complete, size in found["images"])
    assert found["page"][0] <= found["page"][1], "the page is wider than the window"
    assert "emt is SOFT on Cu: its forces are 0.80" in done.stdout
    assert "&lt;script&gt;alert" in done.stdout and HOSTILE not in page.read_text()
    assert not re.search(r"(src|href)=\"https?:", page.read_text())
