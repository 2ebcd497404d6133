"""Phonons of Loew et al. 2024: the NIMS database calculated again with PBE (and its PBEsol originals), at Alexandria.

A. Loew et al., npj Comput. Mater. 11, 178 (2025), doi:10.1038/s41524-025-01650-1; CC BY 4.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pesbench.errors import SourceError
from pesbench.sources.archives import read_bounded
from pesbench.sources.wanted import Wanted

if TYPE_CHECKING:
    from pesbench.sources.phonon_files import PhononFile

BASE_URL = "https://alexandria.icams.rub.de/data/phonon_benchmark"
MIRROR_FOLDER = "alexandria"
INDEX = "index.html"
FUNCTIONALS = ("pbe", "pbesol")
#: A file in the server's own listing of its folder.
LINK = re.compile(r'href="((?:mp|mvc)-\d+)\.yaml\.bz2"')
LEAST_FILES = 9000


@dataclass(frozen=True)
class Alexandria:
    """The files of one functional.

    Attributes
    ----------
    listed
        Materials, in the order of the server's listing.
    mirror
        Folder with ``alexandria/<functional>/index.html`` and ``<mp-id>.yaml.bz2``; None: the network.
    """

    listed: Mapping[str, None]
    functional: str = "pbe"
    mirror: Path | None = None
    base_url: str = BASE_URL
    name: str = "alexandria"
    version: str = "phonon_benchmark, files as served on the day"
    licence: str = "CC BY 4.0"

    def ids(self) -> Iterator[str]:
        """Yield the materials in the order of the listing."""
        yield from self.listed

    def wanted(self, material: str, output: Path) -> Wanted:
        """Return where the file of one material is; it must unpack."""
        if material not in self.listed:
            raise SourceError(f"{material}: Alexandria's {self.functional} phonons have no such material")
        file = f"{material}.yaml.bz2"
        return Wanted(
            name=material,
            url=f"{self.base_url}/{self.functional}/{file}",
            output=output,
            check=check_file,
            mend=f"or let PESBENCH_MIRROR name a folder that holds {MIRROR_FOLDER}/{self.functional}/",
            mirror=self.mirror / MIRROR_FOLDER / self.functional / file if self.mirror else None,
        )

    def convert(self, material: str, path: Path) -> PhononFile:
        """Return what a fetched file says."""
        from pesbench.sources.phonon_files import read_phonon_file

        return read_phonon_file(path)


def index_wanted(
    functional: str, output: Path, mirror: Path | None = None, base_url: str = BASE_URL
) -> Wanted:
    """Return where the listing of one functional's files is."""
    if functional not in FUNCTIONALS:
        raise SourceError(f"{functional}: Alexandria has phonons of {' and '.join(FUNCTIONALS)}")
    return Wanted(
        name=f"listing of Alexandria's {functional} phonons",
        url=f"{base_url}/{functional}/",
        output=output,
        check=check_index,
        page=True,
        mirror=mirror / MIRROR_FOLDER / functional / INDEX if mirror else None,
    )


def check_index(path: Path) -> None:
    """Raise SourceError where a listing is cut off or none."""
    read_index(path)


def read_index(path: Path) -> dict[str, None]:
    """Return the materials of a listing, each once (they are the keys), in its order.

    Raises
    ------
    SourceError
        It lists too few: a page of an error, or cut off.
    """
    found = dict.fromkeys(LINK.findall(path.read_text(encoding="utf-8", errors="replace")))
    if len(found) < LEAST_FILES:
        raise SourceError(f"{path}: lists {len(found)} files, not at least {LEAST_FILES}; fetch it again")
    return found


def check_file(path: Path) -> None:
    """Raise SourceError or ArchiveError where a file is no phonopy yaml or cannot be unpacked."""
    if b"supercell_matrix" not in read_bounded(path):
        raise SourceError(f"{path}: is no phonopy yaml")
