"""Read compressed files and archives that others wrote: in memory, within bounds, nothing of them executed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection
from pathlib import Path, PurePosixPath
from typing import IO, Any

import yaml

from pesbench.errors import PesbenchError

#: Bounds against decompression bombs. The largest archive of PhononDB's 597 holds 4 MB, its largest member 3.9 MB.
MOST_BYTES = 128 * 2**20
MOST_MEMBER_BYTES = 64 * 2**20
MOST_MEMBERS = 1000
OPENERS: dict[str, Callable[..., IO[Any]]] = {
    ".xz": lzma.open,
    ".lzma": lzma.open,
    ".bz2": bz2.open,
    ".gz": gzip.open,
}
#: First bytes of the same kinds, for a file whose name says nothing: one that is still being verified.
MAGIC = {b"\xfd7zXZ\0": ".xz", b"\x5d\0\0": ".lzma", b"BZh": ".bz2", b"\x1f\x8b": ".gz"}
#: At the start of a YAML node: an anchor or an alias.
ANCHOR = re.compile(rb"(?:^|[\s\[{,:-])[&*]\w", re.MULTILINE)
SAFE_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ArchiveError(PesbenchError):
    """A compressed file or archive is corrupt, incomplete or too large."""


def read_bounded(path: Path, most_bytes: int | None = None) -> bytes:
    """Return a file's content, decompressed where its suffix, or its first bytes, say that it is compressed.

    Raises
    ------
    ArchiveError
        One line with the file and the mend: unreadable, truncated, corrupt, or beyond ``most_bytes`` (``MOST_BYTES``).
    """
    most_bytes = most_bytes or MOST_BYTES
    try:
        with _opener(path)(path, "rb") as handle:
            data: bytes = handle.read(most_bytes + 1)
    except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
        raise ArchiveError(f"{path}: is truncated or corrupt ({_line(error)}); fetch it again") from error
    except OSError as error:
        raise ArchiveError(f"{path}: cannot be read ({_line(error)}); fetch it again") from error
    if len(data) > most_bytes:
        raise ArchiveError(f"{path}: holds more than {most_bytes} bytes; that is more than such a file has")
    return data


def _opener(path: Path) -> Callable[..., IO[Any]]:
    """Return what opens a file, decompressed."""
    if path.suffix in OPENERS:
        return OPENERS[path.suffix]
    with path.open("rb") as handle:
        start = handle.read(6)
    return next((OPENERS[suffix] for magic, suffix in MAGIC.items() if start.startswith(magic)), open)


def read_zipped(path: Path, name: str, most_bytes: int | None = None) -> bytes:
    """Return one member of a zip archive, decompressed where its suffix says so; nothing reaches the disk.

    Parameters
    ----------
    name
        Of the member, folders before it ignored.

    Raises
    ------
    ArchiveError
        No such member or two, corrupt, truncated, encrypted, or beyond ``most_bytes`` (``MOST_BYTES``).
    """
    most_bytes = most_bytes or MOST_BYTES
    try:
        with zipfile.ZipFile(path) as archive:
            found = [member for member in archive.infolist() if PurePosixPath(member.filename).name == name]
            if len(found) != 1 or len(archive.infolist()) > MOST_MEMBERS:
                raise ArchiveError(f"{path}: holds {name} {len(found)} times, not once; fetch it again")
            with archive.open(found[0]) as member:
                opener = OPENERS.get(PurePosixPath(name).suffix)
                data: bytes = (opener(member) if opener else member).read(most_bytes + 1)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError) as error:
        raise ArchiveError(f"{path}: is truncated or corrupt ({_line(error)}); fetch it again") from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or an unknown compression
        raise ArchiveError(f"{path}: cannot be unpacked ({_line(error)}); fetch it again") from error
    if len(data) > most_bytes:
        raise ArchiveError(
            f"{path}: {name} holds more than {most_bytes} bytes; that is more than such a file has"
        )
    return data


def read_members(path: Path, names: Collection[str]) -> dict[str, bytes]:
    """Return those regular files of a compressed tar archive whose base name is wanted; nothing reaches the disk.

    Links, devices and sparse files are passed over, folders in the names of the members are ignored.

    Parameters
    ----------
    path
        Archive; the suffix states the compression.
    names
        Base names to look for; one that the archive does not hold is absent from the result.

    Raises
    ------
    ArchiveError
        Corrupt or truncated, too many or too large members, or two members of one wanted name.
    """
    found: dict[str, bytes] = {}
    data = read_bounded(path)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for count, member in enumerate(archive):
                name = PurePosixPath(member.name).name
                if count >= MOST_MEMBERS or member.size > MOST_MEMBER_BYTES:
                    raise ArchiveError(f"{path}: {name} is beyond the bounds of an archive of one material")
                if name not in names or not member.isfile() or member.issparse():
                    continue
                if name in found:
                    raise ArchiveError(f"{path}: holds {name} twice; one archive is one material")
                content = archive.extractfile(member)
                assert content is not None  # of a regular file there is always one
                found[name] = content.read()
    except tarfile.TarError as error:
        raise ArchiveError(f"{path}: is truncated or corrupt ({_line(error)}); fetch it again") from error
    return found


def safe_yaml(raw: bytes) -> Any:
    """Parse YAML that makes no objects and holds no anchors: nested ones would make a small file a huge one.

    Raises
    ------
    ValueError, yaml.YAMLError
        Anchors, tags of objects, or no YAML.
    """
    if ANCHOR.search(raw):
        raise ValueError("it holds anchors, which phonopy never writes")
    return yaml.load(raw, Loader=SAFE_LOADER)


def _line(error: BaseException) -> str:
    """Return an error's own words on one line."""
    return " ".join(str(error).split()) or type(error).__name__
