"""Fetch a model's weights from their publisher or a local mirror; no file counts before its SHA-256 is right."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from pesbench.errors import SourceError
from pesbench.files import write_atomic
from pesbench.models.pinning import refusal

if TYPE_CHECKING:
    from pesbench.models.registry import Checkpoint

TIMEOUT_SECONDS = 60
RANGE_NOT_SATISFIABLE = 416


def fetch_weights(checkpoint: Checkpoint, folder: Path, listing: Path, mirror: Path | None = None) -> None:
    """Bring every file of a checkpoint to ``folder``; what is there and right is not fetched again.

    Parameters
    ----------
    checkpoint
        Registry entry of the kind ``fetched``: address, name of the folder in a mirror, SHA-256 of each file.
    listing
        Written last, in the format of sha256sum: the sign that all files are verified.
    mirror
        Local folder that has ``<checkpoint.mirror>/<file>``; the network is not asked then.

    Raises
    ------
    SourceError
        One line with the file and the mend: not reachable, not in the mirror, not the pinned file, or not pinned.
    """
    if not checkpoint.pinned:
        raise SourceError(refusal(folder.name, checkpoint.url, checkpoint.files))
    folder.mkdir(parents=True, exist_ok=True)
    for name, sha256 in checkpoint.files.items():
        path = folder / name
        if path.is_file() and _sha256(path) == sha256:
            continue
        partial = folder / f"{name}.part"
        origin = _copy(checkpoint, name, mirror, partial) if mirror else _download(checkpoint, name, partial)
        found = _sha256(partial)
        if found != sha256:
            partial.unlink()
            raise SourceError(
                f"{origin}: is not the pinned file and was thrown away: SHA-256 expected {sha256}, found "
                f"{found}; rerun, or put the right file at {path}"
            )
        os.replace(partial, path)
    write_atomic(listing, checkpoint.listing())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy(checkpoint: Checkpoint, name: str, mirror: Path, partial: Path) -> str:
    """Copy one file of a mirror; return where it is from."""
    origin = mirror / checkpoint.mirror / name
    try:
        shutil.copyfile(origin, partial)
    except OSError as error:
        raise SourceError(
            f"{origin}: {error.strerror}; complete the mirror, or unset PESBENCH_WEIGHTS: then it comes from "
            f"{checkpoint.url}"
        ) from error
    return str(origin)


def _download(checkpoint: Checkpoint, name: str, partial: Path) -> str:
    """Download one file, going on where a broken transfer ended; return where it is from."""
    url = f"{checkpoint.url}/{name}"
    there = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            goes_on = response.status == http.client.PARTIAL_CONTENT
            with partial.open("ab" if goes_on else "wb") as stream:
                shutil.copyfileobj(response, stream)
            if response.length:  # what was promised and did not come
                raise http.client.IncompleteRead(b"", response.length)
    except urllib.error.HTTPError as error:
        if not (there and error.code == RANGE_NOT_SATISFIABLE):  # else it was complete already
            raise SourceError(f"{url}: {error.code} {error.reason}; {_mend(checkpoint, partial)}") from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise SourceError(f"{url}: broken off ({reason}); {_mend(checkpoint, partial)}") from error
    return url


def _mend(checkpoint: Checkpoint, partial: Path) -> str:
    return (
        f"rerun where there is a network, put the file at {partial.with_suffix('')}, "
        f"or let PESBENCH_WEIGHTS name a folder that has {checkpoint.mirror}/"
    )
