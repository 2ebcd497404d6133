"""What every thin script does first: write to its log, and show a user's error as one line."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from pesbench.errors import PesbenchError


@contextlib.contextmanager
def logged(log: str) -> Iterator[None]:
    """Append prints to ``log``; end with one line, not a traceback, on an error that a user can mend."""
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as handle:
        try:
            with contextlib.redirect_stdout(handle):
                yield
        except PesbenchError as error:
            print(f"error: {error}", file=handle)
            sys.exit(f"error: {error}")
        except BaseException:
            traceback.print_exc(file=handle)
            raise
