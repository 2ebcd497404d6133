"""Fetching weights: from a mirror and from a server made here, which breaks off, goes on, and sends the wrong file."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from services import Page, Service, serving

from pesbench.errors import SourceError
from pesbench.models.checkpoints import Checkpoint
from pesbench.sources import transfer
from pesbench.sources.store import Store
from pesbench.sources.weights import fetch_weights

FILES = {"model.json": b"{}", "model.pt": bytes(range(256)) * 400}


def checkpoint(url: str) -> Checkpoint:
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    return Checkpoint("fetched", url=url, mirror="toy-model", files=hashes)


def fetch(url: str, tmp_path: Path, mirror: Path | None = None) -> None:
    """Fetch to ``toy``, listed in ``toy.sha256``."""
    store = Store(tmp_path / "store")
    fetch_weights(checkpoint(url), tmp_path / "toy", tmp_path / "toy.sha256", store, mirror)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(transfer, "BACKOFF_SECONDS", 0.0)
    pages = {f"/weights/{name}": Page(data, etag=f'"{name}"') for name, data in FILES.items()}
    with serving(Service(pages)) as service:
        yield service


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror" / "toy-model"
    folder.mkdir(parents=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data)
    return folder.parent


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_mirror(mirror: Path, tmp_path: Path) -> None:
    fetch("https://not.asked", tmp_path, mirror)
    assert content(tmp_path / "toy") == FILES
    told = dict(reversed(line.split("  ")) for line in (tmp_path / "toy.sha256").read_text().splitlines())
    assert told == {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}


def test_wrong_file_of_a_mirror_is_not_taken(mirror: Path, tmp_path: Path) -> None:
    (mirror / "toy-model" / "model.pt").write_bytes(b"something else")
    with pytest.raises(
        SourceError, match=r"model\.pt: came with sha256 .* as pinned.*copy it there again"
    ) as caught:
        fetch("https://not.asked", tmp_path, mirror)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "toy.sha256").exists() and set(content(tmp_path / "toy")) == {"model.json"}


def test_incomplete_mirror_says_what_is_missing(mirror: Path, tmp_path: Path) -> None:
    (mirror / "toy-model" / "model.pt").unlink()
    with pytest.raises(SourceError, match=r"model\.pt: No such file.*or unset it"):
        fetch("https://not.asked", tmp_path, mirror)


def test_download(server: Service, tmp_path: Path) -> None:
    for _ in range(2):  # the second time nothing is asked for
        fetch(f"{server.url}/weights", tmp_path)
    assert content(tmp_path / "toy") == FILES
    assert server.asked == [("/weights/model.json", None), ("/weights/model.pt", None)]


def test_broken_transfer_goes_on_in_another_process(server: Service, tmp_path: Path) -> None:
    server.faults = [None, ("cut", 60_000), 404]
    with pytest.raises(SourceError, match=r"HTTP 404.*PESBENCH_WEIGHTS"):
        fetch(f"{server.url}/weights", tmp_path)
    assert not (tmp_path / "toy.sha256").exists() and not (tmp_path / "toy/model.pt").exists()
    fetch(f"{server.url}/weights", tmp_path)
    assert content(tmp_path / "toy") == FILES
    assert server.asked[-1] == ("/weights/model.pt", "bytes=60000-")


@pytest.mark.parametrize("change", [b"[]", b"<html>log in</html>"])
def test_wrong_file_of_a_server(server: Service, change: bytes, tmp_path: Path) -> None:
    server.pages["/weights/model.json"] = Page(change)
    with pytest.raises(SourceError, match=r"model\.json: (came with sha256|a web page came)"):
        fetch(f"{server.url}/weights", tmp_path)
    assert not (tmp_path / "toy" / "model.json").exists()


def test_no_network(tmp_path: Path, server: Service) -> None:
    with pytest.raises(SourceError, match="PESBENCH_WEIGHTS name a folder that has toy-model/"):
        fetch("http://127.0.0.1:9", tmp_path)


def test_unknown_sha256_is_not_fetched(server: Service, tmp_path: Path) -> None:
    unpinned = Checkpoint("fetched", url=server.url, mirror="toy-model", files={"model.pt": "unknown"})
    store = Store(tmp_path / "store")
    with pytest.raises(SourceError, match=r"model\.pt is not known.*pin_checkpoint\.py toy FOLDER") as caught:
        fetch_weights(unpinned, tmp_path / "toy", tmp_path / "toy.sha256", store)
    assert "\n" not in str(caught.value) and not server.asked and not (tmp_path / "toy").exists()


LICENCE = "accept the licence on https://weights.example/toy and download it with an access token"


@pytest.mark.parametrize("code", [401, 403])
def test_gated_weights_say_how_to_get_them(code: int, server: Service, tmp_path: Path) -> None:
    """Without a token the service answers 401, with the token of somebody who did not accept the licence 403."""
    server.faults = [code]
    gated = dataclasses.replace(checkpoint(f"{server.url}/weights"), gated=LICENCE)
    store = Store(tmp_path / "store")
    with pytest.raises(SourceError, match=rf"model\.json: .* HTTP {code}") as caught:
        fetch_weights(gated, tmp_path / "toy", tmp_path / "toy.sha256", store)
    message = str(caught.value)
    assert LICENCE in message and f"put the file at {tmp_path / 'toy' / 'model.json'}," in message
    assert "PESBENCH_WEIGHTS" in message and "toy-model/" in message and "\n" not in message
    assert not (tmp_path / "toy.sha256").exists()
    (tmp_path / "toy").mkdir(exist_ok=True)
    for name, data in FILES.items():  # what the message says to do works
        (tmp_path / "toy" / name).write_bytes(data)
    fetch_weights(gated, tmp_path / "toy", tmp_path / "toy.sha256", store)
    assert len((tmp_path / "toy.sha256").read_text().splitlines()) == len(FILES)


def test_weights_that_are_open_speak_of_no_licence(server: Service, tmp_path: Path) -> None:
    server.faults = [403]
    with pytest.raises(SourceError, match="HTTP 403") as caught:
        fetch(f"{server.url}/weights", tmp_path)
    assert "licence" not in str(caught.value)


def test_gated_weights_that_nobody_pinned_say_how_to_get_them(tmp_path: Path) -> None:
    unknown = Checkpoint(
        "fetched", url="https://not.asked", mirror="toy", files={"model.pt": "unknown"}, gated=LICENCE
    )
    with pytest.raises(
        SourceError, match=r"SHA-256 of model\.pt is not known here.*pin_checkpoint"
    ) as caught:
        fetch_weights(unknown, tmp_path / "toy", tmp_path / "toy.sha256", Store(tmp_path / "store"))
    assert LICENCE in str(caught.value) and "\n" not in str(caught.value)
