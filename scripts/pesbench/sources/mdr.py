"""The phonon database's newer release at NIMS (Materials Data Repository): an index, and one zip archive a material.

A. Togo, MDR phonon calculation database, doi:10.48505/nims.4197, CC BY 4.0; VASP, PBEsol.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pesbench.errors import SourceError
from pesbench.sources.archives import read_zipped
from pesbench.sources.wanted import Wanted

if TYPE_CHECKING:
    from pesbench.sources.phonon_files import PhononFile

#: github.com/atztogo/phonondb, whose table says which archive is which material's.
COMMIT = "0907135e9b1c531b0e4791a61a79ed17e753926f"
INDEX_URL = f"https://raw.githubusercontent.com/atztogo/phonondb/{COMMIT}/mdr/phonondb/README.md"
BASE_URL = "https://mdr.nims.go.jp/download_all"
MIRROR_FOLDER = "mdr"
INDEX = "index.md"
#: A row of the table: | 149 | Si | Fd-3m (227) | page | [m039k924j.zip](address) |
ROW = re.compile(r"^\|\s*(\d+)\s*\|\s*([^|]+?)\s*\|[^|]*\|[^|]*\|\s*\[([a-z0-9]+)\.zip\]", re.MULTILINE)
#: The table has ten thousand materials; one that was cut off has fewer.
LEAST_ROWS = 9000


@dataclass(frozen=True)
class Mdr:
    """The release, as its index lists it.

    Attributes
    ----------
    keys
        Name of each material's archive.
    mirror
        Folder with ``mdr/index.md`` and ``mdr/<mp-id>.zip``; None: the network.
    """

    keys: Mapping[str, str]
    mirror: Path | None = None
    base_url: str = BASE_URL
    name: str = "mdr"
    version: str = f"atztogo/phonondb @ {COMMIT[:7]}; archives as served on the day"
    licence: str = "CC BY 4.0"

    def ids(self) -> Iterator[str]:
        """Yield the materials in the order of the index."""
        yield from self.keys

    def wanted(self, material: str, output: Path) -> Wanted:
        """Return where the archive of one material is; it must hold readable phonopy parameters."""
        if material not in self.keys:
            raise SourceError(
                f"{material}: the index of NIMS's phonon database has no such material; check the id"
            )
        return Wanted(
            name=material,
            url=f"{self.base_url}/{self.keys[material]}.zip",
            output=output,
            check=check_archive,
            mend=f"or let PESBENCH_MIRROR name a folder that holds {MIRROR_FOLDER}/",
            mirror=self.mirror / MIRROR_FOLDER / f"{material}.zip" if self.mirror else None,
        )

    def convert(self, material: str, path: Path) -> PhononFile:
        """Return what a fetched archive says."""
        from pesbench.sources.phonon_files import read_phonon_file

        return read_phonon_file(path)


def index_wanted(output: Path, mirror: Path | None = None, url: str = INDEX_URL) -> Wanted:
    """Return where the index is."""
    return Wanted(
        name="index of NIMS's phonon database",
        url=url,
        output=output,
        check=check_index,
        mirror=mirror / MIRROR_FOLDER / INDEX if mirror else None,
    )


def check_index(path: Path) -> None:
    """Raise SourceError where an index is cut off or none."""
    read_index(path)


def read_index(path: Path) -> dict[str, str]:
    """Return the name of each material's archive, in the order of the index.

    Raises
    ------
    SourceError
        The file is no such index, is cut off, or names one material twice.
    """
    rows = ROW.findall(path.read_text(encoding="utf-8", errors="replace"))
    keys = {f"mp-{number}": key for number, _, key in rows}
    if len(keys) < LEAST_ROWS or len(keys) != len(rows):
        raise SourceError(
            f"{path}: lists {len(keys)} materials in {len(rows)} rows, not at least {LEAST_ROWS} once each; "
            "fetch it again"
        )
    return keys


def check_archive(path: Path) -> None:
    """Raise ArchiveError where an archive does not hold the parameters, whole."""
    from pesbench.sources.phonon_files import PARAMETERS

    read_zipped(path, PARAMETERS)
