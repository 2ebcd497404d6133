"""Every source by its name: opened on what was fetched of its index, and asked for one thing or for a set of labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pesbench.config import suggest
from pesbench.errors import SourceError
from pesbench.naming import reference_file
from pesbench.sources import alexandria, figshare, mdr
from pesbench.sources.download import download, fetch, provenance
from pesbench.sources.interface import Provenance, Source
from pesbench.sources.label_sets import LABEL_SETS, LabelSet, convert
from pesbench.sources.labelled import write_labels
from pesbench.sources.phonondb import PhononDB
from pesbench.sources.progress import Progress
from pesbench.sources.store import Store
from pesbench.sources.wanted import Wanted
from pesbench.sources.wbm import Wbm

FILE_SOURCES = ("alexandria", "mdr", "wbm")


def open_source(
    name: str, folder: Path, store: Store, mirror: Path | None, functional: str = "pbe"
) -> Source:
    """Return a source, after its index, where it has one, was brought to ``folder``."""
    if name == "mdr":
        index = folder / mdr.INDEX
        download(mdr.index_wanted(index, mirror), store)
        return mdr.Mdr(mdr.read_index(index), mirror)
    if name == "alexandria":
        index = folder / functional / alexandria.INDEX
        download(alexandria.index_wanted(functional, index, mirror), store)
        return alexandria.Alexandria(alexandria.read_index(index), functional, mirror)
    if name == "wbm":
        return Wbm(mirror)
    raise SourceError(f"{name}: is no source of single files; {suggest(name, FILE_SOURCES)}")


def open_reference(
    name: str, lines: Mapping[str, Mapping[str, str]], store: Store, mirror: Path | None
) -> Source:
    """Return a database of phonons by its name among the references.

    Parameters
    ----------
    lines
        Of data/manifests/phonons.csv, by material: they pin the archives of ``phonondb-2018``.
    """
    if name == "phonondb-2018":
        return PhononDB(lines, mirror)
    source, _, functional = name.partition("-")
    folder = Path(reference_file(name, "any")).parent
    return open_source(source, folder.parent if functional else folder, store, mirror, functional)


def fetch_file(name: str, file: str, output: Path, store: Store, mirror: Path | None = None) -> None:
    """Bring one file of a source, told by its path in the inputs: ``pbe/mp-149.yaml.bz2`` of Alexandria.

    Raises
    ------
    SourceError
        One line: no such source, no such material, or what became of the transfer.
    """
    functional, _, last = file.rpartition("/")
    folder = output.parents[1] if functional else output.parent
    source = open_source(name, folder, store, mirror, functional or "pbe")
    item = last if name == "wbm" else last.partition(".")[0]
    fetch(source, {item: output}, store)


def fetch_labelled(name: str, output: Path, store: Store, mirrors: Mapping[str, Path | None]) -> int:
    """Bring a published set of labelled frames, and write it in the project's format; return how many frames it has.

    Parameters
    ----------
    mirrors
        Folder, or None for the network, of the sources ``labelled`` and ``figshare``.

    Raises
    ------
    SourceError, LabelError, ArchiveError
        One line: no such set, what became of the transfer, or what is wrong with the frames.
    """
    if name not in LABEL_SETS:
        raise SourceError(f"{name}: is no published set of labelled frames; {suggest(name, LABEL_SETS)}")
    entry = LABEL_SETS[name]
    raw = output.with_name(f".{output.name}.raw")
    if entry.article:
        where = _from_article(entry, raw, store, mirrors["figshare"])
    else:
        where = _from_address(entry, raw, store, mirrors["labelled"])
    frames = convert(entry, raw)
    write_labels(output, frames, where)
    raw.unlink()
    return len(frames)


def _from_address(entry: LabelSet, raw: Path, store: Store, mirror: Path | None) -> Provenance:
    """Bring the file of a set whose digest is pinned here."""
    wanted = Wanted(
        name=entry.name,
        url=entry.url,
        output=raw,
        sha256=entry.sha256,
        mirror=mirror / entry.mirror if mirror else None,
        mend=f"or let PESBENCH_MIRROR name a folder that has {entry.mirror}",
        also=entry.also,
    )
    download(wanted, store, Progress(entry.name, 1))
    note = store.noted(entry.url)
    return Provenance(
        source="labelled",
        id=entry.name,
        version=entry.version,
        date=note.get("date", ""),
        licence=entry.licence,
        sha256=entry.sha256,
        url=entry.url,
        via=note.get("via", ""),
    )


def _from_article(entry: LabelSet, raw: Path, store: Store, mirror: Path | None) -> Provenance:
    """Bring the file of a set whose digest figshare states."""
    folder = raw.parents[1] / "figshare" / entry.article
    source = figshare.article(entry.article, folder, store, mirror)
    file = Path(entry.mirror).name
    wanted = source.wanted(file, raw)
    download(wanted, store, Progress(entry.name, 1))
    return replace(provenance(source, file, store), source="labelled", id=entry.name)
