"""States of a user's material: brought together from their samplings, with labels or without."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pesbench.dft.result import read_frame
from pesbench.errors import PesbenchError
from pesbench.files import write_atomic
from pesbench.label_jobs import frames_of
from pesbench.records import read_records

if TYPE_CHECKING:
    from pesbench.check.request import Request


def gather_sampled(sampled: Sequence[Path], output: Path, name: str) -> None:
    """Write the frames of several samplings into one file, each under its id.

    Raises
    ------
    PesbenchError
        No sampling left a frame.
    """
    from ase.io import write

    text = io.StringIO()
    for records in sampled:
        for frame, path in sorted(frames_of(records).items()):
            atoms = read_frame(Path(path))
            atoms.info = {"frame_id": frame, "material": name}
            write(text, atoms, format="extxyz", columns=["symbols", "positions"])
    if not text.getvalue():
        raise PesbenchError(f"{name}: no state could be sampled; {_failures(sampled)}")
    write_atomic(output, text.getvalue())


def gather_labelled(labelled: Sequence[Path], output: Path, name: str) -> None:
    """Write the labelled frames of several samplings into one file.

    Raises
    ------
    PesbenchError
        Not a single frame got a label.
    """
    data = b"".join(path.read_bytes() for path in labelled)
    if not data:
        records = [path.parent / "chunks" / f"{path.stem}.jsonl" for path in labelled]
        raise PesbenchError(f"{name}: no frame got a label; {_failures(records)}")
    write_atomic(output, data)


def _failures(files: Sequence[Path]) -> str:
    """Return the first failure that some records tell."""
    told = [f"{r.id}: {r.message}" for path in files for r in read_records(path) if r.status != "ok"]
    return told[0] if told else "the records hold nothing"


def labelling_notes(request: Request, records: Sequence[Path]) -> list[str]:
    """Return what labelling left to say: frames without a label, and how much forces still moved."""
    found = [record for path in records for record in read_records(path)]
    lost = [record for record in found if record.status != "ok"]
    if not lost:
        return []
    return [
        f"{len(lost)} of {len(found)} frames got no label from {request.mode}; {lost[0].id}: {lost[0].message}"
    ]
