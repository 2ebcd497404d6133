"""One downloader for every source: cut, killed, throttled, changed, refused, and still the right bytes or one line."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from services import Page, Service, http_date, serving

from pesbench.errors import DiskFullError, PesbenchError, SourceError
from pesbench.sources import download as download_module
from pesbench.sources import transfer
from pesbench.sources.download import download, download_all
from pesbench.sources.progress import Progress
from pesbench.sources.store import Store
from pesbench.sources.wanted import Wanted

BODY = random.Random(0).randbytes(300_000)
SHA = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(transfer, "BACKOFF_SECONDS", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(Service({"/file": Page(BODY, etag='"v1"', modified=http_date(-1000))})) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def wanted(service: Service, tmp_path: Path) -> Wanted:
    return Wanted("the file", f"{service.url}/file", tmp_path / "inputs" / "file.bin", sha256=SHA)


def left(store: Store) -> list[str]:
    """Return what lies in the store beside contents, notes and locks."""
    return [path.name for path in (store.root / "parts").glob("*")] if store.root.exists() else []


def test_twenty_cuts_at_random_bytes_are_joined(service: Service, store: Store, wanted: Wanted) -> None:
    cuts = sorted(random.Random(1).sample(range(1, len(BODY)), 20))
    service.faults = [("cut", cut) for cut in cuts]
    download(wanted, store)
    assert wanted.output.read_bytes() == BODY
    assert [wanted_range for _, wanted_range in service.asked] == [None, *(f"bytes={cut}-" for cut in cuts)]
    assert left(store) == []


def test_an_answer_in_chunks_of_unknown_length(service: Service, store: Store, wanted: Wanted) -> None:
    """As interfaces of the web give JSON; one that breaks off has no end, and is not taken for whole."""
    service.pages["/file"].chunked = True
    service.faults = [("cut", 50_000), ("cut", 200_000)]
    download(replace(wanted, sha256=""), store)
    assert wanted.output.read_bytes() == BODY
    assert [part for _, part in service.asked] == [None, "bytes=50000-", "bytes=200000-"]


@pytest.mark.parametrize("cut", random.Random(2).sample(range(1, len(BODY)), 20))
def test_a_new_process_goes_on_from_any_byte(
    service: Service, store: Store, wanted: Wanted, cut: int
) -> None:
    part = store.part(wanted.url)
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY[:cut])
    download(wanted, store)
    assert wanted.output.read_bytes() == BODY
    assert service.asked == [("/file", f"bytes={cut}-")]


@pytest.mark.parametrize("pinned", [True, False])
@pytest.mark.parametrize("tags", [("", ""), ('"v2"', ""), ("", http_date(-5)), ('W/"v2"', http_date(-5))])
def test_a_file_that_changed_upstream_is_never_spliced(
    service: Service, store: Store, wanted: Wanted, tags: tuple[str, str], pinned: bool
) -> None:
    old, new = BODY, random.Random(9).randbytes(len(BODY))
    service.pages["/file"] = Page(old, etag=tags[0].replace("2", "1"), modified=tags[1] and http_date(-900))
    service.faults = [("cut", 1000)] * 1 + [404]
    wanted = replace(wanted, sha256=hashlib.sha256(new).hexdigest() if pinned else "")
    with pytest.raises(SourceError, match="HTTP 404"):
        download(wanted, store)
    service.pages["/file"] = Page(new, etag=tags[0], modified=tags[1])
    download(wanted, store)
    assert wanted.output.read_bytes() == new


def test_a_kill_between_two_versions_leaves_no_mixture(
    service: Service, store: Store, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpinned = replace(wanted, sha256="")
    service.faults = [("cut", 1000), 404]
    with pytest.raises(SourceError):
        download(unpinned, store)
    new = random.Random(9).randbytes(len(BODY))
    service.pages["/file"] = Page(new, etag='"v2"')
    original = transfer.write_atomic

    def killed(path: Path, data: str) -> None:
        original(path, data)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(transfer, "write_atomic", killed)
        with pytest.raises(KeyboardInterrupt):
            download(unpinned, store)
    download(unpinned, store)
    assert wanted.output.read_bytes() == new


def test_a_log_in_page_in_between_does_not_cost_what_came(
    service: Service, store: Store, wanted: Wanted
) -> None:
    page, service.faults = service.pages["/file"], [("cut", 1000), 404]
    with pytest.raises(SourceError):
        download(wanted, store)
    service.pages["/file"] = Page(b"<html>log in</html>", "text/html", ranges=False)
    with pytest.raises(SourceError, match="a web page came"):
        download(wanted, store)
    service.pages["/file"] = page
    download(wanted, store)
    assert service.asked[-1] == ("/file", "bytes=1000-")


def test_a_server_that_ignores_if_range_is_caught(service: Service, store: Store, wanted: Wanted) -> None:
    service.faults = [("cut", 1000), 404]
    unpinned = replace(wanted, sha256="")
    with pytest.raises(SourceError):
        download(unpinned, store)
    new = random.Random(9).randbytes(len(BODY))
    service.pages["/file"] = Page(new, etag='"v2"', heeds_if_range=False)
    download(unpinned, store)
    assert wanted.output.read_bytes() == new


def test_a_server_without_ranges_sends_all_again(service: Service, store: Store, wanted: Wanted) -> None:
    service.pages["/file"].ranges = False
    service.faults = [("cut", 200_000), ("cut", 100_000)]
    download(wanted, store)
    assert wanted.output.read_bytes() == BODY


@pytest.mark.parametrize(
    "storm",
    [
        [429] * 9,
        [503] * 9,
        [(429, "0"), (503, "0")] * 4,
        [500, 502, 504, 408, 503, 429, 503, 429],
        [(429, http_date(-10))] * 9,
        [(503, "soon")] * 9,
        [503] * 9 + [("cut", 10)] + [503] * 9 + [("cut", 20)] + [429] * 9,
    ],
)
def test_storms_end(service: Service, store: Store, wanted: Wanted, storm: list[object]) -> None:
    service.faults = list(storm)
    download(wanted, store)
    assert wanted.output.read_bytes() == BODY and len(service.asked) == len(storm) + 1


def test_retry_after_holds_back_every_thread(service: Service, store: Store, tmp_path: Path) -> None:
    service.pages = {f"/{n}": Page(BODY[: n + 1]) for n in range(8)}
    service.faults = [(429, "1")]
    service.slow_seconds = 0.05
    started = time.monotonic()
    files = [Wanted(str(n), f"{service.url}/{n}", tmp_path / str(n)) for n in range(8)]
    download_all(files, 8, store, "files")
    assert time.monotonic() - started > 1.0
    assert [len((tmp_path / str(n)).read_bytes()) for n in range(8)] == list(range(1, 9))


def test_a_server_that_asks_for_an_hour_is_left_alone(service: Service, store: Store, wanted: Wanted) -> None:
    service.faults = [(429, "3600")]
    with pytest.raises(SourceError, match=r"asks to be left alone for 3600 s \(HTTP 429\); rerun after that"):
        download(wanted, store)
    assert len(service.asked) == 1


FAILURES = {
    "digest": (
        Page(b"x" * 100),
        r"came with sha256 \w{16}, not with \w{16} as pinned: it changed, or is damaged",
    ),
    "html": (Page(b"<!DOCTYPE html><html>log in</html>", "text/html"), "a web page came instead of the file"),
    "html unlabelled": (Page(b"\n <html>log in</html>"), "a web page came instead of the file"),
    # What the gateway of ndownloader.figshare.com gives to what it takes for a robot.
    "challenge": (Page(b"", status=202), "answered HTTP 202"),
    "forbidden": (Page(b"no", status=403), "answered HTTP 403"),
    "gone": (Page(b"no", status=410), "answered HTTP 410"),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_is_one_line_and_leaves_nothing(
    service: Service, store: Store, wanted: Wanted, kind: str
) -> None:
    service.pages["/file"], message = FAILURES[kind]
    with pytest.raises(SourceError, match=message) as caught:
        download(replace(wanted, mend="put it there by hand"), store)
    text = str(caught.value)
    assert text.startswith("the file: ") and "\n" not in text and text.endswith("put it there by hand")
    assert not wanted.output.exists() and left(store) == []
    service.pages["/file"] = Page(BODY)
    download(wanted, store)
    assert wanted.output.read_bytes() == BODY


def test_wrong_md5_and_failed_check_and_size(service: Service, store: Store, wanted: Wanted) -> None:
    with pytest.raises(SourceError, match="came with md5"):
        download(replace(wanted, sha256="", md5="0" * 32), store)

    def check(path: Path) -> None:
        raise PesbenchError(f"{path}: is truncated or corrupt")

    with pytest.raises(SourceError, match="came, but is truncated or corrupt, from http"):
        download(replace(wanted, sha256="", check=check), store)
    with pytest.raises(SourceError, match="more than the 1000 bytes that such a file may have"):
        download(replace(wanted, sha256="", most_bytes=1000), store)
    assert not wanted.output.exists() and left(store) == []


def test_no_network_is_said_soon(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "BACKOFF_SECONDS", 0.0)
    asked: list[str] = []
    original = transfer._attempt
    monkeypatch.setattr(
        transfer, "_attempt", lambda wanted, *a: (asked.append(wanted.name), original(wanted, *a))[1]
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        files = [Wanted(str(n), f"{url}/{n}", tmp_path / str(n), mend="set the mirror") for n in range(500)]
        words = r"\(ConnectionError\).*the target fetch_inputs.*set the mirror \(500 of 500 did not come\)"
        with pytest.raises(SourceError, match=words):
            download_all(files, 500, store, "files")
    assert len(set(asked)) < 20, "all 500 were tried"


def test_the_rest_comes_although_some_do_not(service: Service, store: Store, tmp_path: Path) -> None:
    service.pages = {f"/{n}": Page(str(n).encode()) for n in range(40) if n % 10}
    files = [Wanted(str(n), f"{service.url}/{n}", tmp_path / str(n)) for n in range(40)]
    with pytest.raises(SourceError, match=r"answered HTTP 404.*\(4 of 40 did not come\)"):
        download_all(files, 40, store, "files")
    assert sum((tmp_path / str(n)).exists() for n in range(40)) == 36
    assert service.busiest <= download_module.PARALLEL


def test_what_is_in_the_store_is_not_fetched_again(
    service: Service, store: Store, wanted: Wanted, tmp_path: Path
) -> None:
    download(wanted, store)
    before = wanted.output.stat().st_mtime_ns
    time.sleep(0.01)
    download(replace(wanted, output=tmp_path / "other-benchmark" / "file.bin"), store)
    assert wanted.output.stat().st_mtime_ns == before, "what depends on the first would be done again"
    download(replace(wanted, output=tmp_path / "third", url="http://127.0.0.1:9/elsewhere"), store)
    unpinned = replace(wanted, output=tmp_path / "fourth", sha256="")
    download(unpinned, store)
    assert len(service.asked) == 1
    assert {p.stat().st_ino for p in (wanted.output, tmp_path / "third", unpinned.output)} == {
        store.path(SHA).stat().st_ino
    }


def test_a_damaged_file_or_store_is_mended(service: Service, store: Store, wanted: Wanted) -> None:
    download(wanted, store)
    wanted.output.unlink()
    wanted.output.write_bytes(b"cut")
    download(wanted, store)
    assert wanted.output.read_bytes() == BODY and len(service.asked) == 1
    kept = store.path(SHA)
    kept.chmod(0o644)
    kept.write_bytes(b"overwritten, and so is its second name")
    download(wanted, store)
    assert wanted.output.read_bytes() == BODY and len(service.asked) == 2


def test_a_mirror_is_verified_like_the_network(store: Store, wanted: Wanted, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror.bin"
    with pytest.raises(
        SourceError, match=r"mirror\.bin: No such file or directory; complete the mirror, or unset"
    ):
        download(replace(wanted, mirror=mirror), store)
    mirror.write_bytes(BODY[:-1])
    with pytest.raises(SourceError, match=r"as pinned.*mirror\.bin; copy it there again"):
        download(replace(wanted, mirror=mirror), store)
    mirror.write_bytes(BODY)
    mirror.chmod(0o400)
    download(replace(wanted, mirror=mirror, url="http://127.0.0.1:9/not-asked"), store)
    assert wanted.output.read_bytes() == BODY and mirror.read_bytes() == BODY


def test_redirects_are_followed(service: Service, store: Store, wanted: Wanted) -> None:
    """As https://ndownloader.figshare.com/files/<id> leads to a signed address of its object store (302)."""
    service.pages["/signed"] = Page(BODY, etag='"s3"')
    location = f"{service.url}/signed?X-Amz-Signature=secret"
    service.pages["/file"] = Page(b"", status=302, location=location)
    service.faults = [None, ("cut", 5000)]
    download(wanted, store)
    assert wanted.output.read_bytes() == BODY


def test_another_address_of_the_same_file_is_asked(service: Service, store: Store, wanted: Wanted) -> None:
    service.pages = {
        "/refuses": Page(b"", status=202),
        "/page": Page(b"<html>", "text/html"),
        "/file": Page(BODY),
    }
    addresses = [f"{service.url}/{name}" for name in ("refuses", "page", "file")]
    download(replace(wanted, url=addresses[0], also=tuple(addresses[1:])), store)
    assert wanted.output.read_bytes() == BODY
    assert [path for path, _ in service.asked] == ["/refuses", "/page", "/file"]


def test_a_secret_in_an_address_is_never_shown(service: Service, store: Store, wanted: Wanted) -> None:
    url = wanted.url.replace("http://", "http://me:hunter2@") + "?token=opensesame"
    service.pages.clear()
    with pytest.raises(SourceError) as caught:
        download(replace(wanted, url=url), store)
    assert "hunter2" not in str(caught.value) and "opensesame" not in str(caught.value)
    assert "/file" in str(caught.value)


class FullDisk(Progress):
    def amount(self, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_its_own_error(service: Service, store: Store, wanted: Wanted) -> None:
    with pytest.raises(DiskFullError, match="make room and rerun"):
        download(wanted, store, FullDisk("x", 1))
    download(wanted, store)
    assert wanted.output.read_bytes() == BODY


WORKER = """
import re
import sys
from pathlib import Path
from pesbench.sources import transfer
from pesbench.sources.download import download_all
from pesbench.sources.store import Store
from pesbench.sources.wanted import Wanted

url, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
files = (Wanted(f"mp-{n}", f"{url}/{n}", folder / "out" / f"{n}") for n in range(count))
download_all(files, count, Store(folder / "store"), "files")
status = open("/proc/self/status").read()  # not getrusage: that counts what forked this process, too
(folder / "peak").write_text(re.search(r"VmHWM:\\s+(\\d+)", status)[1])
"""


def start(service: Service, folder: Path, count: int) -> subprocess.Popen[str]:
    scripts = str(Path(__file__).parents[2] / "scripts")
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER), service.url, str(folder), str(count)],
        env=os.environ | {"PYTHONPATH": scripts},
        stdout=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_fetch_of_many_may_be_killed_at_any_moment(service: Service, tmp_path: Path, count: int) -> None:
    service.pages = {f"/{n}": Page(f"{n}".encode() * 500, etag=f'"{n}"') for n in range(count)}
    rng, kills = random.Random(4), 0
    while True:
        worker = start(service, tmp_path, count)
        try:
            worker.wait(rng.uniform(0.4, count / 400) if kills < 6 else 600)
        except subprocess.TimeoutExpired:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            kills += 1
            done = list((tmp_path / "out").glob("[0-9]*"))
            assert all(p.read_bytes() == p.name.encode() * 500 for p in done), "a half file was seen"
        else:
            break
    assert worker.returncode == 0 and kills > 0
    assert len(list((tmp_path / "out").glob("[0-9]*"))) == count
    repeated = len(service.asked) - count
    assert repeated <= kills * download_module.PARALLEL, "more was fetched again than was in progress"
    assert int((tmp_path / "peak").read_text()) < 150_000, "kB of memory"


def test_ten_thousand_files_take_no_more_memory_than_some(
    service: Service, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_module, "download", lambda wanted, store: None)
    peaks = []
    for count in (200, 10_000):
        tracemalloc.start()
        download_all((Wanted(str(n), f"u/{n}", tmp_path / str(n)) for n in range(count)), count, store, "x")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 500_000


def test_two_processes_fetch_one_file_once(service: Service, tmp_path: Path) -> None:
    service.pages = {"/0": Page(BODY)}
    service.slow_seconds = 0.5
    workers = [start(service, tmp_path, 1) for _ in range(2)]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert len(service.asked) == 1


def test_progress_has_a_bar_and_the_time_left(
    service: Service, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.pages = {f"/{n}": Page(str(n).encode()) for n in range(4)}
    download_all(
        [Wanted(f"mp-{n}", f"{service.url}/{n}", tmp_path / str(n)) for n in range(4)], 4, store, "mdr"
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[-1].startswith("mdr [####################] 4/4 mp-")
    assert lines[-1].endswith("ok, 0:00 left")
