"""What every source of files can do; fetching from any of them is `pesbench.sources.download.fetch`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pesbench.sources.wanted import Wanted


@dataclass(frozen=True)
class Provenance:
    """Where an input is from.

    Attributes
    ----------
    sha256
        Of the file as it was fetched, before any conversion.
    date
        On which it was fetched, ISO 8601.
    url, via
        Its publisher's address, and whether it came by the network or by a local mirror of it.
    """

    source: str
    id: str
    version: str
    date: str
    licence: str
    sha256: str
    url: str = ""
    via: str = ""


class Source(Protocol):
    """A place that inputs come from.

    It says what it has, where each thing is, how a right one is told from a wrong one, and what a fetched one holds in
    this project's formats.
    """

    @property
    def name(self) -> str:
        """Of the source, as config.yaml has it."""

    @property
    def version(self) -> str:
        """Which release; where the publisher keeps none, that is said, and the date and digest tell."""

    @property
    def licence(self) -> str:
        """Under which its data may be used."""

    def ids(self) -> Iterator[str]:
        """Yield everything that can be asked for, in the source's own order."""

    def wanted(self, item: str, output: Path, /) -> Wanted:
        """Return where one thing is and what verifies it; raise SourceError for one that the source has not."""

    def convert(self, item: str, path: Path, /) -> Any:
        """Return what a fetched file holds: a structure, labelled frames, phonons, a table."""
