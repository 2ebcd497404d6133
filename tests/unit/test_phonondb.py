"""An archive arrives whole and verified or not at all; the manifest describes every one of them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from services import Page, Service, serving

from pesbench.errors import SourceError
from pesbench.sources import transfer
from pesbench.sources.download import fetch
from pesbench.sources.phonondb import PhononDB, archive_url, content_sha256
from pesbench.sources.prototypes import load_prototype
from pesbench.sources.store import Store

DATA = Path(__file__).parents[2] / "data"
MANIFEST = pd.read_csv(DATA / "manifests" / "phonons.csv", comment="#", keep_default_na=False).set_index(
    "mp_id"
)
DEFAULT = (
    "mp-1265", "mp-2691", "mp-2741", "mp-23465", "mp-6586", "mp-600033", "mp-5967", "mp-2667", "mp-2657",
    "mp-2697", "mp-4608", "mp-661",
)  # fmt: skip
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


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """As raw.githubusercontent.com: strong entity tags, ranges, plain text for 404."""
    monkeypatch.setattr(transfer, "BACKOFF_SECONDS", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(Service({PLACE: Page(packed("mp-1265-20180417"), etag='"abc"')})) as running:
        yield running


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


def source(line: dict[str, str], url: str = "http://127.0.0.1:9", mirror: Path | None = None) -> PhononDB:
    return PhononDB({"mp-1265": line}, mirror, url)


def bring(tmp_path: Path, database: PhononDB) -> Path:
    output = tmp_path / "inputs" / "mp-1265.tar.xz"
    fetch(database, {"mp-1265": output}, Store(tmp_path / "store"))
    return output


def test_download_with_provenance(tmp_path: Path, service: Service, line: dict[str, str]) -> None:
    output, body = tmp_path / "mp-1265.tar.xz", service.pages[PLACE].body
    service.faults = [503, ("cut", 5000), 429, ("cut", 9000)]
    told = fetch(source(line, service.url), {"mp-1265": output}, Store(tmp_path / "store"))["mp-1265"]
    assert output.read_bytes() == body
    assert [wanted for _, wanted in service.asked] == [None, None, *["bytes=5000-"] * 2, "bytes=9000-"]
    assert told["sha256"] == hashlib.sha256(body).hexdigest() and told["licence"] == "CC BY 4.0"
    assert (
        told["url"] == service.url + PLACE
        and told["via"] == "network"
        and told["date"]
        and "2018-04-17" in told["version"]
    )


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, b"404: Not Found", "answered HTTP 404; check `archive` in data/manifests/phonons.csv"),
        (200, b"<html>log in</html>", "a web page came instead of the file.*proxy.*PESBENCH_MIRROR"),
        (200, packed("mp-1265-20180417")[:9000], "came, but is truncated or corrupt"),
        (
            200,
            packed("mp-1265-20180417", force="9.9"),
            "came, but has other content .* than the manifest pins",
        ),
    ],
)
def test_failed_download_is_one_clear_line(
    tmp_path: Path, service: Service, line: dict[str, str], status: int, body: bytes, words: str
) -> None:
    service.pages[PLACE] = Page(body, status=status)
    with pytest.raises(SourceError, match=words) as caught:
        bring(tmp_path, source(line, service.url))
    assert "\n" not in str(caught.value) and str(caught.value).startswith("mp-1265: ")
    assert not (tmp_path / "inputs").exists()


def test_a_material_that_the_manifest_has_not(line: dict[str, str]) -> None:
    with pytest.raises(SourceError, match=r"mp-9: is not in data/manifests/phonons\.csv"):
        source(line).wanted("mp-9", Path("x"))


def test_mirror(tmp_path: Path, line: dict[str, str]) -> None:
    """A mirror may have packed the files anew; nothing is asked of the network."""
    archive = tmp_path / "phonondb" / "archives" / "mp-1265.tar.xz"
    archive.parent.mkdir(parents=True)
    with pytest.raises(SourceError, match="complete the mirror, or unset it"):
        bring(tmp_path, source(line, mirror=tmp_path))
    archive.write_bytes(packed("repacked")[:200])
    with pytest.raises(SourceError, match=r"truncated or corrupt.*copy it there again"):
        bring(tmp_path, source(line, mirror=tmp_path))
    archive.write_bytes(packed("repacked"))
    assert bring(tmp_path, source(line, mirror=tmp_path)).read_bytes() == archive.read_bytes()


def test_what_is_there_and_whole_stays(tmp_path: Path, service: Service, line: dict[str, str]) -> None:
    """One is absent, the second whole (packed otherwise), the third cut off; the archive is asked for once."""
    paths = [tmp_path / name for name in ("absent.tar.xz", "whole.tar.xz", "torn.tar.xz")]
    body = service.pages[PLACE].body
    paths[1].write_bytes(packed("repacked"))
    paths[2].write_bytes(body[:500])
    for path in paths:
        fetch(source(line, service.url), {"mp-1265": path}, Store(tmp_path / "store"))
    assert len(service.asked) == 1
    assert [path.read_bytes() for path in paths] == [body, packed("repacked"), body]


@pytest.mark.skipif(
    not os.environ.get("PESBENCH_MIRROR"), reason="PESBENCH_MIRROR does not name a folder with archives"
)
def test_archives_of_the_mirror_come_through_whole(tmp_path: Path) -> None:
    lines = {material: dict(line) for material, line in MANIFEST.iterrows()}
    database = PhononDB(lines, Path(os.environ["PESBENCH_MIRROR"]))
    some = list(database.ids())[::20]
    paths = {material: tmp_path / f"{material}.tar.xz" for material in some}
    told = fetch(database, paths, Store(tmp_path / "store"))
    for material, path in paths.items():
        phonons, line = database.convert(material, path), lines[material]
        assert phonons.dataset is not None and phonons.dataset["natom"] == line["n_atoms_supercell"]
        forces = np.concatenate([entry["forces"] for entry in phonons.dataset["first_atoms"]])
        assert len(forces) == line["n_atoms_supercell"] * line["n_displacements"]
        assert 1e-3 < np.abs(forces).max() < 2.0  # eV/A after a displacement of 0.01 A
        assert told[material]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


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
