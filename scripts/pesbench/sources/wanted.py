"""What is wanted of a source: where a file is, where it shall stand, and how a right one is told from a wrong one."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pesbench.errors import PesbenchError
from pesbench.sources.store import digest_of

MOST_BYTES = 64 * 2**20
HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<\?xml[^>]*>\s*<html)", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """One file to bring.

    Attributes
    ----------
    name
        What messages call it: a material, a set, a file.
    output
        Where it shall stand, verified and whole, or not at all.
    sha256, md5
        What is pinned; either or none.
    check
        Opens the file and raises PesbenchError where it is not what it should be.
    page
        A web page is what is wanted; else one is refused.
    mend
        What else a user can do, for the message where the file cannot be had.
    mirror
        The same file in a local folder, which is then read instead of the network.
    also
        Other addresses of the same file, asked in turn where the first refuses.
    """

    name: str
    url: str
    output: Path
    sha256: str = ""
    md5: str = ""
    most_bytes: int = MOST_BYTES
    check: Callable[[Path], None] | None = None
    page: bool = False
    mend: str = ""
    mirror: Path | None = None
    also: tuple[str, ...] = ()

    @property
    def pinned(self) -> bool:
        """Whether anything tells a right file from a wrong one."""
        return bool(self.sha256 or self.md5 or self.check)


def shown(url: str) -> str:
    """Return an address as messages show it: without a password or a query, in which keys may stand."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def fault_of(path: Path, wanted: Wanted) -> str:
    """Return what is wrong with a file, or nothing."""
    with path.open("rb") as stream:
        if not wanted.page and HTML.match(stream.read(256)):
            return page_fault(wanted)
    for name, expected in (("sha256", wanted.sha256), ("md5", wanted.md5)):
        if expected and (found := digest_of(path, name)) != expected:
            return f"came with {name} {found[:16]}, not with {expected[:16]} as pinned: it changed, or is damaged"
    try:
        if wanted.check:
            wanted.check(path)
    except PesbenchError as error:
        return f"came, but {str(error).removeprefix(f'{path}: ')}"
    return ""


def page_fault(wanted: Wanted) -> str:
    return (
        f"a web page came instead of the file from {shown(wanted.url)}: a log-in page, a proxy or the server's own "
        f"error; open it in a browser{mend_of(wanted)}"
    )


def mend_of(wanted: Wanted) -> str:
    return f"; {wanted.mend}" if wanted.mend else ""
