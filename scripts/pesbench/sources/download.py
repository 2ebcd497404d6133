"""Bring files from the network to their places: from the store where they are, verified before anybody sees them."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, replace
from pathlib import Path

from pesbench.errors import DiskFullError, SourceError
from pesbench.files import FULL
from pesbench.sources.interface import Provenance, Source
from pesbench.sources.progress import Progress
from pesbench.sources.store import Store, place
from pesbench.sources.transfer import UnreachableError, discard, meta, transfer
from pesbench.sources.wanted import Wanted, fault_of, mend_of, shown

#: Files fetched at a time.
PARALLEL = 4
#: Files in a row that no answer came for, after which the rest is not asked for.
UNREACHABLE = 3


def is_whole(path: Path, wanted: Wanted) -> bool:
    """Return whether a file is there and is the wanted one."""
    try:
        return path.is_file() and not fault_of(path, wanted)
    except OSError:
        return False


def download(wanted: Wanted, store: Store, progress: Progress | None = None) -> None:
    """Bring one file to its place: from there, from the store, from a mirror or from the network, in this order.

    A transfer that breaks off, or whose process is killed, goes on from its last byte, unless the file has changed at
    its source meanwhile.

    Raises
    ------
    SourceError
        One line with the file, its address and the mend; the address is shown without its query.
    """
    if wanted.pinned and is_whole(wanted.output, wanted):
        return
    with store.only_me(wanted.url):
        kept = store.find(wanted.url, wanted.sha256)
        if kept is None or fault_of(kept, wanted):
            part = store.part(wanted.url)
            _bring(wanted, part, progress)
            today = datetime.datetime.now(datetime.UTC).date().isoformat()
            kept = store.add(part, wanted.url, today, "mirror" if wanted.mirror else "network")
            meta(part).unlink(missing_ok=True)
        place(kept, wanted.output)


def fetch(source: Source, outputs: Mapping[str, Path], store: Store) -> dict[str, dict[str, str]]:
    """Bring things of one source to their places, verified; those that are there and whole stay.

    Parameters
    ----------
    outputs
        What is asked for, and where it shall stand.

    Returns
    -------
    dict
        `Provenance` of each, as a mapping.

    Raises
    ------
    SourceError
        One line with the first that cannot be had and the mend, after all others were tried.
    """
    wanted = (source.wanted(item, path) for item, path in outputs.items())
    download_all(wanted, len(outputs), store, source.name)
    return {item: asdict(provenance(source, item, store)) for item in outputs}


def provenance(source: Source, item: str, store: Store) -> Provenance:
    """Return where a fetched thing is from, as the store has noted it."""
    url = source.wanted(item, Path()).url
    note = store.noted(url)
    return Provenance(
        source=source.name,
        id=item,
        version=source.version,
        date=note.get("date", ""),
        licence=source.licence,
        sha256=note.get("sha256", ""),
        url=shown(url),
        via=note.get("via", ""),
    )


def download_all(wanted: Iterable[Wanted], total: int, store: Store, title: str) -> None:
    """Bring many files, a few at a time; those that come stay, whatever becomes of the others.

    Parameters
    ----------
    wanted
        Consumed as files are finished, so that ten thousand need no more memory than ten.

    Raises
    ------
    SourceError
        After all were tried, with the first reason; earlier where no answer comes at all.
    """
    progress, problems, silent = Progress(title, total), [], 0
    files, running = iter(wanted), dict[Future[None], str]()
    with ThreadPoolExecutor(PARALLEL) as pool:
        while True:
            while len(running) < PARALLEL and silent < UNREACHABLE and (item := next(files, None)):
                running[pool.submit(download, item, store)] = item.name
            if not running:
                break
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for job in done:
                name = running.pop(job)
                try:
                    job.result()
                except SourceError as error:
                    silent = silent + 1 if isinstance(error, UnreachableError) else 0
                    problems.append(str(error))
                    progress.step(name, "did not come")
                    continue
                silent = 0
                progress.step(name, "ok")
    if problems:
        few = len(problems) + total - progress.done
        raise SourceError(problems[0] + (f" ({few} of {total} did not come)" if total > 1 else ""))


def _bring(wanted: Wanted, part: Path, progress: Progress | None) -> None:
    """Transfer and verify; once more from the start where what was joined from several attempts is wrong."""
    joined = _copy(wanted, part) if wanted.mirror else _anywhere(wanted, part, progress)
    fault = fault_of(part, wanted)
    if fault and joined:
        discard(part)
        transfer(wanted, part, progress)
        fault = fault_of(part, wanted)
    if fault:
        discard(part)
        where = (
            f"{wanted.mirror}; copy it there again" if wanted.mirror else shown(wanted.url) + mend_of(wanted)
        )
        raise SourceError(f"{wanted.name}: {fault}, from {where}")


def _anywhere(wanted: Wanted, part: Path, progress: Progress | None) -> bool:
    """Transfer from the first of a file's addresses that gives it."""
    for url in wanted.also:
        try:
            return transfer(wanted, part, progress)
        except UnreachableError:
            raise
        except SourceError as error:
            print(f"{error}; asking {shown(url)}", flush=True)
            wanted = replace(wanted, url=url)
    return transfer(wanted, part, progress)


def _copy(wanted: Wanted, part: Path) -> bool:
    """Copy a file of a mirror; what becomes of it is verified like what comes from the network."""
    assert wanted.mirror is not None
    discard(part)
    try:
        if wanted.mirror.stat().st_size > wanted.most_bytes:
            raise SourceError(f"{wanted.name}: {wanted.mirror} has more than {wanted.most_bytes} bytes")
        part.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(wanted.mirror, part)
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(f"{part}: no space left on the device; make room and rerun") from error
        raise SourceError(
            f"{wanted.name}: {wanted.mirror}: {error.strerror}; complete the mirror, or unset it: then it comes from "
            f"{shown(wanted.url)}"
        ) from error
    return False
