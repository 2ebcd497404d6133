"""The archive: the same bytes whenever it is made, tables and figures rebuilt from it alone, damage named."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pesbench.bundle import SUMS, TOP, unpack, write_bundle
from pesbench.errors import ArchiveError

ARCHIVE = "results/archive/pesbench.tar.gz"


def repack(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> None:
    """Copy an archive, and change members on the way; those that become None are left out."""
    buffer = io.BytesIO()
    with tarfile.open(source) as old, tarfile.open(fileobj=buffer, mode="w") as new:
        for member in old.getmembers():
            file = old.extractfile(member)
            assert file is not None
            data = change(member.name.removeprefix(f"{TOP}/"), file.read())
            if data is not None:
                member.size = len(data)
                new.addfile(member, io.BytesIO(data))
    target.write_bytes(gzip.compress(buffer.getvalue()))


def verify(workflow: Any, archive: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "scripts/verify_archive.py", str(archive)]
    return subprocess.run(
        words, cwd=workflow.root, env=workflow.environment(), capture_output=True, text=True, check=False
    )


def test_an_archive_rebuilds_its_tables_and_figures(finished: Any, tmp_path: Path) -> None:
    finished.succeed(ARCHIVE)
    first = (finished.root / ARCHIVE).read_bytes()
    (finished.root / ARCHIVE).unlink()
    finished.succeed(ARCHIVE)
    assert (finished.root / ARCHIVE).read_bytes() == first
    root = unpack(finished.root / ARCHIVE, tmp_path / "kept")
    for name in (
        "README.md",
        "config.yaml",
        "results/run_config.yaml",
        "environments/driver.txt",
        "Snakefile",
    ):
        assert (root / name).stat().st_size > 50, name
    assert b"mp-30" in (root / "results/surfaces/emt/records.jsonl").read_bytes()
    assert not list(root.rglob("__pycache__")) and not list(root.rglob("journal"))
    done = verify(finished, finished.root / ARCHIVE)
    assert done.returncode == 0, done.stdout + done.stderr
    number = (
        len(list((root / "results/tables").iterdir())) + len(list((root / "results/figures").iterdir())) + 2
    )
    assert f"{number} of {number} files rebuilt with the same bytes" in done.stdout and number > 20
    # A table that its records do not give is found, though its checksum is right.
    forged: dict[str, bytes | Path] = {
        str(p.relative_to(root)): p for p in root.rglob("*") if p.is_file() and p.name != SUMS
    }
    table = "results/tables/deng2025_s1_surfaces.csv"
    forged[table] = (root / table).read_bytes().replace(b",emt,", b",EMT,", 1)
    write_bundle(tmp_path / "forged.tar.gz", forged)
    done = verify(finished, tmp_path / "forged.tar.gz")
    assert done.returncode == 1
    named = done.stderr.splitlines()
    assert any(line.startswith(f"{table}: differs from line ") for line in named), done.stderr
    assert f"{number - 1} of {number} files" in done.stdout


def small(folder: Path) -> Path:
    path = folder / "small.tar.gz"
    write_bundle(path, {"a.txt": b"one\n", "b/c.txt": b"two\n"})
    return path


def test_bytes_do_not_depend_on_order(tmp_path: Path) -> None:
    first = small(tmp_path).read_bytes()
    write_bundle(tmp_path / "again.tar.gz", {"b/c.txt": b"two\n", "a.txt": b"one\n"})
    assert (tmp_path / "again.tar.gz").read_bytes() == first


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("b/c.txt", b"three\n", "damaged: b/c.txt"),
        ("b/c.txt", None, "missing: b/c.txt"),
        (SUMS, b"", "not listed: a.txt, b/c.txt"),
        (SUMS, None, "no pesbench-results/SHA256SUMS in it"),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, data: bytes | None, told: str) -> None:
    repack(small(tmp_path), tmp_path / "bad.tar.gz", lambda n, old: data if n == name else old)
    with pytest.raises(ArchiveError, match=told):
        unpack(tmp_path / "bad.tar.gz", tmp_path / "out")


def test_what_is_cut_short_or_absent_is_said(tmp_path: Path) -> None:
    path = small(tmp_path)
    path.write_bytes(path.read_bytes()[:-40])
    for broken in (path, tmp_path / "nowhere.tar.gz"):
        with pytest.raises(ArchiveError, match="cannot be unpacked"):
            unpack(broken, tmp_path / "out")


def test_a_missing_member_is_named_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="nowhere: not there; run the workflow to its end first"):
        write_bundle(tmp_path / "x.tar.gz", {"a": tmp_path / "nowhere"})
    assert not (tmp_path / "x.tar.gz").exists()
