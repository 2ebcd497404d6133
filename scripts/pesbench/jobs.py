"""One job: a model is loaded once, runs through a chunk of materials, and each is committed as it is finished."""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO

from pesbench.config import benchmark_module
from pesbench.failures import Failure, stage
from pesbench.files import write_atomic
from pesbench.naming import chunk_records, journal_of, kept_file
from pesbench.packages import package_versions
from pesbench.records import (
    Record,
    append,
    bytes_digest,
    canonical,
    digest,
    file_digest,
    finite,
    open_journal,
    read_journal,
    write_records,
)

if TYPE_CHECKING:
    from pesbench.models.loaders import Model
    from pesbench.models.registry import ModelEntry


@dataclass(frozen=True)
class Job:
    """Everything that one job needs to know; JSON on its command line.

    Attributes
    ----------
    structures
        Material id -> structure file.
    settings
        The benchmark's settings, resolved.
    """

    benchmark: str
    model: str
    structures: dict[str, str]
    settings: dict[str, Any]
    device: str = "cpu"
    threads: int = 1


@dataclass
class OnFile:
    """A reference in the place of a model: nothing is evaluated, the forces are in the structure's own file."""

    dtype: str = "float64"
    checkpoint_sha256: str = "none"
    options: dict[str, Any] = field(default_factory=dict)
    calculator: None = None
    evaluations: int = 0
    seconds: float = 0.0


def settings_digest(job: Job, entry: ModelEntry | OnFile, module: ModuleType) -> str:
    """Return the digest of a job's settings; the protocol version counts among them."""
    return digest(
        {
            "protocol": module.PROTOCOL,
            "settings": job.settings,
            "dtype": entry.dtype,
            "options": dict(entry.options),
        }
    )


def digests_of(
    job: Job, entry: ModelEntry | OnFile, module: ModuleType, material: str, task: Any
) -> dict[str, str]:
    """Return the digests of everything that one material's values depend on.

    The structure file and the benchmark's task for it are the input. A database may have no file of a material.
    """
    path = Path(job.structures[material])
    absent = isinstance(entry, OnFile) and not path.exists()
    return {
        "settings": settings_digest(job, entry, module),
        "checkpoint": entry.checkpoint_sha256,
        "input": digest(["absent" if absent else file_digest(path), task]),
    }


def evaluate(
    job: Job,
    module: ModuleType,
    material: str,
    task: Any,
    model: Model | OnFile,
    digests: dict[str, str],
    output: Path,
) -> Record:
    """Run one material through a benchmark; a failure of the material is a record too.

    What the benchmark returns under ``files`` (bytes by suffix) is kept beside the records before this returns.

    Raises
    ------
    Exception
        Only the machine's own failures: memory, disk, weights.
    """
    started, evaluations, seconds = time.monotonic(), model.evaluations, model.seconds
    status, where, message, values = "ok", "", "", {}
    files: dict[str, bytes] = {}
    try:
        with stage("run"):
            values = module.run(
                Path(job.structures[material]),
                task,
                model.calculator,
                module.Settings(**job.settings),
            )
            status, message = values.pop("status", "ok"), values.pop("message", "")
            files = {f"{material}{suffix}": data for suffix, data in values.pop("files", {}).items()}
            if not finite(values):
                raise Failure("run", "a result is not a finite number")
            canonical(values)  # what cannot be written is this material's failure, not the chunk's
    except Failure as failure:
        status, where, message, values, files = failure.status, failure.stage, failure.message, {}, {}
    for name, data in files.items():
        write_atomic(Path(kept_file(str(output), name)), data)
    return Record(
        id=material,
        benchmark=job.benchmark,
        model=job.model,
        status=status,
        stage=where,
        message=message,
        values=values,
        files={name: bytes_digest(data) for name, data in files.items()},
        digests=digests,
        wall_seconds=round(time.monotonic() - started, 3),
        peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        model_seconds=round(model.seconds - seconds, 3),
        evaluations=model.evaluations - evaluations,
        versions=package_versions(),
    )


def finished(output: Path, wanted: dict[str, dict[str, str]]) -> dict[str, Record]:
    """Return what any earlier job of this benchmark and model finished with exactly the digests that are wanted.

    Every journal of the model is read, so that materials are found again after the chunks changed. A record whose
    kept files are gone or damaged does not count.
    """
    journals = sorted(Path(journal_of(str(output))).parent.glob("*.jsonl"))
    keys = {(material, digest(digests)) for material, digests in wanted.items()}
    records: dict[str, Record] = {}
    for path in journals:
        # Another job may just be writing its own journal: only this chunk's damage is worth a word.
        warn = sys.stderr if path.stem == output.stem else io.StringIO()
        records |= {r.id: r for r in read_journal(path, warn) if r.key in keys}
    return {name: record for name, record in records.items() if _files_stand(record, output)}


def _files_stand(record: Record, output: Path) -> bool:
    paths = {Path(kept_file(str(output), name)): wanted for name, wanted in record.files.items()}
    return all(path.is_file() and file_digest(path) == wanted for path, wanted in paths.items())


def records_at_hand(job: Job, entry: ModelEntry | OnFile) -> list[Record]:
    """Return what any run, finished or cut short, has left for a benchmark and model, with the settings of ``job``."""
    module = benchmark_module(job.benchmark)
    tasks = module.tasks(Path(module.MANIFEST))
    there = [material for material, path in job.structures.items() if Path(path).exists()]
    wanted = {m: digests_of(job, entry, module, m, tasks.get(m)) for m in there}
    any_chunk = Path(chunk_records(job.benchmark, job.model, "any"))
    return sorted(finished(any_chunk, wanted).values(), key=lambda record: record.id)


def run_job(
    job: Job,
    entry: ModelEntry | OnFile,
    load: Callable[[], Model | OnFile],
    output: Path,
    progress: TextIO = sys.stderr,
) -> None:
    """Run one chunk to its end, going on where an earlier attempt was killed.

    Parameters
    ----------
    load
        Loads the model; called only when a material is left to do.
    output
        Records, written once all materials are there: ``.jsonl``, or ``.json`` for people, of one material.
    progress
        Gets one line a finished material, with the time left.
    """
    module = benchmark_module(job.benchmark)
    # The tasks are read once: whoever edits the manifest meanwhile does not change this job.
    tasks = module.tasks(Path(module.MANIFEST))
    wanted = {m: digests_of(job, entry, module, m, tasks.get(m)) for m in sorted(job.structures)}
    with open_journal(Path(journal_of(str(output)))) as journal:
        done = finished(output, wanted)
        todo = [material for material in wanted if material not in done]
        if done:
            print(
                f"{job.model} {job.benchmark} {output.stem}: {len(done)} of {len(wanted)} already done",
                file=progress,
            )
        model = load() if todo else None
        report = Progress(
            job, output.stem, len(wanted), len(done), module.costs(Path(module.MANIFEST)), todo, progress
        )
        for material in todo:
            assert model is not None
            record = evaluate(job, module, material, tasks.get(material), model, wanted[material], output)
            append(journal, record)
            done[material] = record
            report.finished(record)
        if output.suffix == ".json":
            [record] = done.values()
            write_atomic(output, json.dumps(asdict(record), indent=1) + "\n")
        else:
            write_records(output, done.values())


class Progress:
    """One line a finished material: a bar, what happened, and the time left by the cost of what is left."""

    def __init__(
        self,
        job: Job,
        chunk: str,
        total: int,
        done: int,
        costs: dict[str, float],
        todo: list[str],
        stream: TextIO,
    ) -> None:
        self.title = f"{job.benchmark} {job.model} {chunk}"
        self.total, self.done, self.stream = total, done, stream
        self.costs = {material: costs.get(material, 1.0) for material in todo}
        self.spent, self.left = 0.0, sum(self.costs.values())
        self.started = time.monotonic()

    def finished(self, record: Record) -> None:
        """Print the line of one finished material."""
        self.done += 1
        self.spent += self.costs[record.id]
        self.left -= self.costs[record.id]
        eta = (time.monotonic() - self.started) * self.left / self.spent
        bar = "#" * round(20 * self.done / self.total)
        where = f"{record.stage}: " if record.stage else ""
        note = "ok" if record.status == "ok" else f"{record.status} ({where}{record.message})"
        print(
            f"{self.title} [{bar:.<20}] {self.done}/{self.total} {record.id} {note}, "
            f"{record.wall_seconds:.1f} s, {int(eta // 60)}:{int(eta % 60):02d} left",
            file=self.stream,
            flush=True,
        )
