"""The sources of files, against local servers with the paths and shapes of the real ones.

Where the shapes are from: figshare, the PublicFile and Article of its published interface (docs.figshare.com), and its
302 to a signed address of an object store; NIMS, the table and the addresses ``download_all/<key>.zip`` in
atztogo/phonondb (mdr/phonondb/README.md) and phonopy's manual; Alexandria, the links ``<mp-id>.yaml.bz2`` of its folder
listing as public scripts read them; WBM, matbench-discovery's data-files.yml and the keys of its lines.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from pymatgen.io.ase import AseAtomsAdaptor
from services import Page, Service, serving

from pesbench.config import mirror_of
from pesbench.errors import PesbenchError, SourceError
from pesbench.sources import alexandria, catalog, figshare, mdr, transfer, wbm
from pesbench.sources.download import fetch
from pesbench.sources.interface import Source
from pesbench.sources.label_sets import LABEL_SETS
from pesbench.sources.labelled import read_labels, read_provenance
from pesbench.sources.phonondb import PhononDB
from pesbench.sources.store import Store

IDS = ("mp-149", "mp-1265", "mp-30")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(transfer, "BACKOFF_SECONDS", 0.0)
    monkeypatch.setattr(mdr, "LEAST_ROWS", 3)
    monkeypatch.setattr(alexandria, "LEAST_FILES", 3)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(Service()) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def phonons(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A yaml of phonopy for copper, with displacements and forces of springs to a fixed frame."""
    atoms = bulk("Cu", cubic=True)
    cell = PhonopyAtoms(symbols=["Cu"] * 4, cell=atoms.cell.array, positions=atoms.positions)
    phonon = Phonopy(cell, np.diag([2, 2, 2]), primitive_matrix="auto")
    phonon.generate_displacements(distance=0.01)
    moved = phonon.supercells_with_displacements or []
    still = phonon.supercell.positions
    phonon.forces = np.array([-5.0 * (one.positions - still) for one in moved if one is not None])
    path = tmp_path_factory.mktemp("phonons") / "phonopy_params.yaml"
    phonon.save(path, settings={"force_sets": True, "displacements": True, "force_constants": False})
    return path.read_bytes()


# ------------------------------------------------------------------ NIMS


ROW = "| {n} | Cu | Fm-3m (225) |  https://mdr.nims.go.jp/concern/datasets/{k} | [{k}.zip]({url}/{k}.zip) |"
HEAD = (
    "# Phonondb data on MDR at NIMS\n\n| Materials Project ID | Name | Space group type | URL | data-link |\n"
)


def nims(service: Service, phonons: bytes) -> None:
    rows = [ROW.format(n=m.removeprefix("mp-"), k=f"6w924j{i}0f", url=service.url) for i, m in enumerate(IDS)]
    table = HEAD + "| --- | --- | --- | --- | --- |\n" + "\n".join(rows) + "\n"
    service.pages["/README.md"] = Page(table.encode(), "text/plain; charset=utf-8", etag='"i"')
    for i in range(len(IDS)):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(mdr.INDEX, "not read")
            archive.writestr("phonopy_params.yaml.xz", lzma.compress(phonons))
            archive.writestr("../../evil.sh", "not unpacked")
        service.pages[f"/download_all/6w924j{i}0f.zip"] = Page(buffer.getvalue(), "application/zip")


def open_mdr(service: Service, store: Store, folder: Path) -> mdr.Mdr:
    fetched = folder / "index.md"
    catalog.download(mdr.index_wanted(fetched, url=f"{service.url}/README.md"), store)
    return mdr.Mdr(mdr.read_index(fetched), base_url=f"{service.url}/download_all")


def test_nims_index_archives_and_forces(
    service: Service, store: Store, tmp_path: Path, phonons: bytes
) -> None:
    nims(service, phonons)
    source = open_mdr(service, store, tmp_path)
    assert tuple(source.ids()) == IDS
    told = fetch(source, {m: tmp_path / f"{m}.zip" for m in source.ids()}, store)
    read = source.convert("mp-149", tmp_path / "mp-149.zip")
    assert read.dataset is not None and read.material == "mp-149"
    forces = np.array([entry["forces"] for entry in read.dataset["first_atoms"]])
    assert np.abs(forces).max() == pytest.approx(0.05, rel=1e-3)  # 5 eV/A^2 times 0.01 A
    assert told["mp-30"]["licence"] == "CC BY 4.0" and len(told["mp-30"]["sha256"]) == 64
    assert not list(tmp_path.rglob("evil.sh"))
    with pytest.raises(SourceError, match="mp-9: the index of NIMS's phonon database has no such material"):
        source.wanted("mp-9", tmp_path)


def test_nims_truncated_archive_and_index(
    service: Service, store: Store, tmp_path: Path, phonons: bytes
) -> None:
    nims(service, phonons)
    source = open_mdr(service, store, tmp_path)
    page = service.pages["/download_all/6w924j00f.zip"]
    page.body = page.body[:-40]
    with pytest.raises(SourceError, match="mp-149: came, but is truncated or corrupt") as caught:
        fetch(source, {"mp-149": tmp_path / "mp-149.zip"}, store)
    assert "\n" not in str(caught.value)
    service.pages["/README.md"].body = service.pages["/README.md"].body[:300]
    with pytest.raises(SourceError, match=r"lists \d materials"):
        open_mdr(service, Store(tmp_path / "other"), tmp_path / "other")


# ------------------------------------------------------------------ Alexandria


def listing(names: list[str]) -> bytes:
    """A folder listing as web servers write it."""
    links = "".join(f'<a href="{name}">{name}</a>   2024-11-01 10:00  12K\n' for name in ["../", *names])
    return f"<html><head><title>Index of /</title></head><body><pre>{links}</pre></body></html>".encode()


def test_alexandria(service: Service, store: Store, tmp_path: Path, phonons: bytes) -> None:
    service.pages["/b/pbe/"] = Page(listing([f"{m}.yaml.bz2" for m in IDS]), "text/html;charset=utf-8")
    service.pages |= {f"/b/pbe/{m}.yaml.bz2": Page(bz2.compress(phonons), "application/x-bzip2") for m in IDS}
    base = f"{service.url}/b"
    index = tmp_path / "index.html"
    catalog.download(alexandria.index_wanted("pbe", index, base_url=base), store)
    source = alexandria.Alexandria(alexandria.read_index(index), base_url=base)
    assert tuple(source.ids()) == IDS
    output = tmp_path / "mp-30.yaml.bz2"
    fetch(source, {"mp-30": output}, store)
    assert source.convert("mp-30", output).dataset is not None
    service.pages["/b/pbe/mp-149.yaml.bz2"].body = bz2.compress(phonons)[:-30]
    with pytest.raises(SourceError, match="mp-149: came, but is truncated or corrupt"):
        fetch(source, {"mp-149": tmp_path / "mp-149.yaml.bz2"}, store)
    service.pages["/b/pbe/mp-149.yaml.bz2"] = Page(listing([]), "text/html")
    with pytest.raises(SourceError, match="mp-149: a web page came instead of the file"):
        fetch(source, {"mp-149": tmp_path / "mp-149.yaml.bz2"}, store)
    with pytest.raises(SourceError, match="has phonons of pbe and pbesol"):
        alexandria.index_wanted("lda", index)


# ------------------------------------------------------------------ figshare


def publish(
    service: Service, files: dict[str, bytes], article: str = "27307776", listed: int = 2
) -> tuple[str, str]:
    """Serve an article; its own answer lists some of its files, the pages of ``/files`` list all."""
    entries = []
    for number, (name, body) in enumerate(files.items(), start=50005317):
        md5 = hashlib.md5(body).hexdigest()
        entry = {"id": number, "name": name, "size": len(body), "is_link_only": False, "supplied_md5": md5}
        address = f"{service.url}/files/{number}"
        entries.append(entry | {"computed_md5": md5, "mimetype": "text/plain", "download_url": address})
        service.pages[f"/files/{number}"] = Page(
            b"", status=302, location=f"{service.url}/s3/{number}?X-Amz-Signature=s"
        )
        service.pages[f"/s3/{number}"] = Page(body, etag=f'"{md5}"')
    about = {"id": int(article), "title": "WBM high energy states", "version": 1, "files": entries[:listed]}
    about |= {
        "license": {"value": 1, "name": "CC BY 4.0", "url": "https://creativecommons.org/licenses/by/4.0/"}
    }
    service.pages[f"/v2/articles/{article}"] = Page(json.dumps(about).encode(), "application/json")

    def page(path: str) -> Page | None:
        if not path.startswith(f"/v2/articles/{article}/files?page="):
            return None
        first = figshare.PAGE_SIZE * (int(path.partition("page=")[2].partition("&")[0]) - 1)
        return Page(json.dumps(entries[first : first + figshare.PAGE_SIZE]).encode(), "application/json")

    service.missing = page
    return f"{service.url}/v2", f"{service.url}/files"


def states(per_frame: float = -15.0) -> bytes:
    """High-energy states as public scripts read them from the figshare file."""
    data: dict[str, dict[str, object]] = {}
    for n in range(6):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.1, seed=n)
        forces = np.random.default_rng(n).normal(size=(4, 3))
        structure = AseAtomsAdaptor.get_structure(atoms).as_dict()
        state = {
            "structure": structure,
            "vasp_e": per_frame,
            "vasp_f": forces.tolist(),
            "vasp_s": [10.0] * 3 + [0.0] * 3,
        }
        data.setdefault(f"wbm-1-{n // 3}", {})[f"wbm-1-{n // 3}-{n}"] = state
    return json.dumps(data).encode()


def test_any_article_of_figshare(
    service: Service, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figshare, "PAGE_SIZE", 3)
    files = {f"file-{n}.txt": f"content {n}".encode() * 100 for n in range(8)}
    addresses = publish(service, files)
    source = figshare.article("27307776", tmp_path / "a", store, addresses=addresses)
    assert (
        list(source.ids()) == list(files) and source.licence == "CC BY 4.0" and "version 1" in source.version
    )
    service.faults = [None, ("cut", 200), 429]
    told = fetch(source, {name: tmp_path / name for name in files}, store)
    assert all((tmp_path / name).read_bytes() == body for name, body in files.items())
    assert "Amz" not in json.dumps(told)
    before = len(service.asked)
    assert list(figshare.article("27307776", tmp_path / "a", store, addresses=addresses).ids()) == list(files)
    assert len(service.asked) == before, "an article that is known was asked for again"
    with pytest.raises(
        SourceError, match=r"nothing\.txt: figshare's article 27307776 has no such file; it has file-0"
    ):
        source.wanted("nothing.txt", tmp_path)


def test_figshare_gives_other_bytes_than_it_states(service: Service, store: Store, tmp_path: Path) -> None:
    addresses = publish(service, {"a.json": b"right"})
    source = figshare.article("27307776", tmp_path / "a", store, addresses=addresses)
    service.pages["/s3/50005317"] = Page(b"wrong")
    with pytest.raises(SourceError, match=r"a\.json: came with md5 .* not with .* as pinned"):
        fetch(source, {"a.json": tmp_path / "a.json"}, store)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>403</html>", "a web page came instead"),
        (
            b'{"message": "Article not found", "code": "EntityNotFound"}',
            "is not an article as figshare gives it",
        ),
        (b"{", "is not the JSON that figshare gives"),
        (json.dumps({"files": []}).encode(), ""),
    ],
)
def test_what_is_no_article(service: Service, store: Store, tmp_path: Path, body: bytes, words: str) -> None:
    addresses = publish(service, {"a.json": b"right"})
    service.pages["/v2/articles/27307776"] = Page(body, "application/json")
    if not words:
        assert list(figshare.article("27307776", tmp_path / "a", store, addresses=addresses).ids()) == [
            "a.json"
        ]
        return
    with pytest.raises(SourceError, match=words) as caught:
        figshare.article("27307776", tmp_path / "a", store, addresses=addresses)
    assert "\n" not in str(caught.value) and not (tmp_path / "a" / "article.json").exists()
    addresses = publish(service, {"a.json": b"right"})
    assert list(figshare.article("27307776", tmp_path / "a", store, addresses=addresses).ids()) == ["a.json"]


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/b"])
def test_a_file_s_name_cannot_lead_out_of_its_folder(
    service: Service, store: Store, tmp_path: Path, name: str
) -> None:
    addresses = publish(service, {name: b"content"})
    with pytest.raises(SourceError, match="is not an article as figshare gives it"):
        figshare.article("27307776", tmp_path / "a", store, addresses=addresses)


def test_a_missing_article_names_the_browser(service: Service, store: Store, tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"article 1: .*/v2/articles/1 answered HTTP 404; open https://figshare.com"
    ):
        figshare.article("1", tmp_path, store, addresses=(f"{service.url}/v2", f"{service.url}/files"))


def test_high_energy_states_end_to_end(
    service: Service, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = publish(service, {"WBM_high_energy_states.json": states()})
    original = figshare.article
    monkeypatch.setattr(figshare, "article", lambda *a: original(*a, addresses=addresses))
    output = tmp_path / "inputs" / "labelled" / "wbm_high_energy.extxyz"
    mirrors = {"labelled": None, "figshare": None}
    assert catalog.fetch_labelled("wbm_high_energy", output, store, mirrors) == 6
    frames = read_labels(output)
    assert {frame.material for frame in frames} == {"wbm-1-0", "wbm-1-1"}
    np.testing.assert_allclose(frames[0].stress_ev_per_ang3[:3] * 1602.176634, -10.0, rtol=1e-6)
    told = read_provenance(output)
    assert (told.source, told.licence, told.sha256) == (
        "labelled",
        "CC BY 4.0",
        hashlib.sha256(states()).hexdigest(),
    )
    assert "version 1" in told.version and told.via == "network"


def test_published_sets_of_a_mirror(store: Store, tmp_path: Path) -> None:
    mirrors = {"labelled": tmp_path, "figshare": tmp_path}
    with pytest.raises(
        SourceError, match=r"water: .*high_level_water\.xyz: No such file.*complete the mirror"
    ):
        catalog.fetch_labelled("water", tmp_path / "water.extxyz", store, mirrors)
    (tmp_path / "water").mkdir()
    (tmp_path / "water" / "high_level_water.xyz").write_bytes(b"3\n\nO 0 0 0\n")
    with pytest.raises(SourceError, match="water: came with sha256"):
        catalog.fetch_labelled("water", tmp_path / "water.extxyz", store, mirrors)
    with pytest.raises(
        SourceError, match="watr: is no published set of labelled frames; did you mean 'water'"
    ):
        catalog.fetch_labelled("watr", tmp_path / "water.extxyz", store, mirrors)
    assert not (tmp_path / "water.extxyz").exists()


# ------------------------------------------------------------------ WBM


def test_wbm_files_by_their_pinned_digest(
    service: Service, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    structure = AseAtomsAdaptor.get_structure(bulk("Cu", cubic=True)).as_dict()
    lines = [{"material_id": f"wbm-1-{n}", "initial_structure": structure} for n in range(5)]
    initial = gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode())
    summary = gzip.compress(b"material_id,formula,n_sites\nwbm-1-1,Cu4,4\nwbm-1-2,Cu4,4\n")
    pins = {
        wbm.SUMMARY: (1, hashlib.md5(summary).hexdigest()),
        wbm.INITIAL: (2, hashlib.md5(initial).hexdigest()),
    }
    monkeypatch.setattr(wbm, "FILES", pins)
    # The first address is closed to scripts, as ndownloader.figshare.com is at times; the second is not.
    service.pages["/files/1"] = service.pages["/files/2"] = Page(b"", status=202)
    service.pages |= {"/v2/file/download/1": Page(summary), "/v2/file/download/2": Page(initial)}
    source = wbm.Wbm(addresses=(f"{service.url}/v2", f"{service.url}/files"))
    paths = {name: tmp_path / name for name in source.ids()}
    fetch(source, paths, store)
    assert list(source.convert(wbm.SUMMARY, paths[wbm.SUMMARY]).index) == ["wbm-1-1", "wbm-1-2"]
    some = dict(wbm.initial_structures(paths[wbm.INITIAL], ["wbm-1-3", "wbm-1-0"]))
    assert list(some) == ["wbm-1-0", "wbm-1-3"] and len(some["wbm-1-0"]) == 4
    with pytest.raises(SourceError, match=r"has no wbm-9-9 \(1 of the wanted ids are not in WBM\)"):
        list(wbm.initial_structures(paths[wbm.INITIAL], ["wbm-1-3", "wbm-9-9"]))
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(initial[:-20])
    with pytest.raises(SourceError, match=r"cut\.jsonl\.gz: is cut off"):
        list(wbm.initial_structures(cut))


# ------------------------------------------------------------------ all of them


def test_every_source_is_one(tmp_path: Path) -> None:
    sources: list[Source] = [
        PhononDB({}),
        mdr.Mdr({}),
        alexandria.Alexandria({}),
        wbm.Wbm(),
        figshare.Figshare("1", {}),
    ]
    for source in sources:
        with pytest.raises(PesbenchError, match="no-such-thing: ") as caught:
            source.wanted("no-such-thing", tmp_path)
        assert "\n" not in str(caught.value) and source.name and list(source.ids()) is not None


def test_a_mirror_of_one_source_and_of_all() -> None:
    everywhere = {"PESBENCH_MIRROR": "/all", "PESBENCH_WEIGHTS": "/weights"}
    sources = {"structures": "prototypes", "mdr": {"mirror": "/mdr"}, "wbm": {"mirror": "network"}}
    found = {name: mirror_of(name, sources, everywhere) for name in ("phonondb", "mdr", "wbm", "weights")}
    assert found == {"phonondb": "/all", "mdr": "/mdr", "wbm": None, "weights": "/weights"}
    assert mirror_of("phonondb", sources, {}) is None


def test_sets_of_labels_say_where_they_are_from() -> None:
    for entry in LABEL_SETS.values():
        assert entry.licence and entry.version and entry.citation and entry.level_of_theory
        assert bool(entry.article) != bool(len(entry.sha256) == 64)
