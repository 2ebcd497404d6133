"""Checkpoints whose SHA-256 nobody here could see: they are registered, refused, and pinned by who downloads them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pesbench.errors import CheckpointError

UNKNOWN = "unknown"


def refusal(model: str, url: str, files: Mapping[str, str], gated: str = "") -> str:
    """Return why nothing of an unpinned checkpoint is opened, and what the user can do."""
    unknown = [name for name, sha256 in files.items() if sha256 == UNKNOWN]
    addresses = " and ".join(f"{url}/{name}" for name in unknown)
    licence = f" (its publisher asks for a licence first: {gated})" if gated else ""
    return (
        f"the SHA-256 of {', '.join(unknown)} is not known here, so {model} is neither fetched nor opened; download "
        f"{addresses} into a folder{licence}, compare with what the publisher says of them, run 'python "
        f"scripts/pin_checkpoint.py {model} FOLDER' and paste what it prints into data/models.yaml"
    )


def hashes(model: str, url: str, files: Mapping[str, str], folder: Path) -> str:
    """Return the lines ``files:`` of a registry entry, from files that were downloaded; none of them is opened.

    Raises
    ------
    CheckpointError
        When the entry is not fetched, or a file of it is missing.
    """
    if not files:
        raise CheckpointError(f"{model}: its weights are not fetched; nothing to pin")
    lines = ["      files:"]
    for name in files:
        try:
            with (folder / name).open("rb") as stream:
                lines.append(f"        {name}: {hashlib.file_digest(stream, 'sha256').hexdigest()}")
        except OSError as error:
            mend = f"download {url}/{name} to there"
            raise CheckpointError(f"{model}: {folder / name}: {error.strerror}; {mend}") from error
    return "\n".join(lines) + "\n"
