"""Structures from the Materials Project, against a local server that answers like the real one.

Paths, parameters and JSON shapes are those that mp-api 0.46.5 asks for and reads.
"""

import contextlib
import json
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from pesbench.errors import SourceError
from pesbench.sources import materials_project, materials_project_sets
from pesbench.sources.materials_project import fetch
from pesbench.sources.materials_project_sets import fetch_elements, fetch_surfaces, read_surfaces
from pesbench.sources.prototypes import load_prototype

PROTOTYPES = Path(__file__).parents[2] / "data" / "prototypes"
KEY = "K0123456789abcdefghijklmnopqrstu"
VERSION = "2026.04.13"
PAGE = "<html><body>Please log in</body></html>"


def primitive(material: str) -> Structure:
    """Return a prototype's primitive cell with another origin and magnetic moments, as a database has it."""
    structure = load_prototype(PROTOTYPES / f"{material}.yaml").structure.get_primitive_structure()
    structure.translate_sites(range(len(structure)), [0.11, 0.22, 0.33])
    structure.add_site_property("magmom", [0.001 * i for i in range(len(structure))])
    return structure


class Api(ThreadingHTTPServer):
    """The API with the materials that a test gives it; ``faults`` are answered first, one a request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.documents: dict[str, dict[str, Any]] = {}
        self.slabs: dict[str, dict[str, Any]] = {}
        self.queries: list[dict[str, list[str]]] = []
        self.faults: list[tuple[int, str, dict[str, str]]] = []
        self.always: tuple[int, str, dict[str, str]] | None = None
        self.seen: list[tuple[str, str]] = []
        self.sleep_seconds = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def add(self, material: str, structure: Structure, version: str | None = VERSION, **fields: Any) -> None:
        meta = {"emmet_version": "0.87.3", "database_version": version, "license": "BY-C"}
        self.documents[material] = {
            "material_id": material,
            "structure": structure.as_dict(),
            "ordering": "NM",
            "builder_meta": meta,
        } | fields


class Handler(BaseHTTPRequestHandler):
    """Answers of the API and of the gateway before it."""

    server: Api

    def log_message(self, *_: object) -> None:
        """Keep the test's output quiet."""

    def answer(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
            self.send_header(name, value)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client has given up waiting
            self.end_headers()
            self.wfile.write(body.encode())

    def do_GET(self) -> None:
        api, parts = self.server, urlsplit(self.path)
        api.seen.append((parts.path, self.headers.get("x-api-key", "")))
        time.sleep(api.sleep_seconds)
        if api.faults:
            self.answer(*api.faults.pop(0))
        elif api.always:
            self.answer(*api.always)
        elif parts.path == "/heartbeat":
            beat = {
                "status": "OK",
                "version": "0.87.3",
                "db_version": VERSION,
                "access_controlled_batch_ids": [],
            }
            self.answer(200, json.dumps(beat))
        elif parts.path not in ("/materials/summary/", "/materials/surface_properties/"):
            self.answer(404, json.dumps({"detail": "Not Found"}))
        elif self.headers.get("x-api-key") != KEY:
            self.answer(401, json.dumps({"message": f"Invalid key {self.headers.get('x-api-key')}"}))
        elif parts.path == "/materials/surface_properties/":
            self.surfaces(parse_qs(parts.query))
        else:
            self.summary(parse_qs(parts.query))

    def surfaces(self, query: dict[str, list[str]]) -> None:
        """Answer with whole documents, whose slabs are CIF or pymatgen's JSON (emmet's SurfaceEntry takes both)."""
        found = [self.server.slabs[m] for m in query["material_ids"][0].split(",") if m in self.server.slabs]
        meta = {"api_version": "0.87.3", "total_doc": len(found), "max_limit": 1000}
        self.answer(200, json.dumps({"data": found, "meta": meta}))

    def summary(self, query: dict[str, list[str]]) -> None:
        """Answer one page: only the fields that were asked for, from where the page starts."""
        self.server.queries.append(query)
        fields, limit = query["_fields"][0].split(","), int(query["_limit"][0])
        first = int(query.get("_skip", ["0"])[0])
        if "material_ids" in query:
            wanted = query["material_ids"][0].split(",")
            found = [self.server.documents[m] for m in wanted if m in self.server.documents]
        else:
            found = [d for d in self.server.documents.values() if d.get("nelements") == 1]
        data = [{name: d[name] for name in fields if name in d} for d in found][first : first + limit]
        meta = {"api_version": "0.87.3", "total_doc": len(found), "max_limit": 1000}
        self.answer(200, json.dumps({"data": data, "meta": meta}))


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    server = Api()
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setenv("MP_API_ENDPOINT", server.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    monkeypatch.setattr(materials_project, "BACKOFF_SECONDS", 0.0)
    yield server
    server.shutdown()
    server.server_close()


def error_of(material: str, output: Path, capfd: pytest.CaptureFixture[str]) -> str:
    """Return the message of a fetch that must fail; no file may be left and the key may be nowhere."""
    with pytest.raises(SourceError) as caught:
        fetch(material, output)
    message = str(caught.value)
    whole = "".join(traceback.format_exception(caught.value)) + "".join(capfd.readouterr())
    assert message.startswith(f"{material}: ") and "\n" not in message
    assert KEY not in whole
    assert not list(output.parent.glob("**/*"))
    return message


@pytest.mark.parametrize(
    ("material", "ordering", "formula", "group", "magnetic", "atoms"),
    [
        ("mp-30", "NM", "Cu", 225, "none", 4),
        ("mp-7000", "NM", "SiO2", 152, "none", 9),
        ("mp-19770", "AFM", "Fe2O3", 167, "AFM", 30),
        ("mp-13", "FM", "Fe", 229, "FM", 2),
    ],
)
def test_fetched_structure_is_the_material(
    api: Api,
    tmp_path: Path,
    material: str,
    ordering: str,
    formula: str,
    group: int,
    magnetic: str,
    atoms: int,
) -> None:
    api.add(material, primitive(material), ordering=ordering)
    api.add("mp-1", primitive("mp-390"))
    output = tmp_path / "inputs" / f"{material}.yaml"
    fetch(material, output)
    fetched, known = load_prototype(output), load_prototype(PROTOTYPES / f"{material}.yaml")
    assert (fetched.mp_id, fetched.formula, fetched.space_group) == (material, formula, group)
    assert fetched.magnetic == magnetic and len(fetched.structure) == atoms
    assert fetched.structure.lattice.parameters == pytest.approx(known.structure.lattice.parameters, abs=1e-4)
    matcher = StructureMatcher(primitive_cell=False, scale=False, ltol=1e-3, stol=1e-3, angle_tol=0.1)
    assert matcher.fit(fetched.structure, known.structure)
    for words in ("Materials Project", f"database version {VERSION}", material, "CC BY 4.0"):
        assert words in fetched.source
    assert api.seen == [("/materials/summary/", KEY)]
    assert [p.name for p in output.parent.iterdir()] == [output.name] and KEY not in output.read_text()


@pytest.mark.parametrize("material", ["mp-390", "mp-1143", "mp-804"])
def test_fetched_structure_has_the_axes_and_the_origin_of_the_shipped_one(
    api: Api, tmp_path: Path, material: str
) -> None:
    """Served with another origin and cell, its atoms stand where the manifest's cuts expect them."""
    api.add(material, primitive(material))
    output, shipped = tmp_path / f"{material}.yaml", PROTOTYPES / f"{material}.yaml"
    fetch(material, output, shipped)
    fetched, known = load_prototype(output).structure, load_prototype(shipped).structure
    assert fetched.lattice.matrix == pytest.approx(known.lattice.matrix, abs=1e-3)
    for site in fetched:
        near = [other for other in known if other.specie == site.specie and other.distance(site) < 0.01]
        assert len(near) == 1


def test_a_cell_in_which_miller_indices_mean_other_planes_is_refused(api: Api, tmp_path: Path) -> None:
    """The paper's four-atom cell of CoO is not what the database's symmetry analysis gives back."""
    api.add("mp-19079", primitive("mp-19079"))
    with pytest.raises(SourceError, match=r"mp-19079.*sources\.structures: prototypes"):
        fetch("mp-19079", tmp_path / "mp-19079.yaml", PROTOTYPES / "mp-19079.yaml")
    assert not list(tmp_path.iterdir())


def test_monoclinic_cell_survives_the_file(api: Api, tmp_path: Path) -> None:
    lattice = Lattice.from_parameters(5.15, 5.21, 5.32, 90, 99.2, 90)
    positions = [[0.2754, 0.0395, 0.2083], [0.07, 0.3317, 0.3447], [0.4496, 0.7569, 0.4792]]
    baddeleyite = Structure.from_spacegroup("P2_1/c", lattice, ["Zr", "O", "O"], positions)
    api.add("mp-2858", baddeleyite)
    fetch("mp-2858", tmp_path / "mp-2858.yaml")
    fetched = load_prototype(tmp_path / "mp-2858.yaml")
    assert (fetched.formula, fetched.space_group, len(fetched.structure)) == ("ZrO2", 14, 12)
    assert StructureMatcher(scale=False, ltol=1e-3, stol=1e-3).fit(fetched.structure, baddeleyite)


def test_database_version_and_licence(api: Api, tmp_path: Path) -> None:
    api.add("mp-7000", primitive("mp-7000"), version=None)
    fetch("mp-7000", tmp_path / "mp-7000.yaml")
    assert [path for path, _ in api.seen] == ["/materials/summary/", "/heartbeat"]
    assert f"database version {VERSION}" in load_prototype(tmp_path / "mp-7000.yaml").source
    api.add("mp-7000", primitive("mp-7000"), builder_meta={"database_version": "x", "license": "BY-NC"})
    fetch("mp-7000", tmp_path / "mp-7000.yaml")
    assert "CC BY-NC 4.0" in load_prototype(tmp_path / "mp-7000.yaml").source


@pytest.mark.parametrize("key", ["", "  ", None])
def test_missing_key(
    api: Api,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    key: str | None,
) -> None:
    monkeypatch.delenv("MP_API_KEY") if key is None else monkeypatch.setenv("MP_API_KEY", key)
    assert "MP_API_KEY is not set" in error_of("mp-7000", tmp_path / "mp-7000.yaml", capfd)
    assert not api.seen


def test_mangled_key_is_not_sent_and_not_shown(
    api: Api, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mangled = KEY[:15] + "\n" + KEY[16:]
    monkeypatch.setenv("MP_API_KEY", mangled)
    message = error_of("mp-7000", tmp_path / "mp-7000.yaml", capfd)
    assert "32 letters and digits" in message and KEY[:15] not in message and not api.seen


@pytest.mark.parametrize("status", [401, 403])
def test_refused_key(api: Api, tmp_path: Path, capfd: pytest.CaptureFixture[str], status: int) -> None:
    api.always = (status, json.dumps({"message": f"Invalid key {KEY}"}), {})
    message = error_of("mp-7000", tmp_path / "mp-7000.yaml", capfd)
    assert f"refused the key in MP_API_KEY (HTTP {status})" in message and len(api.seen) == 1


def test_unknown_material(api: Api, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    api.add("mp-7000", primitive("mp-7000"))
    assert "no such material" in error_of("mp-31", tmp_path / "mp-31.yaml", capfd)
    assert "write it like mp-30" in error_of("copper", tmp_path / "copper.yaml", capfd)
    assert len(api.seen) == 1


def test_another_material_is_not_taken(api: Api, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    api.add("mp-7000", primitive("mp-7000"), material_id="mp-31")
    assert "not what the API gives" in error_of("mp-7000", tmp_path / "mp-7000.yaml", capfd)


@pytest.mark.parametrize(
    "body",
    [PAGE, "", "[]", '{"data": [{}]}', '{"data": [{"material_id": "mp-7000", "structure": {}}]}', '{"dat'],
)
def test_answer_that_is_not_the_apis(
    api: Api, tmp_path: Path, capfd: pytest.CaptureFixture[str], body: str
) -> None:
    api.always = (200, body, {})
    message = error_of("mp-7000", tmp_path / "mp-7000.yaml", capfd)
    assert "is not what the API gives" in message and api.url in message


def test_key_does_not_follow_a_redirect(api: Api, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    api.always = (302, PAGE, {"Location": "/portal"})
    assert "HTTP 302" in error_of("mp-7000", tmp_path / "mp-7000.yaml", capfd)
    assert [path for path, _ in api.seen] == ["/materials/summary/"]


@pytest.mark.parametrize("status", [429, 502, 503])
def test_passing_trouble_is_ridden_out(api: Api, tmp_path: Path, status: int) -> None:
    api.add("mp-7000", primitive("mp-7000"))
    api.faults = [(status, PAGE, {}), (status, PAGE, {"Retry-After": "0"})]
    fetch("mp-7000", tmp_path / "mp-7000.yaml")
    assert load_prototype(tmp_path / "mp-7000.yaml").formula == "SiO2" and len(api.seen) == 3


def test_longest_wait_is_ours_not_the_servers(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    api.add("mp-7000", primitive("mp-7000"))
    api.faults = [(429, PAGE, {"Retry-After": "86400"}), (429, PAGE, {"Retry-After": "7"})]
    fetch("mp-7000", tmp_path / "mp-7000.yaml")
    assert [seconds for seconds in slept if seconds] == [120, 7]


def test_lasting_trouble_ends(api: Api, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    api.always = (503, PAGE, {})
    message = error_of("mp-7000", tmp_path / "mp-7000.yaml", capfd)
    assert "HTTP 503 6 times; rerun later" in message and len(api.seen) == 6


def test_silent_server_times_out(
    api: Api, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(materials_project, "TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(materials_project, "ATTEMPTS", 2)
    api.sleep_seconds = 1.0
    assert "no answer from" in error_of("mp-7000", tmp_path / "mp-7000.yaml", capfd)
    assert len(api.seen) == 2


def test_no_network(
    api: Api, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MP_API_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}/")
        message = error_of("mp-7000", tmp_path / "mp-7000.yaml", capfd)
    assert "check the network" in message and "ConnectionError" in message


def test_failure_keeps_the_file_of_before(api: Api, tmp_path: Path) -> None:
    output = tmp_path / "mp-7000.yaml"
    api.add("mp-7000", primitive("mp-7000"))
    fetch("mp-7000", output)
    before = output.read_bytes()
    api.always = (200, PAGE, {})
    with pytest.raises(SourceError):
        fetch("mp-7000", output)
    assert output.read_bytes() == before


def test_one_request_brings_what_all_jobs_need(api: Api, tmp_path: Path) -> None:
    shipped = ("mp-30", "mp-1138", "mp-149")
    for material in shipped:
        api.add(material, primitive(material))
    for material in shipped:
        fetch(material, tmp_path / f"{material}.yaml", None, tmp_path / "documents", [*shipped, "mp-999999"])
    assert [path for path, _ in api.seen if path.startswith("/materials")] == ["/materials/summary/"]
    for material in shipped:
        fetched = load_prototype(tmp_path / f"{material}.yaml").structure
        assert StructureMatcher().fit(fetched, primitive(material))
    assert KEY not in "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(SourceError, match="mp-999999: the Materials Project has no such material"):
        fetch("mp-999999", tmp_path / "x.yaml", None, tmp_path / "documents", shipped)


def test_a_request_asks_for_a_hundred_at_most(api: Api, tmp_path: Path) -> None:
    api.add("mp-30", primitive("mp-30"))
    fetch("mp-30", tmp_path / "mp-30.yaml", None, tmp_path / "documents", [f"mp-{n}" for n in range(40, 400)])
    (query,) = api.queries
    assert len(query["material_ids"][0].split(",")) == materials_project.BATCH


def test_a_structure_cannot_name_code(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    api.add("mp-30", primitive("mp-30"))
    sites = api.documents["mp-30"]["structure"]["sites"]
    sites[0]["properties"] = {"x": {"@module": "pesbench.planted", "@class": "Bomb"}}
    fetch("mp-30", tmp_path / "mp-30.yaml")
    assert "pesbench.planted" not in sys.modules


def crystalium(material: str) -> dict[str, Any]:
    """Return a document of surfaces as emmet's SurfacePropDoc describes it."""
    slab = primitive(material)
    entry = {"miller_index": [1, 1, 1], "surface_energy": 1.3, "is_reconstructed": False, "has_wulff": True}
    other = {"miller_index": [1, 0, 0], "surface_energy": 1.5, "is_reconstructed": True, "has_wulff": False}
    surfaces = [entry | {"structure": slab.to(fmt="cif")}, other | {"structure": slab.as_dict()}]
    return {"material_id": material, "surfaces": surfaces, "pretty_formula": "Cu"}


def test_surfaces(api: Api, tmp_path: Path) -> None:
    api.slabs["mp-30"] = crystalium("mp-30")
    fetch_surfaces("mp-30", tmp_path / "mp-30.json")
    one, two = read_surfaces(tmp_path / "mp-30.json")
    assert (one.miller, one.energy_j_per_m2, one.reconstructed) == ((1, 1, 1), 1.3, False)
    assert (two.miller, two.energy_j_per_m2, two.reconstructed) == ((1, 0, 0), 1.5, True)
    assert len(one.slab) == len(two.slab) == len(primitive("mp-30"))
    assert one.slab.cell.volume == pytest.approx(primitive("mp-30").volume, rel=1e-4)
    assert json.loads((tmp_path / "mp-30.json").read_text())["database_version"] == VERSION
    with pytest.raises(SourceError, match="mp-149: the Materials Project has no surfaces of it"):
        fetch_surfaces("mp-149", tmp_path / "x.json")
    (tmp_path / "mp-30.json").write_text("{}")
    with pytest.raises(SourceError, match="is no list of surfaces"):
        list(read_surfaces(tmp_path / "mp-30.json"))


def test_elements_are_the_most_stable_ones_of_all_pages(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(materials_project_sets, "PAGE_SIZE", 2)
    for n, (material, energy) in enumerate(
        (("mp-30", -4.1), ("mp-149", -5.4), ("mp-124", -2.8), ("mp-81", -3.2))
    ):
        fields = {
            "nelements": 1,
            "energy_per_atom": energy,
            "energy_above_hull": 0.0,
            "formula_pretty": str(n),
        }
        api.add(material, primitive(material), **fields)
    api.add("mp-7", primitive("mp-30"), nelements=1, energy_per_atom=-4.0, energy_above_hull=0.0)
    fetch_elements(tmp_path / "e.json")
    told = json.loads((tmp_path / "e.json").read_text())
    assert {e: d["energy_ev_per_atom"] for e, d in told["elements"].items()} == {
        "Cu": -4.1, "Si": -5.4, "Ag": -2.8, "Au": -3.2
    }  # fmt: skip
    assert all(q["nelements_max"] == ["1"] and q["is_stable"][0].lower() == "true" for q in api.queries)
    with pytest.raises(SourceError, match="Xe: the Materials Project has no stable crystal of it"):
        fetch_elements(tmp_path / "x.json", ["Cu", "Xe"])


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_never_shown_for_surfaces_either(api: Api, tmp_path: Path, status: int) -> None:
    api.always = (status, json.dumps({"message": f"Invalid key {KEY}"}), {})
    with pytest.raises(SourceError, match=f"refused the key in MP_API_KEY .HTTP {status}.") as caught:
        fetch_surfaces("mp-30", tmp_path / "x.json")
    assert KEY not in "".join(traceback.format_exception(caught.value))
