"""Write files so that nothing is lost and nothing is half there (standard library only)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from pesbench.errors import DiskFullError

#: Errors of a full disk, an exhausted quota, a limit on the size of files.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_atomic(path: Path, data: str | bytes) -> None:
    """Write a file so that a reader, or a kill, finds the old one or the new one and nothing between.

    Raises
    ------
    DiskFullError
        Naming the file and the mend.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as handle:
            handle.write(data.encode() if isinstance(data, str) else data)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno not in FULL:
            raise
        raise DiskFullError(f"{path}: no space left on the device; make room and rerun") from error
