"""A GPU for each job on a workstation with several: the first free one, held by a lock for as long as the job lives."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

VISIBLE = "CUDA_VISIBLE_DEVICES"
WAIT_SECONDS = 1.0


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use: what CUDA_VISIBLE_DEVICES lists, else what the driver does."""
    if VISIBLE in os.environ:
        return [name.strip() for name in os.environ[VISIBLE].split(",") if name.strip()]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return listed.stdout.split()


@contextlib.contextmanager
def own_gpu(device: str, names: Sequence[str] | None = None, log: TextIO = sys.stderr) -> Iterator[str]:
    """Show this process one GPU that no other job of this user holds, for as long as the block lasts.

    Nothing happens on a CPU, and where there is but one GPU to see: a cluster has chosen it already.

    Parameters
    ----------
    device
        ``cpu``, ``cuda`` or ``auto``.
    names
        GPUs to choose from; `visible_gpus` by default.

    Yields
    ------
    str
        The GPU's index or UUID; empty where none was chosen. Call it before CUDA is started.
    """
    found = [] if device == "cpu" else list(visible_gpus() if names is None else names)
    if len(found) < 2:
        yield ""
        return
    with contextlib.ExitStack() as held:
        name, handle = _free(found, log)
        held.enter_context(handle)
        os.environ[VISIBLE] = name
        yield name


def _free(names: Sequence[str], log: TextIO) -> tuple[str, TextIO]:
    """Wait for a free GPU; the kernel frees the lock of a job that was killed."""
    folder = Path(tempfile.gettempdir(), f"pesbench-gpus-{getpass.getuser()}")
    folder.mkdir(exist_ok=True)
    said = False
    while True:
        for name in names:
            handle = open(folder / name.replace("/", "_"), "w")  # noqa: SIM115 (it outlives this function)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return name, handle
            except BlockingIOError:
                handle.close()
        if not said:
            print(f"all {len(names)} GPUs are held by other jobs, waiting for one", file=log, flush=True)
            said = True
        time.sleep(WAIT_SECONDS)
