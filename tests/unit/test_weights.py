"""Fetching weights: from a mirror and from a server made here, which breaks off, goes on, and sends the wrong file."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pesbench.errors import SourceError
from pesbench.models.registry import Checkpoint
from pesbench.sources.weights import fetch_weights

FILES = {"model.json": b"{}", "model.pt": bytes(range(256)) * 400}


def checkpoint(url: str) -> Checkpoint:
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    return Checkpoint("fetched", url=url, mirror="toy-model", files=hashes)


class Server(http.server.BaseHTTPRequestHandler):
    """Serves ``content``; ``most`` bytes an answer, whatever was promised."""

    content = FILES
    most = 10**9
    asked: list[tuple[str, str | None]] = []  # noqa: RUF012

    def do_GET(self) -> None:
        name, wanted = self.path.rpartition("/")[2], self.headers["Range"]
        self.asked.append((name, wanted))
        if name not in self.content:
            return self.send_error(404)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        data = self.content[name][start:]
        if not data:
            return self.send_error(416)
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: self.most])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Server]]:
    handler = type("Handler", (Server,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        handler.url = f"http://127.0.0.1:{running.server_port}/weights"
        yield handler
        running.shutdown()


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
    listing = tmp_path / "toy.sha256"
    fetch_weights(checkpoint("https://not.asked"), tmp_path / "toy", listing, mirror)
    assert content(tmp_path / "toy") == FILES
    told = dict(reversed(line.split("  ")) for line in listing.read_text().splitlines())
    assert told == {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}


def test_wrong_file_of_a_mirror_is_thrown_away(mirror: Path, tmp_path: Path) -> None:
    (mirror / "toy-model" / "model.pt").write_bytes(b"something else")
    with pytest.raises(SourceError, match=r"model\.pt: is not the pinned file and was thrown away") as caught:
        fetch_weights(checkpoint("https://not.asked"), tmp_path / "toy", tmp_path / "toy.sha256", mirror)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "toy.sha256").exists() and set(content(tmp_path / "toy")) == {"model.json"}


def test_incomplete_mirror_says_what_is_missing(mirror: Path, tmp_path: Path) -> None:
    (mirror / "toy-model" / "model.pt").unlink()
    with pytest.raises(SourceError, match=r"model\.pt: No such file.*unset PESBENCH_WEIGHTS"):
        fetch_weights(checkpoint("https://not.asked"), tmp_path / "toy", tmp_path / "toy.sha256", mirror)


def test_download(server: type[Server], tmp_path: Path) -> None:
    for _ in range(2):  # the second time nothing is asked for
        fetch_weights(checkpoint(server.url), tmp_path / "toy", tmp_path / "toy.sha256")
    assert content(tmp_path / "toy") == FILES
    assert server.asked == [("model.json", None), ("model.pt", None)]


def test_broken_transfer_goes_on(server: type[Server], tmp_path: Path) -> None:
    server.most = 60_000
    with pytest.raises(SourceError, match=r"rerun"):
        fetch_weights(checkpoint(server.url), tmp_path / "toy", tmp_path / "toy.sha256")
    assert not (tmp_path / "toy.sha256").exists() and not (tmp_path / "toy/model.pt").exists()
    fetch_weights(checkpoint(server.url), tmp_path / "toy", tmp_path / "toy.sha256")
    assert content(tmp_path / "toy") == FILES
    assert server.asked[-1] == ("model.pt", "bytes=60000-")


def test_complete_transfer_that_was_killed_before_its_check(server: type[Server], tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy/model.pt.part").write_bytes(FILES["model.pt"])
    fetch_weights(checkpoint(server.url), tmp_path / "toy", tmp_path / "toy.sha256")
    assert content(tmp_path / "toy") == FILES


@pytest.mark.parametrize(
    ("change", "message"),
    [({}, "404 Not Found"), ({"model.json": b"[]"}, "was thrown away: SHA-256 expected")],
)
def test_server_without_the_file(
    server: type[Server], change: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    server.content = change
    with pytest.raises(SourceError, match=message):
        fetch_weights(checkpoint(server.url), tmp_path / "toy", tmp_path / "toy.sha256")
    assert content(tmp_path / "toy") == {}


def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="PESBENCH_WEIGHTS name a folder that has toy-model/"):
        fetch_weights(checkpoint("http://127.0.0.1:9"), tmp_path / "toy", tmp_path / "toy.sha256")


def test_unknown_sha256_is_not_fetched(server: type[Server], tmp_path: Path) -> None:
    unpinned = Checkpoint("fetched", url=server.url, mirror="toy-model", files={"model.pt": "unknown"})
    with pytest.raises(SourceError, match=r"model\.pt is not known.*pin_checkpoint\.py toy FOLDER") as caught:
        fetch_weights(unpinned, tmp_path / "toy", tmp_path / "toy.sha256")
    assert "\n" not in str(caught.value) and not server.asked and not (tmp_path / "toy").exists()
