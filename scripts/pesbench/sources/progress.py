"""How far a fetch is, in lines that a log can keep (standard library only)."""

from __future__ import annotations

import sys
import threading
import time

#: Of one file's growth a line every so often; files below this size are not worth one.
SECONDS_BETWEEN_LINES = 5.0
WORTH_A_LINE_BYTES = 8 * 2**20


class Progress:
    """A bar, what came last, and the time left; used by several threads."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.done = title, total, 0
        self.started = time.monotonic()
        self._lock, self._last = threading.Lock(), self.started
        self._from: dict[str, tuple[float, int]] = {}

    def step(self, name: str, note: str) -> None:
        """Say that one of the files is finished."""
        with self._lock:
            self.done += 1
            eta = (time.monotonic() - self.started) * (self.total - self.done) / self.done
            self._print(self.done / max(self.total, 1), f"{self.done}/{self.total} {name} {note}", eta)

    def amount(self, name: str, have: int, length: int) -> None:
        """Say how much of one large file is there; ``length`` is 0 where the server does not say."""
        now = time.monotonic()
        with self._lock:
            since, before = self._from.setdefault(name, (now, have))
            if length < WORTH_A_LINE_BYTES or now - self._last < SECONDS_BETWEEN_LINES:
                return
            self._last = now
            eta = (now - since) * (length - have) / max(have - before, 1)
            self._print(have / length, f"{name} {have / 1e6:.1f} of {length / 1e6:.1f} MB", eta)

    def _print(self, share: float, what: str, eta_seconds: float) -> None:
        bar = "#" * round(20 * min(share, 1.0))
        left = f"{int(eta_seconds // 60)}:{int(eta_seconds % 60):02d} left"
        print(f"{self.title} [{bar:.<20}] {what}, {left}", file=sys.stdout, flush=True)
