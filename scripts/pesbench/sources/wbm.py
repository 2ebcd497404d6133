"""WBM: the compounds of Wang, Botti and Marques by element substitution, as Matbench Discovery distributes them.

H.-C. Wang et al., npj Comput. Mater. 7, 12 (2021), CC BY 4.0; figshare article 22715158. Addresses and MD5 are those
of matbench-discovery's data-files.yml at commit 02c292d.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pesbench.errors import SourceError
from pesbench.sources.figshare import API_URL, DOWNLOAD_URL, file_addresses
from pesbench.sources.label_readers import atoms_of
from pesbench.sources.wanted import Wanted

if TYPE_CHECKING:
    from ase import Atoms

MIRROR_FOLDER = "wbm"
SUMMARY = "2023-12-13-wbm-summary.csv.gz"
INITIAL = "2022-10-19-wbm-init-structs.jsonl.gz"
#: Name: (number of the file at figshare, MD5).
FILES = {
    SUMMARY: (64706751, "1555268d3aa59d20262cb9d01ce0994b"),
    INITIAL: (53161835, "b809f101dd42a745ec2baabe7eb16f11"),
}
MOST_BYTES = 2**30
#: Longest line of a structure; WBM's largest cells have some hundred atoms.
MOST_LINE_BYTES = 2**22


@dataclass(frozen=True)
class Wbm:
    """The two files that the benchmarks need: a table of all compounds, and the structures before relaxation."""

    mirror: Path | None = None
    addresses: tuple[str, str] = (API_URL, DOWNLOAD_URL)
    name: str = "wbm"
    version: str = "figshare article 22715158"
    licence: str = "CC BY 4.0"

    def ids(self) -> Iterator[str]:
        """Yield the names of the files."""
        yield from FILES

    def wanted(self, name: str, output: Path) -> Wanted:
        """Return where one file is, with its pinned MD5."""
        if name not in FILES:
            raise SourceError(f"{name}: is no file of WBM that is used here; known are {', '.join(FILES)}")
        number, md5 = FILES[name]
        first, second = file_addresses(number, *self.addresses)
        return Wanted(
            name=name,
            url=first,
            also=(second,),
            output=output,
            md5=md5,
            most_bytes=MOST_BYTES,
            mend="or download it from figshare's article 22715158 in a browser into a mirror's folder wbm/",
            mirror=self.mirror / MIRROR_FOLDER / name if self.mirror else None,
        )

    def convert(self, name: str, path: Path) -> Any:
        """Return the table of all compounds (a data frame by ``material_id``), or an iterator of structures."""
        if name == SUMMARY:
            import pandas as pd

            return pd.read_csv(path, compression="gzip").set_index("material_id")
        return initial_structures(path)


def initial_structures(path: Path, only: Collection[str] | None = None) -> Iterator[tuple[str, Atoms]]:
    """Yield (id, structure) of the file with the unrelaxed structures, line by line.

    Parameters
    ----------
    only
        Ids that are wanted; None: all 257 thousand.

    Raises
    ------
    SourceError
        The file is cut off or no such file; or, at its end, a wanted id was not in it.
    """
    missing = set(only) if only is not None else None
    try:
        with gzip.open(path, "rb") as lines:
            while line := lines.readline(MOST_LINE_BYTES):
                record = json.loads(line)
                material = str(record["material_id"])
                if missing is None or material in missing:
                    yield material, atoms_of(record["initial_structure"], f"{path}, {material}")
                    if missing is not None:
                        missing.discard(material)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path}: is cut off or no file of WBM ({type(error).__name__}); fetch it again"
        ) from error
    if missing:
        raise SourceError(
            f"{path}: has no {sorted(missing)[0]} ({len(missing)} of the wanted ids are not in WBM)"
        )
