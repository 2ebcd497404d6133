"""Records: one JSON line a material, appended as soon as it is finished, so that a kill loses only the one in progress.

A line carries its own checksum. A *journal* is what a job appends to; it survives kills and is read again by
whichever job needs its materials next. *Chunk records* and *merged records* are workflow outputs: complete, sorted,
written at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from pesbench.errors import RecordError
from pesbench.files import explained, write_atomic

STATUSES = ("ok", "not_converged", "failed")


def digest(value: object) -> str:
    """Return the sha256 of a value's canonical JSON (16 hex digits): equal values, equal digests."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def bytes_digest(data: bytes) -> str:
    """Return the sha256 of bytes (16 hex digits)."""
    return hashlib.sha256(data).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """Return the sha256 of a file's bytes (16 hex digits)."""
    return bytes_digest(path.read_bytes())


def canonical(value: object) -> str:
    """Return JSON with sorted keys and no spaces; NaN and infinity are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Record:
    """What one model gave for one material.

    Attributes
    ----------
    id
        Material id.
    status
        ``ok``, ``not_converged`` (a relaxation hit its step limit) or ``failed``; ``stage`` and ``message`` say where
        and why.
    values
        The benchmark's results, units in the names.
    files
        Files kept beside the records (`naming.kept_file`) and the sha256 heads of their bytes.
    digests
        sha256 heads of all that the values depend on: ``settings`` (with the protocol version), ``checkpoint``,
        ``input``.
    """

    id: str
    benchmark: str
    model: str
    status: str
    digests: dict[str, str]
    stage: str = ""
    message: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    wall_seconds: float = 0.0
    model_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    evaluations: int = 0
    versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise RecordError(f"record {self.id}: status '{self.status}' is none of {', '.join(STATUSES)}")

    @property
    def key(self) -> tuple[str, str]:
        """Identity for resuming: material id and digest of everything that the values depend on."""
        return self.id, digest(self.digests)


def to_line(record: Record) -> str:
    """Serialise a record to one line that carries its own checksum."""
    body = canonical(asdict(record))
    return canonical({"record": json.loads(body), "sha256": hashlib.sha256(body.encode()).hexdigest()}) + "\n"


def from_line(line: str) -> Record:
    """Read one line back; ValueError where it is not JSON, lacks fields, or does not match its checksum."""
    wrapped = json.loads(line)
    if not isinstance(wrapped, dict) or set(wrapped) != {"record", "sha256"}:
        raise ValueError("not a record")
    if hashlib.sha256(canonical(wrapped["record"]).encode()).hexdigest() != wrapped["sha256"]:
        raise ValueError("its checksum does not match")
    return Record(**wrapped["record"])


def finite(value: object) -> bool:
    """Return whether a nested value holds no NaN and no infinity."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(finite(v) for v in value.values())
    if isinstance(value, list | tuple):
        return all(finite(v) for v in value)
    return True


def read_records(path: Path) -> list[Record]:
    """Read a finished file of records.

    Raises
    ------
    RecordError
        Naming the file and the line of the first corrupt record, and the mend.
    """
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        try:
            records.append(from_line(line))
        except (ValueError, TypeError) as error:
            raise RecordError(
                f"{path}, line {number}: corrupt record ({error}); delete this file and rerun, nothing else is lost"
            ) from error
    return records


def read_journal(path: Path, warn: TextIO = sys.stderr) -> list[Record]:
    """Read what an earlier job finished; a corrupt line costs its own material and a warning, nothing else.

    The last line may be torn by a kill: it is dropped, and its material computed again.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    torn, records = lines.pop(), []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(from_line(line))
        except (ValueError, TypeError) as error:
            print(
                f"{path}, line {number}: corrupt record ({error}); its material is computed again", file=warn
            )
    if torn:
        print(f"{path}: the last record was cut short by a kill; its material is computed again", file=warn)
    return records


@contextlib.contextmanager
def open_journal(path: Path, warn: TextIO = sys.stderr) -> Iterator[TextIO]:
    """Open a journal for appending, alone: a second job on the same chunk waits for the first.

    A torn last line is cut off, so that the next record starts on a line of its own.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = open(path, "a+b")  # noqa: SIM115 (closed by the block below)
    with raw:
        try:
            fcntl.flock(raw, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{path}: another process works on this chunk, waiting for it", file=warn, flush=True)
            fcntl.flock(raw, fcntl.LOCK_EX)
        raw.seek(0)
        content = raw.read()
        raw.truncate(content.rfind(b"\n") + 1)
        with open(path, "a", encoding="utf-8") as journal:
            yield journal


def append(journal: TextIO, record: Record) -> None:
    """Commit one record: written whole and synced to disk before this returns.

    Raises
    ------
    DiskFullError, UnwritableError
        Naming the file and the mend.
    """
    line = to_line(record).encode()
    with explained(Path(journal.name), lost=f", {record.id} was not saved"):
        # Past the stream's buffer: what a full disk leaves in it is an error again when the journal closes.
        while line:
            line = line[os.write(journal.fileno(), line) :]
        os.fsync(journal.fileno())


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write finished records, sorted by id, in one go."""
    write_atomic(path, "".join(to_line(r) for r in sorted(records, key=lambda r: r.id)))


def merge(paths: Iterable[Path], expected: Iterable[str]) -> list[Record]:
    """Bring the chunks of one model together, strictly.

    Parameters
    ----------
    paths
        Chunk records of one benchmark and one model.
    expected
        Ids that must be there, each exactly once.

    Raises
    ------
    RecordError
        Naming every missing, extra or doubled material, or the settings that do not agree.
    """
    records = [record for path in paths for record in read_records(path)]
    found, wanted = [r.id for r in records], set(expected)
    doubled = sorted(i for i, count in Counter(found).items() if count > 1)
    problems = {
        "missing": sorted(wanted - set(found)),
        "not asked for": sorted(set(found) - wanted),
        "there twice": doubled,
    }
    for what, ids in problems.items():
        if ids:
            raise RecordError(
                f"cannot merge records, {what}: {', '.join(ids)}; rerun with --forcerun on the chunk rule"
            )
    for name in ("settings", "checkpoint"):
        kinds = {r.digests.get(name) for r in records}
        if len(kinds) > 1:
            odd = {r.id for r in records if r.digests.get(name) != records[0].digests.get(name)}
            raise RecordError(
                f"cannot merge records made with different {name} "
                f"({', '.join(sorted(odd))} differ from {records[0].id}); "
                "rerun with --forcerun on the chunk rule"
            )
    if len({(r.benchmark, r.model) for r in records}) > 1:
        mixed = sorted({f"{r.benchmark} {r.model}" for r in records})
        raise RecordError(
            f"cannot merge records of {', '.join(mixed)}: one benchmark and one model at a time"
        )
    return sorted(records, key=lambda r: r.id)
