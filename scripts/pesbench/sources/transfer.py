"""One transfer: everything of one file, over as many attempts as it takes, into one partial file.

`requests` does the transfer. The common clients for such files (pooch, wget, torch.hub) start again after a break, or
join the halves of two versions of a file; so the loop around the transfer is here.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from pesbench.errors import DiskFullError, SourceError
from pesbench.files import FULL, write_atomic
from pesbench.sources.progress import Progress
from pesbench.sources.wanted import Wanted, fault_of, mend_of, page_fault, shown

#: Attempts in a row without one new byte, and those without any answer at all.
ATTEMPTS = 10
ATTEMPTS_OFFLINE = 4
BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 60.0
#: A server that asks for a longer pause than this is left alone until the user comes back.
LONGEST_PAUSE_SECONDS = 900.0
TIMEOUT_SECONDS = (15, 60)
PIECE_BYTES = 2**16
TRANSIENT = (408, 429, 500, 502, 503, 504)
#: What to do on a machine without a network.
LOGIN_NODE = (
    "without a network here, run the target fetch_inputs where there is one, on the same results folder"
)
RESUMED, WHOLE, NOT_SATISFIABLE = 206, 200, 416


class UnreachableError(SourceError):
    """No answer came from a server at all."""


class _Again(Exception):
    """This attempt gave nothing that lasts; another may."""

    def __init__(self, reason: str, wait_seconds: float = 0.0, answered: bool = True) -> None:
        super().__init__(reason)
        self.wait_seconds, self.answered = wait_seconds, answered


class Manners:
    """When each server may be asked again: one that says wait is not asked by any other thread meanwhile."""

    def __init__(self) -> None:
        self._lock, self._until = threading.Lock(), dict[str, float]()

    def wait(self, url: str) -> None:
        """Sleep until the server of an address may be asked."""
        while True:
            with self._lock:
                seconds = self._until.get(urlsplit(url).netloc, 0.0) - time.monotonic()
            if seconds <= 0:
                return
            time.sleep(seconds)

    def pause(self, url: str, seconds: float) -> None:
        """Leave the server of an address alone for a while."""
        host = urlsplit(url).netloc
        with self._lock:
            self._until[host] = max(self._until.get(host, 0.0), time.monotonic() + seconds)


MANNERS = Manners()
_LOCAL = threading.local()


def transfer(wanted: Wanted, part: Path, progress: Progress | None) -> bool:
    """Attempt until everything is in ``part``; an attempt that brought something does not count as failed.

    Returns
    -------
    bool
        Whether it was joined from several attempts, of this or an earlier run.
    """
    failed, joined = 0, False
    while True:
        before = _size(part)
        joined = joined or before > 0
        MANNERS.wait(wanted.url)
        try:
            _attempt(wanted, part, progress)
            return joined
        except _Again as again:
            failed = 0 if _size(part) > before else failed + 1
            _give_up(again, failed, wanted)
            if again.wait_seconds:
                MANNERS.pause(wanted.url, again.wait_seconds)
            else:
                seconds = min(BACKOFF_SECONDS * 2 ** max(failed - 1, 0), LONGEST_BACKOFF_SECONDS)
                time.sleep(seconds * random.uniform(0.5, 1.5))


def _give_up(again: _Again, failed: int, wanted: Wanted) -> None:
    """Raise where another attempt has no sense."""
    where = f"{wanted.name}: {shown(wanted.url)}"
    if again.wait_seconds > LONGEST_PAUSE_SECONDS:
        raise SourceError(
            f"{where} asks to be left alone for {again.wait_seconds:.0f} s ({again}); rerun after that, "
            f"what came is kept{mend_of(wanted)}"
        )
    if failed >= (ATTEMPTS if again.answered else ATTEMPTS_OFFLINE):
        if not again.answered:
            raise UnreachableError(f"{where} cannot be reached ({again}); {LOGIN_NODE}{mend_of(wanted)}")
        raise SourceError(
            f"{where} gave nothing more in {failed} attempts ({again}); rerun later, what came is kept{mend_of(wanted)}"
        )


def _attempt(wanted: Wanted, part: Path, progress: Progress | None) -> None:
    """Ask once for what is missing and append it.

    Raises
    ------
    _Again
        It broke off, or the server is busy.
    SourceError
        The server refuses, or gives something else.
    """
    have, headers = _size(part), {"Accept-Encoding": "identity"}
    if have:
        validator = _validator_of(part)
        if not (validator or wanted.pinned):  # nothing would tell that the halves are of two files
            discard(part)
            have = 0
        else:
            headers |= {"Range": f"bytes={have}-"} | ({"If-Range": validator} if validator else {})
    answered = False
    try:
        with _session().get(wanted.url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as answer:
            answered = True
            _refuse(answer, wanted)
            if answer.status_code == NOT_SATISFIABLE:
                if fault_of(part, wanted) or not wanted.pinned:
                    discard(part)
                    raise _Again("the part at hand did not fit")
                return
            _append(answer, wanted, part, have, progress)
    except (requests.RequestException, HTTPError) as error:
        raise _Again(type(error).__name__, answered=answered) from error


def _refuse(answer: requests.Response, wanted: Wanted) -> None:
    """Raise for every answer that brings no bytes of the file."""
    status = answer.status_code
    if status in TRANSIENT:
        try:
            told = Retry().get_retry_after(answer.raw) or 0.0
        except HTTPError:  # a value that is neither a number nor a date
            told = 0.0
        raise _Again(f"HTTP {status}", wait_seconds=told)
    if status not in (WHOLE, RESUMED, NOT_SATISFIABLE):
        raise SourceError(f"{wanted.name}: {shown(wanted.url)} answered HTTP {status}{mend_of(wanted)}")
    page = "text/html" in answer.headers.get("Content-Type", "") and status != NOT_SATISFIABLE
    if page and not wanted.page:
        raise SourceError(f"{wanted.name}: {page_fault(wanted)}")


def _append(
    answer: requests.Response, wanted: Wanted, part: Path, have: int, progress: Progress | None
) -> None:
    """Write the bytes of one answer where they belong."""
    resumed = answer.status_code == RESUMED
    tag = _validator(answer)
    if resumed:
        start = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", f"bytes {have}-"))
        if not start or int(start.group(1)) != have or (tag and _validator_of(part) not in ("", tag)):
            discard(part)
            raise _Again("the file changed at its source")
    else:
        discard(part)  # before its note is of another version: a kill between must not marry the two
        write_atomic(meta(part), json.dumps({"url": wanted.url, "validator": tag}))
    length = int(answer.headers.get("Content-Length") or 0) + (have if resumed else 0)
    _bound(length, wanted, part)
    try:
        with part.open("ab" if resumed else "wb") as handle:
            while piece := answer.raw.read1(PIECE_BYTES):
                handle.write(piece)
                _bound(handle.tell(), wanted, part)
                if progress:
                    progress.amount(wanted.name, handle.tell(), length)
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(f"{part}: no space left on the device; make room and rerun") from error
        raise _Again(type(error).__name__) from error


def _bound(size: int, wanted: Wanted, part: Path) -> None:
    if size > wanted.most_bytes:
        discard(part)
        raise SourceError(
            f"{wanted.name}: {shown(wanted.url)} has more than the {wanted.most_bytes} bytes that such a file may have"
        )


def _session() -> requests.Session:
    """Return this thread's session: it keeps its connections."""
    if not hasattr(_LOCAL, "session"):
        _LOCAL.session = requests.Session()
        _LOCAL.session.headers["User-Agent"] = "pesbench (benchmarks of interatomic potentials)"
    session: requests.Session = _LOCAL.session
    return session


def _validator(answer: requests.Response) -> str:
    """Return what names this version of a file: a strong entity tag, or else its date."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def meta(part: Path) -> Path:
    return part.with_suffix(".json")


def _validator_of(part: Path) -> str:
    try:
        return str(json.loads(meta(part).read_text(encoding="utf-8"))["validator"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    meta(part).unlink(missing_ok=True)
