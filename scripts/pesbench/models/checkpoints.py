"""Where a model's weights lie, and what they must be: the section ``checkpoint`` of ``data/models.yaml``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pesbench.errors import ConfigError
from pesbench.models.pinning import UNKNOWN
from pesbench.models.sections import check_section, match

SHA256 = re.compile(r"[0-9a-f]{64}")
WHERE: dict[str, dict[str, type]] = {
    "none": {},
    "wheel": {"package": str, "path": str, "sha256": str},
    "file": {"path": str, "sha256": str},
    "fetched": {"url": str, "mirror": str, "files": dict},
}
MAY_HAVE: dict[str, dict[str, type]] = {"fetched": {"gated": str}}
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Checkpoint:
    """Where the weights lie: in an installed package (``wheel``), in a ``file``, ``fetched``, or nowhere (``none``).

    Attributes
    ----------
    sha256
        Of the one file; where several are fetched, of their list in the format of sha256sum.
    url, mirror
        Where the files are fetched from: the publisher's address, and the name of their folder in a local mirror.
    gated
        How to get the files that their publisher gives to nobody who has not accepted a licence; empty for others.
    files
        SHA-256 of each fetched file, ``unknown`` for a file that nobody here could see.
    path
        Of fetched files only where they lie elsewhere than fetched ones do: the folder of a fine-tuned model.
    """

    where: str
    path: str = ""
    package: str = ""
    sha256: str = "none"
    url: str = ""
    mirror: str = ""
    gated: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def pinned(self) -> bool:
        """Whether every SHA-256 is known; what is not pinned is neither fetched nor opened."""
        return UNKNOWN not in self.files.values()

    def listing(self) -> str:
        """Return the list of the fetched files in the format of sha256sum."""
        return "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(self.files.items()))


def read_checkpoint(raw: Any, where: str, folder: Path) -> Checkpoint:
    """Check where the weights are; a relative ``file`` counts from the registry's folder."""
    where = f"{where}, checkpoint"
    kind = raw.get("where")
    if kind not in WHERE:
        raise ConfigError(f"{where}: where is {kind!r}, must be one of {', '.join(WHERE)}")
    section = dict(check_section(raw, {"where": str, **WHERE[kind]}, MAY_HAVE.get(kind, {}), where))
    hashes = section.get("files", {key: section[key] for key in ("sha256",) if key in section})
    for name, sha256 in hashes.items():
        if not (kind == "fetched" and sha256 == UNKNOWN):
            match(str(sha256), SHA256, "64 hexadecimal digits in lower case", f"{where}: {name}")
    if kind == "file":
        section["path"] = str((folder / section["path"]).resolve())
    if kind == "fetched":
        _check_fetched(section, where)
        fetched = Checkpoint(**section)
        listing = hashlib.sha256(fetched.listing().encode()).hexdigest()
        section["sha256"] = listing if fetched.pinned else UNKNOWN
    return Checkpoint(**section)


def _check_fetched(section: Mapping[str, Any], where: str) -> None:
    """Check the address, and that no name of a file or a folder leads elsewhere."""
    if not section["files"]:
        raise ConfigError(f"{where}: files is empty; list each file with its SHA-256")
    if not section["url"].startswith("https://"):
        raise ConfigError(f"{where}: url is '{section['url']}', must begin with https://")
    for name in (section["mirror"], *section["files"]):
        match(str(name), FILE_NAME, "a plain name, without folders", f"{where}: name")
