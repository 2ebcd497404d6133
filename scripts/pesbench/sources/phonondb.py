"""Fetch archives of PhononDB's release of 2018-04-17, from its copy on GitHub or from a local mirror.

The database: A. Togo, phonon database at Kyoto University, CC BY 4.0. A mirror may have packed the files anew, hence
what is compared is the content of those that are used.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import requests

from pesbench.errors import PesbenchError, SourceError
from pesbench.files import write_atomic
from pesbench.sources.archives import read_members
from pesbench.sources.phonon_files import MEMBERS

#: github.com/WMD-group/phononDB, the commit with the archives.
COMMIT = "880b9dee82003fed6915d45907b31511cf6df388"
BASE_URL = f"https://raw.githubusercontent.com/WMD-group/phononDB/{COMMIT}/phonon_db_tarred"
MIRROR_FOLDER = "phonondb/archives"
ATTEMPTS = 5
#: Archives fetched at a time.
PARALLEL = 4
BACKOFF_SECONDS = 1.0
TIMEOUT_SECONDS = 30
TRANSIENT = (429, 500, 502, 503, 504)
MOST_DOWNLOAD_BYTES = 64 * 2**20
PIECE_BYTES = 4096  # what a download that breaks off may lose at its end
OFFLINE = (
    "set PESBENCH_MIRROR to a folder that holds phonondb/archives, or run the target fetch_inputs on a machine "
    "with network and the same results folder"
)


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


def fetch(
    material: str,
    line: Mapping[str, str],
    output: Path,
    mirror: Path | None = None,
    base_url: str = BASE_URL,
) -> None:
    """Bring one archive to ``output``, whole and verified, or not at all.

    Parameters
    ----------
    material
        Materials Project id.
    line
        The material's line of data/manifests/phonons.csv: ``archive`` and ``content_sha256`` are used.
    output
        File to write. Beside it a download that was cut off is kept, and goes on from where it ended.
    mirror
        Folder with ``phonondb/archives/<mp-id>.tar.xz``; None: the network.

    Raises
    ------
    SourceError
        One line that names the material, where the archive was looked for, and the mend.
    """
    if mirror is not None:
        source = mirror / MIRROR_FOLDER / f"{material}.tar.xz"
        if not source.is_file():
            raise SourceError(
                f"{material}: no {source}; mend PESBENCH_MIRROR, or unset it to use the network"
            )
        _verify(material, source, line["content_sha256"], f"{source}; copy it there again")
        write_atomic(output, source.read_bytes())
        return
    url = archive_url(material, line["archive"], base_url)
    partial = output.with_name(f".part-{output.name}")
    partial.parent.mkdir(parents=True, exist_ok=True)
    _download(material, url, partial)
    try:
        _verify(material, partial, line["content_sha256"], f"{url}; a proxy may stand between, rerun")
        write_atomic(output, partial.read_bytes())
    finally:
        partial.unlink(missing_ok=True)


def fetch_all(
    wanted: Mapping[str, Mapping[str, str]], mirror: Path | None = None, base_url: str = BASE_URL
) -> None:
    """Bring archives that are not there yet, a few at a time, and say how far it is.

    Parameters
    ----------
    wanted
        File to write -> the material's line of the manifest.

    Raises
    ------
    SourceError
        Of the first archive that cannot be had, after all others were tried: those that came stay.
    """
    missing = {
        Path(path): line for path, line in wanted.items() if not _is_whole(Path(path), line["content_sha256"])
    }
    problems = []
    with ThreadPoolExecutor(PARALLEL) as pool:
        jobs = {
            pool.submit(fetch, line["mp_id"], line, path, mirror, base_url): line["mp_id"]
            for path, line in missing.items()
        }
        for number, job in enumerate(as_completed(jobs), start=1):
            try:
                job.result()
                print(f"archive {number}/{len(jobs)}: {jobs[job]}", flush=True)
            except SourceError as error:
                problems.append(error)
    if problems:
        raise SourceError(f"{problems[0]} ({len(problems)} of {len(wanted)} archives did not come)")


def _is_whole(path: Path, expected: str) -> bool:
    try:
        return path.is_file() and content_sha256(path) == expected
    except PesbenchError:
        return False


def _verify(material: str, path: Path, expected: str, where: str) -> None:
    try:
        found = content_sha256(path)
    except PesbenchError as error:
        raise SourceError(f"{material}: no readable archive came from {where}") from error
    if found != expected:
        raise SourceError(
            f"{material}: other content (sha256 {found[:12]}) than the manifest pins ({expected[:12]}) from {where}"
        )


def _download(material: str, url: str, partial: Path) -> None:
    """Fetch to ``partial``; every further attempt goes on where the last one was cut off."""
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(BACKOFF_SECONDS * 2 ** (attempt - 1))
        try:
            status = _attempt(url, partial)
        except requests.RequestException as error:
            reason = type(error).__name__
            continue
        if status in (200, 206):
            return
        if status not in TRANSIENT and status != 416:
            raise SourceError(
                f"{material}: {url} answered HTTP {status}; check `archive` in data/manifests/phonons.csv"
            )
        reason = f"HTTP {status}"
    raise SourceError(f"{material}: no archive from {url} in {ATTEMPTS} attempts ({reason}); {OFFLINE}")


def _attempt(url: str, partial: Path) -> int:
    """Append what is still missing to ``partial``, and return the HTTP status."""
    have = partial.stat().st_size if partial.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as answer:
        if answer.status_code == 416:  # nothing is missing, or the part is of something else
            partial.unlink()
        if answer.status_code not in (200, 206):
            return answer.status_code
        with open(partial, "ab" if answer.status_code == 206 else "wb") as handle:
            for piece in answer.iter_content(PIECE_BYTES):
                handle.write(piece)
                if handle.tell() > MOST_DOWNLOAD_BYTES:
                    partial.unlink()
                    raise requests.RequestException("more bytes than an archive has")
    return answer.status_code
