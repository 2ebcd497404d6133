"""An archive arrives whole and verified or not at all; the manifest describes every one of them."""

from __future__ import annotations

import http.server
import io
import json
import socket
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pesbench.errors import SourceError
from pesbench.sources import phonondb
from pesbench.sources.phonondb import archive_url, content_sha256, fetch, fetch_all
from pesbench.sources.prototypes import load_prototype

DATA = Path(__file__).parents[2] / "data"
MANIFEST = pd.read_csv(DATA / "manifests" / "phonons.csv", comment="#", keep_default_na=False).set_index(
    "mp_id"
)
DEFAULT = (
    "mp-1265", "mp-2691", "mp-2741", "mp-23465", "mp-6586", "mp-600033", "mp-5967", "mp-2667", "mp-2657",
    "mp-2697", "mp-4608", "mp-661",
)  # fmt: skip
CUT = 2 * phonondb.PIECE_BYTES
PLACE = "/materials-id-1265-mgo-fm-3m-225.tar.lzma"


def packed(folder: str, mode: str = "w:xz", force: str = "1.0") -> bytes:
    """Return an archive with members that are read and one that is not."""
    buffer = io.BytesIO()
    numbers = " ".join(str(x) for x in np.random.default_rng(0).random(20000))
    files = {"POSCAR-unitcell": "Mg O", "FORCE_SETS": f"{force} {numbers}", "INCAR-force": folder}
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, text in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves one archive; ``script`` says how each request in turn is mistreated."""

    body = b""
    script: list[int | str] = []  # noqa: RUF012
    ranges: list[str | None] = []  # noqa: RUF012

    def do_GET(self) -> None:
        fault = self.script.pop(0) if self.script else ""
        self.ranges.append(self.headers["Range"])
        if self.path != PLACE or isinstance(fault, int):
            self.send_error(fault if isinstance(fault, int) else 404)
            return
        start = int((self.headers["Range"] or "bytes=0-")[6:].rstrip("-"))
        if start >= len(self.body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(self.body) - start))
        self.end_headers()
        end = start + CUT if fault == "cut" else len(self.body)
        self.wfile.write(self.body[start:end])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(phonondb, "BACKOFF_SECONDS", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    Server.body, Server.script, Server.ranges = packed("mp-1265-20180417"), [], []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def line(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "pinned.tar.xz").write_bytes(packed("mp-1265-20180417"))
    digest = content_sha256(tmp_path / "pinned.tar.xz")
    (tmp_path / "pinned.tar.xz").unlink()
    return {"archive": "mgo-fm-3m-225", "content_sha256": digest}


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_digest_is_of_the_content_not_of_the_packing(tmp_path: Path) -> None:
    digests = {}
    for name, data in {
        "one": packed("mp-1265-20180417"),
        "repacked": packed("another-folder", "w:xz"),
        "changed": packed("mp-1265-20180417", force="1.1"),
    }.items():
        (tmp_path / f"{name}.tar.xz").write_bytes(data)
        digests[name] = content_sha256(tmp_path / f"{name}.tar.xz")
    assert digests["one"] == digests["repacked"] != digests["changed"]


def test_address_of_the_publisher() -> None:
    address = archive_url("mp-1265", "mgo-fm-3m-225")
    assert address.startswith("https://raw.githubusercontent.com/WMD-group/phononDB/880b9dee")
    assert address.endswith(f"/phonon_db_tarred{PLACE}")


@pytest.mark.parametrize("faults", [[], [503, 429], ["cut"], ["cut", "cut", 500, "cut"]])
def test_download(tmp_path: Path, url: str, line: dict[str, str], faults: list[int | str]) -> None:
    """What breaks off goes on from where it ended, and only whole files appear."""
    Server.script = list(faults)
    output = tmp_path / "inputs" / "mp-1265.tar.xz"
    fetch("mp-1265", line, output, base_url=url)
    assert output.read_bytes() == Server.body and left(output.parent) == ["mp-1265.tar.xz"]
    cuts = [index for index, fault in enumerate(faults) if fault == "cut"]
    wanted = [sum(cut < request for cut in cuts) * CUT for request in range(len(faults) + 1)]
    assert Server.ranges == [f"bytes={start}-" if start else None for start in wanted]


def test_killed_download_goes_on(tmp_path: Path, url: str, line: dict[str, str]) -> None:
    output = tmp_path / "mp-1265.tar.xz"
    (tmp_path / ".part-mp-1265.tar.xz").write_bytes(Server.body[:150])
    fetch("mp-1265", line, output, base_url=url)
    assert Server.ranges == ["bytes=150-"] and output.read_bytes() == Server.body


def test_part_of_something_else_is_thrown_away(tmp_path: Path, url: str, line: dict[str, str]) -> None:
    output = tmp_path / "mp-1265.tar.xz"
    (tmp_path / ".part-mp-1265.tar.xz").write_bytes(b"x" * (len(Server.body) + 10))
    fetch("mp-1265", line, output, base_url=url)
    assert output.read_bytes() == Server.body


@pytest.mark.parametrize(
    ("faults", "body", "words"),
    [
        ([404], None, "answered HTTP 404; check `archive` in data/manifests/phonons.csv"),
        ([403], None, "answered HTTP 403"),
        ([503] * 5, None, r"in 5 attempts \(HTTP 503\); set PESBENCH_MIRROR .* fetch_inputs"),
        (["cut"] * 5, None, "in 5 attempts"),
        ([], b"<html>log in</html>", "no readable archive came from http.*proxy"),
        ([], packed("mp-1265-20180417", force="9.9"), "other content .* than the manifest pins"),
    ],
)
def test_failed_download_is_one_clear_line(
    tmp_path: Path, url: str, line: dict[str, str], faults: list[int | str], body: bytes | None, words: str
) -> None:
    Server.script, Server.body = list(faults), body or Server.body
    with pytest.raises(SourceError, match=words) as caught:
        fetch("mp-1265", line, tmp_path / "mp-1265.tar.xz", base_url=url)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("mp-1265: ")
    assert left(tmp_path) == ([".part-mp-1265.tar.xz"] if "cut" in faults else [])


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: dict[str, str]) -> None:
    monkeypatch.setattr(phonondb, "BACKOFF_SECONDS", 0.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(SourceError, match=r"\(ConnectionError\); set PESBENCH_MIRROR"):
            fetch("mp-1265", line, tmp_path / "mp-1265.tar.xz", base_url=closed)


def test_mirror(tmp_path: Path, line: dict[str, str]) -> None:
    """A mirror may have packed the files anew; nothing is asked of the network."""
    source = tmp_path / "phonondb" / "archives" / "mp-1265.tar.xz"
    source.parent.mkdir(parents=True)
    output = tmp_path / "results" / "mp-1265.tar.xz"
    with pytest.raises(SourceError, match="PESBENCH_MIRROR"):
        fetch("mp-1265", line, output, mirror=tmp_path, base_url="http://127.0.0.1:1")
    source.write_bytes(packed("repacked"))
    fetch("mp-1265", line, output, mirror=tmp_path, base_url="http://127.0.0.1:1")
    assert output.read_bytes() == source.read_bytes()
    source.write_bytes(packed("repacked")[:200])
    output.unlink()
    with pytest.raises(SourceError, match=r"no readable archive came from .*copy it there again"):
        fetch("mp-1265", line, output, mirror=tmp_path)
    assert not output.exists()


def test_what_is_there_and_whole_stays(tmp_path: Path, url: str, line: dict[str, str]) -> None:
    """The first is absent, the second whole (packed otherwise), the third cut off."""
    paths = [tmp_path / name for name in ("absent.tar.xz", "whole.tar.xz", "torn.tar.xz")]
    paths[1].write_bytes(packed("repacked"))
    paths[2].write_bytes(Server.body[:500])
    fetch_all({str(path): line | {"mp_id": "mp-1265"} for path in paths}, base_url=url)
    assert len(Server.ranges) == 2
    assert [path.read_bytes() for path in paths] == [Server.body, packed("repacked"), Server.body]


def test_manifest_has_every_material_of_the_papers() -> None:
    """229 of Deng's table and 300 for Loew's benchmark, in all 597."""
    assert len(MANIFEST) == 597 and MANIFEST.index.is_unique
    of = {name: {i for i, sets in MANIFEST["sets"].items() if name in sets.split()} for name in
          ("deng2025_s3", "loew2024", "mattersim_mt_s5")}  # fmt: skip
    published = pd.read_csv(DATA / "published" / "deng2025_s3_phonons.csv", comment="#")
    assert of["deng2025_s3"] == set(published["mp_id"])
    assert (MANIFEST.loc[published["mp_id"], "formula"].to_numpy() == published["formula"].to_numpy()).all()
    table = pd.read_csv(DATA / "published" / "mattersim_mt_s5_materials.csv", comment="#")
    assert of["mattersim_mt_s5"] <= set(table["mp_id"]) and len(of["mattersim_mt_s5"]) == 84
    assert len(of["loew2024"]) == 300 and set().union(*of.values()) == set(MANIFEST.index)


def test_manifest_agrees_with_itself() -> None:
    assert MANIFEST["content_sha256"].str.fullmatch("[0-9a-f]{64}").all()
    assert MANIFEST["content_sha256"].is_unique and MANIFEST["archive"].str.fullmatch(r"[a-z0-9-]+").all()
    suffix = MANIFEST["archive"].str.extract(r"-(\d+)$")[0].astype(int)
    assert (suffix == MANIFEST["space_group"]).all()  # the publisher's, of the same cell
    for material, line in MANIFEST.iterrows():
        supercell, primitive = (
            np.array(json.loads(line[k])) for k in ("supercell_matrix", "primitive_matrix")
        )
        size = float(np.prod(np.diag(supercell)))
        assert (supercell == np.diag(np.diag(supercell))).all()
        assert line["n_atoms_supercell"] % round(size) == 0
        lattice_points = 1 / np.linalg.det(primitive)
        assert round(lattice_points, 9) in (1, 2, 3, 4), material
        assert 1 <= line["n_displacements"] <= 6 * line["n_atoms_supercell"] / size / lattice_points


@pytest.mark.parametrize("material", DEFAULT)
def test_prototype_of_a_default_material_fits_its_manifest_line(material: str) -> None:
    line = MANIFEST.loc[material]
    assert "deng2025_s3" in line["sets"].split()
    assert line["n_atoms_supercell"] * line["n_displacements"] < 1000  # cheap
    prototype = load_prototype(DATA / "prototypes" / f"{material}.yaml")
    supercell = np.array(json.loads(line["supercell_matrix"]))
    assert len(prototype.structure) * np.linalg.det(supercell) == pytest.approx(line["n_atoms_supercell"])
    assert prototype.space_group == line["space_group"] and prototype.formula == line["formula"]
    lattice_points = round(1 / np.linalg.det(json.loads(line["primitive_matrix"])), 9)
    assert lattice_points == len(prototype.structure) / len(prototype.structure.get_primitive_structure())
