"""One archive of a finished run that stands by itself: the same run gives the same bytes.

In it: tables, figures, ledger, records and the files kept with them, the configuration as it was resolved, frozen
environments, and the code and the facts (data/) that make the tables from the records, under ``SHA256SUMS``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from pesbench.errors import ArchiveError
from pesbench.files import write_atomic
from pesbench.naming import kept_file
from pesbench.records import read_records

SUMS = "SHA256SUMS"
TOP = "pesbench-results"
#: What the tables are made with, from the repository's folder.
CODE = ("Snakefile", "rules", "scripts", "envs", "data", "LICENSE", "CITATION.cff")
README = """# Results of pesbench

{what}

- `results/tables`, `results/figures`, `results/claims.json`: what was rebuilt, beside what was published.
- `results/<benchmark>/<model>/records.jsonl`: one line a material, with status, values, digests and cost; `files/`
  beside it holds what was kept with them.
- `results/run_config.yaml`: the configuration as it was resolved; `config.yaml`: the same, to run it again.
- `results/conformance`: the proof that each model gave its pinned numbers; `environments/`: installed packages.
- `SHA256SUMS`: checksums of all other files (`sha256sum --check SHA256SUMS`).

To rebuild tables and figures from the records and compare them byte by byte: in a checkout of pesbench,

    make verify ARCHIVE=<this file>

Published values: see the first lines of `data/published/*.csv`. Licence of the code: `LICENSE`.
"""


def as_config(run_config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resolved configuration in the form of config.yaml."""

    def flat(part: Any) -> Any:
        if not isinstance(part, Mapping) or "settings" not in part:
            return part
        return {**{key: value for key, value in part.items() if key != "settings"}, **part["settings"]}

    benchmarks = {name: flat(part) for name, part in run_config["benchmarks"].items()}
    return {**{name: flat(part) for name, part in run_config.items()}, "benchmarks": benchmarks}


def kept_files(records: Path) -> list[Path]:
    """Return the files that the records of one model name."""
    names = [name for record in read_records(records) for name in record.files]
    return [Path(kept_file(str(records.parent / "chunks" / "any"), name)) for name in sorted(names)]


def code_files(root: Path) -> list[Path]:
    """Return what `CODE` names, without what Python leaves behind; relative to ``root``."""
    found: list[Path] = []
    for name in CODE:
        path = root / name
        inside = path.rglob("*") if path.is_dir() else [path]
        found += [p for p in inside if p.is_file() and "__pycache__" not in p.parts]
    return sorted(p.relative_to(root) for p in found if not p.name.startswith("."))


def write_bundle(output: Path, members: Mapping[str, bytes | Path]) -> None:
    """Write an archive whose bytes depend on the members' names and bytes alone.

    Parameters
    ----------
    members
        Content, or the file that has it, by name in the archive; ``SHA256SUMS`` is added.

    Raises
    ------
    ArchiveError
        Naming a member that is not there.
    """
    missing = [str(p) for p in members.values() if isinstance(p, Path) and not p.is_file()]
    if missing:
        raise ArchiveError(
            f"cannot archive {', '.join(missing)}: not there; run the workflow to its end first"
        )
    contents = {
        name: part if isinstance(part, bytes) else part.read_bytes() for name, part in sorted(members.items())
    }
    contents[SUMS] = "".join(f"{_sha256(data)}  {name}\n" for name, data in contents.items()).encode()
    buffer = io.BytesIO()
    # No time, no name, no owner: what differs from machine to machine stays out.
    with (
        gzip.GzipFile("", "wb", 9, buffer, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, data in contents.items():
            member = tarfile.TarInfo(f"{TOP}/{name}")
            member.size, member.mode = len(data), 0o644
            archive.addfile(member, io.BytesIO(data))
    write_atomic(output, buffer.getvalue())


def _write_member(packed: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Write one file of an archive; Python 3.11 before .4 has no filter that keeps links and paths inside."""
    parts = PurePosixPath(member.name).parts
    if not member.isfile() or parts[0] != TOP or ".." in parts:
        raise tarfile.TarError(f"{member.name} is no file below {TOP}/")
    content, path = packed.extractfile(member), folder / member.name
    assert content is not None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.read())


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive of `write_bundle`, and check every file in it; return the folder with the run.

    Raises
    ------
    ArchiveError
        Naming every file that is damaged, missing or not listed, or why the archive cannot be read.
    """
    try:
        with tarfile.open(archive, "r:gz") as packed:
            for member in packed:
                _write_member(packed, member, folder)
    except (OSError, EOFError, tarfile.TarError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
        raise ArchiveError(f"{archive}: cannot be unpacked ({error}); fetch it again") from error
    root = folder / TOP
    if not (root / SUMS).is_file():
        raise ArchiveError(f"{archive}: no {TOP}/{SUMS} in it; not an archive of make archive")
    lines = (root / SUMS).read_text(encoding="utf-8").splitlines()
    listed = {name: wanted for wanted, _, name in (line.partition("  ") for line in lines)}
    there = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()} - {SUMS}
    problems = {
        "missing": sorted(listed.keys() - there),
        "not listed": sorted(there - listed.keys()),
        "damaged": sorted(n for n in listed.keys() & there if _sha256((root / n).read_bytes()) != listed[n]),
    }
    told = [f"{what}: {', '.join(names)}" for what, names in problems.items() if names]
    if told:
        raise ArchiveError(f"{archive}: {'; '.join(told)}")
    return root


def differing(first: Path, second: Path, names: Iterable[str]) -> list[str]:
    """Return which of the named files are not the same bytes below two folders, or not there, and how."""
    found = []
    for name in names:
        one, other = first / name, second / name
        if not other.is_file():
            found.append(f"{name}: was not rebuilt")
        elif one.read_bytes() != other.read_bytes():
            found.append(f"{name}: differs{_where(one.read_bytes(), other.read_bytes())}")
    return found


def _where(one: bytes, other: bytes) -> str:
    """Return the first line that differs, for text."""
    if b"\0" in one[:1000]:
        return ""
    pairs = zip(one.split(b"\n"), other.split(b"\n"), strict=False)
    number = next((n for n, (a, b) in enumerate(pairs, start=1) if a != b), None)
    return f" from line {number} on" if number else " in length"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
