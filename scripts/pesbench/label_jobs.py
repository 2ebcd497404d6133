"""From the records of a sampling to labelled frames, or to the decks of a DFT code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pesbench.dft.label import check_ready
from pesbench.dft.result import read_frame
from pesbench.dft.settings import DftSettings
from pesbench.dft.vasp import write_deck
from pesbench.errors import RecordError
from pesbench.files import write_atomic
from pesbench.jobs import Job, OnFile, run_job
from pesbench.naming import dft_folder, kept_file
from pesbench.records import bytes_digest, read_records


def frames_of(sampled: Path) -> dict[str, str]:
    """Return frame id -> file for every frame that a sampling left; a failed trajectory left none.

    Raises
    ------
    RecordError
        A frame is gone, or is not the one that was sampled.
    """
    found: dict[str, str] = {}
    for record in read_records(sampled):
        for name, wanted in record.files.items():
            path = Path(kept_file(str(sampled), name))
            if not path.is_file() or bytes_digest(path.read_bytes()) != wanted:
                raise RecordError(f"{path}: is not the frame that was sampled; delete {sampled} and rerun")
            found[name.removesuffix(".extxyz")] = str(path)
    return found


def label_frames(job: Job, sampled: Path, records: Path, frames: Path) -> None:
    """Label every frame of a sampling, each committed as it is finished; then gather the labels that converged.

    Parameters
    ----------
    job
        Without structures.
    sampled
        Records of the sampling.
    records, frames
        Written at the end: one record a frame, and the frames that got a label as extended XYZ.

    Raises
    ------
    DftError
        The code is not there.
    """
    job = replace(job, structures=frames_of(sampled))

    def load() -> OnFile:
        check_ready(DftSettings(**job.settings))
        return OnFile()

    run_job(job, OnFile(), load, records)
    labelled = [Path(kept_file(str(records), name)) for r in read_records(records) for name in r.files]
    write_atomic(frames, b"".join(path.read_bytes() for path in labelled))


def write_decks(settings: DftSettings, sampled: Path, listing: Path) -> None:
    """Write the deck of every frame of a sampling; ``listing`` says where, and what is still to be put there."""
    lines = []
    for name, path in sorted(frames_of(sampled).items()):
        atoms = read_frame(Path(path))
        folder = Path(dft_folder("vasp", name))
        ready = write_deck(atoms, settings, folder)
        lines.append(f"{folder} {'complete' if ready else 'needs the POTCAR that POTCAR.spec lists'}\n")
    write_atomic(listing, "".join(lines))
