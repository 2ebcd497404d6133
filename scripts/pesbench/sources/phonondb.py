"""Archives of PhononDB's release of 2018-04-17, from its copy on GitHub or from a local mirror.

The database: A. Togo, phonon database at Kyoto University, CC BY 4.0. A mirror may have packed the files anew, hence
what is compared is the content of those that are used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pesbench.errors import SourceError
from pesbench.sources.archives import read_members
from pesbench.sources.phonon_files import MEMBERS
from pesbench.sources.wanted import Wanted

if TYPE_CHECKING:
    from pesbench.sources.phonon_files import PhononFile

#: github.com/WMD-group/phononDB, the commit with the archives.
COMMIT = "880b9dee82003fed6915d45907b31511cf6df388"
BASE_URL = f"https://raw.githubusercontent.com/WMD-group/phononDB/{COMMIT}/phonon_db_tarred"
MIRROR_FOLDER = "phonondb/archives"


def content_sha256(path: Path) -> str:
    """Return the digest of those members of an archive that are read, however they are packed.

    SHA-256 over, for each in the order of names: the name, a zero byte, the length in decimal, a zero byte, the bytes.
    """
    total = hashlib.sha256()
    for name, data in sorted(read_members(path, MEMBERS).items()):
        total.update(b"%s\0%d\0" % (name.encode(), len(data)))
        total.update(data)
    return total.hexdigest()


def archive_url(material: str, stem: str, base_url: str = BASE_URL) -> str:
    """Return where the publisher's archive of one material is; ``stem`` is its formula and space group."""
    return f"{base_url}/materials-id-{material.removeprefix('mp-')}-{stem}.tar.lzma"


@dataclass(frozen=True)
class PhononDB:
    """The database, as far as a manifest lists it.

    Attributes
    ----------
    lines
        Of data/manifests/phonons.csv, by material: ``archive`` and ``content_sha256`` are used.
    mirror
        Folder with ``phonondb/archives/<mp-id>.tar.xz``; None: the network.
    """

    lines: Mapping[str, Mapping[str, str]]
    mirror: Path | None = None
    base_url: str = BASE_URL
    name: str = "phonondb"
    version: str = f"2018-04-17, WMD-group/phononDB @ {COMMIT[:7]}"
    licence: str = "CC BY 4.0"

    def ids(self) -> Iterator[str]:
        """Yield the materials in the order of the manifest."""
        yield from self.lines

    def wanted(self, material: str, output: Path) -> Wanted:
        """Return where the archive of one material is, and what its content must be."""
        try:
            line = self.lines[material]
        except KeyError:
            raise SourceError(
                f"{material}: is not in data/manifests/phonons.csv; the database has none"
            ) from None
        return Wanted(
            name=material,
            url=archive_url(material, line["archive"], self.base_url),
            output=output,
            check=lambda path: _check(path, line["content_sha256"]),
            mend="check `archive` in data/manifests/phonons.csv, or let PESBENCH_MIRROR name a folder that holds "
            f"{MIRROR_FOLDER}",
            mirror=self.mirror / MIRROR_FOLDER / f"{material}.tar.xz" if self.mirror else None,
        )

    def convert(self, material: str, path: Path) -> PhononFile:
        """Return what a fetched archive says."""
        from pesbench.sources.phonon_files import read_phonon_file

        return read_phonon_file(path)


def _check(path: Path, expected: str) -> None:
    """Raise where an archive cannot be read, or has other content than the manifest pins."""
    found = content_sha256(path)
    if found != expected:
        raise SourceError(
            f"{path}: has other content (sha256 {found[:12]}) than the manifest pins ({expected[:12]})"
        )
