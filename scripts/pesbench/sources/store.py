"""Files by their content: what was fetched once, for whatever benchmark, is not fetched again."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pesbench.errors import DiskFullError
from pesbench.files import FULL, write_atomic


def digest_of(path: Path, name: str = "sha256") -> str:
    """Return a file's digest in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, name).hexdigest()


@dataclass(frozen=True)
class Store:
    """A folder with one file a content, named by its SHA-256, and a note of which address gave which content."""

    root: Path

    def path(self, sha256: str) -> Path:
        """Return where the content of that digest lies, or would lie."""
        return self.root / sha256[:2] / sha256

    def note(self, url: str) -> Path:
        """Return the note of what came from an address."""
        return self.root / "from" / f"{_name(url)}.json"

    def part(self, url: str) -> Path:
        """Return the file that collects what has come from an address so far."""
        return self.root / "parts" / _name(url)

    @contextlib.contextmanager
    def only_me(self, url: str) -> Iterator[None]:
        """Let one process at a time fetch from an address; the others wait, and then find it here.

        Addresses share 256 locks, so that ten thousand files do not leave ten thousand of them.
        """
        lock = self.root / "locks" / _name(url)[:2]
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("wb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def find(self, url: str, sha256: str = "") -> Path | None:
        """Return the content that is pinned, or else that an address gave, if it is here and whole."""
        sha256 = sha256 or self.noted(url).get("sha256", "")
        path = self.path(sha256)
        if not sha256 or not path.is_file():
            return None
        if digest_of(path) == sha256:
            return path
        path.unlink()  # damaged after it was stored
        return None

    def noted(self, url: str) -> dict[str, str]:
        """Return what is noted of an address: sha256, date; nothing where it was never asked."""
        try:
            note = json.loads(self.note(url).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) and note.get("url") == url else {}

    def add(self, path: Path, url: str, date: str, via: str) -> Path:
        """Move a whole and verified file into the store; return where it lies now. ``via``: network, or mirror."""
        sha256 = digest_of(path)
        kept = self.path(sha256)
        kept.parent.mkdir(parents=True, exist_ok=True)
        path.chmod(0o444)
        os.replace(path, kept)
        write_atomic(
            self.note(url), json.dumps({"url": url, "sha256": sha256, "date": date, "via": via}) + "\n"
        )
        return kept


def place(kept: Path, output: Path) -> None:
    """Put a stored file where a rule expects it: a second name of the same file, or a copy where that is impossible."""
    output.parent.mkdir(parents=True, exist_ok=True)
    temporary = output.with_name(f".{output.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    try:
        try:
            os.link(kept, temporary)
        except OSError as error:
            if error.errno in FULL or error.errno == errno.ENOENT:
                raise
            shutil.copyfile(kept, temporary)
        os.replace(temporary, output)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno not in FULL:
            raise
        raise DiskFullError(f"{output}: no space left on the device; make room and rerun") from error


def _name(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:32]
