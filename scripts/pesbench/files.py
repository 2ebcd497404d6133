"""Write files so that nothing is lost and nothing is half there (standard library only)."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from pesbench.errors import DiskFullError, UnwritableError

#: Errors of a full disk, an exhausted quota, a limit on the size of files.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


#: Errors of a place that may not be written to.
CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextlib.contextmanager
def explained(path: Path, lost: str = "") -> Iterator[None]:
    """Turn the errors of a full disk and of a closed place into one line that names the file and the mend."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(
                f"{path}: no space left on the device{lost}; make room and rerun, every finished material is kept"
            ) from error
        if error.errno in CLOSED:
            raise UnwritableError(
                f"{path}: cannot be written ({error.strerror}){lost}; make the folder writable and rerun"
            ) from error
        raise


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a file so that a reader, or a kill, finds the old one or the new one and nothing between.

    Raises
    ------
    DiskFullError, UnwritableError
        Naming the file and the mend.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as handle:
                handle.write(data.encode() if isinstance(data, str) else data)
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
