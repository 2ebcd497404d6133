"""What went wrong with a material is data, kept in its record; with the machine, an error of the job."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from pesbench.errors import (
    CheckpointError,
    ConformanceError,
    DftError,
    DiskFullError,
    RecordError,
    UnwritableError,
)

_MACHINE = (RecordError, DiskFullError, UnwritableError, CheckpointError, ConformanceError, DftError)
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


class Failure(Exception):
    """A material that gave no result, and where on the way; it becomes a record with this status, stage and message."""

    def __init__(self, stage: str, message: str, status: str = "failed") -> None:
        super().__init__(f"{stage}: {message}")
        self.stage, self.message, self.status = stage, message, status


def is_infrastructure(error: BaseException) -> bool:
    """Return whether an error is the machine's (memory, disk, weights) rather than the material's."""
    if isinstance(error, _MACHINE):
        return True
    if isinstance(error, OSError) and error.errno in _DISK:
        return True
    return is_out_of_memory(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory is short, the CPU's or a GPU's."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and "out of memory" in str(error).lower()


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """Turn any error of a material inside this block into a Failure of this stage; the machine's pass through."""
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        if is_infrastructure(error):
            raise
        message = " ".join(str(error).split())
        raise Failure(name, f"{type(error).__name__}: {message}") from error
