"""Fetch a model's weights from their publisher or a local mirror; no file counts before its SHA-256 is right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pesbench.errors import SourceError
from pesbench.files import write_atomic
from pesbench.models.pinning import refusal
from pesbench.sources.download import download
from pesbench.sources.progress import Progress
from pesbench.sources.store import Store
from pesbench.sources.wanted import Wanted

if TYPE_CHECKING:
    from pesbench.models.checkpoints import Checkpoint

#: The largest checkpoints of such models have some hundred MB.
MOST_BYTES = 8 * 2**30


def fetch_weights(
    checkpoint: Checkpoint, folder: Path, listing: Path, store: Store, mirror: Path | None = None
) -> None:
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
        raise SourceError(refusal(folder.name, checkpoint.url, checkpoint.files, checkpoint.gated))
    for name, sha256 in checkpoint.files.items():
        wanted = Wanted(
            name=name,
            url=f"{checkpoint.url}/{name}",
            output=folder / name,
            sha256=sha256,
            most_bytes=MOST_BYTES,
            mend=_mend(checkpoint, folder / name),
            mirror=mirror / checkpoint.mirror / name if mirror else None,
        )
        download(wanted, store, Progress("weights", 1))
    write_atomic(listing, checkpoint.listing())


def _mend(checkpoint: Checkpoint, path: Path) -> str:
    licence = f"its publisher asks for a licence first: {checkpoint.gated}; " if checkpoint.gated else ""
    return f"{licence}put the file at {path}, or let PESBENCH_WEIGHTS name a folder that has {checkpoint.mirror}/"
