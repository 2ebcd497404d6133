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
    from pesbench.records import Record


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
    """Return what sampling and labelling left to say: states that were lost, and how the labels were converged."""
    found = [record for path in records for record in read_records(path)]
    labels = [record for record in found if record.benchmark == "labels"]
    lost = [record for record in labels if record.status != "ok"]
    notes = [
        f"No states of {record.model}: {record.message}."
        for record in found
        if record.benchmark == "sampling" and record.status != "ok"
    ]
    if lost:
        first = f"{lost[0].id}: {lost[0].message}"
        notes.append(f"{len(lost)} of {len(labels)} frames got no label from {request.mode}; {first}.")
    return notes + [_converged(record) for record in labels if record.status == "ok"][:1]


def _converged(record: Record) -> str:
    """Return how the electrons of one label were converged; those of the same check are alike."""
    evidence = record.values.get("evidence", {})
    code, mesh = str(evidence.get("code", "DFT")).upper(), "x".join(map(str, evidence.get("kpoint_mesh", ())))
    return (
        f"{code} labels: cutoff {evidence.get('cutoff_ev')} eV, mesh {mesh}, smearing "
        f"{evidence.get('smearing_ev')} eV, {evidence.get('scf_steps')} electronic steps ({record.id}). Whether that "
        "is converged for this material is not tested: a finer mesh on one frame tells."
    )
