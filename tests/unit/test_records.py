"""Records: nothing finished is lost, nothing corrupt is believed, nothing half is written."""

import fcntl
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pesbench.errors import DiskFullError, RecordError
from pesbench.records import (
    Record,
    append,
    digest,
    file_digest,
    finite,
    from_line,
    merge,
    open_journal,
    read_journal,
    read_records,
    to_line,
    write_atomic,
    write_records,
)

SCRIPTS = Path(__file__).parents[2] / "scripts"
DIGESTS = {"settings": "s1", "checkpoint": "c1", "input": "i1"}


def record(name: str = "mp-30", **changes: Any) -> Record:
    fields: dict[str, Any] = {"benchmark": "surfaces", "model": "emt", "status": "ok", "digests": DIGESTS}
    return Record(
        **(fields | {"id": name, "values": {"gamma_ev_per_ang2": 0.1, "list": [1, None]}} | changes)
    )


def journal_of(path: Path, *records: Record) -> Path:
    """Write a journal and return its path."""
    with open_journal(path) as journal:
        for each in records:
            append(journal, each)
    return path


def run_python(code: str, *arguments: object) -> "subprocess.Popen[str]":
    """Start another interpreter on the package."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(path: Path, seconds: float = 30) -> None:
    """Wait until another process has made a file."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.01)


# One record


def test_round_trip_keeps_every_field() -> None:
    full = record(
        "mp-7000",
        status="failed",
        stage="slab",
        message='a "quoted" line\nand å, 石英',
        wall_seconds=1.25,
        peak_memory_mb=512.5,
        evaluations=7,
        versions={"ase": "3.29.0"},
        values={"x": 0.1 + 0.2, "tiny": 5e-324, "nested": {"miller": [1, 0, -1], "no": None, "yes": True}},
    )
    line = to_line(full)
    assert from_line(line) == full
    assert line.endswith("\n") and line.count("\n") == 1 and line.isascii()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    with pytest.raises(ValueError):
        to_line(record(values={"surfaces": [{"gamma_ev_per_ang2": value}]}))
    assert not finite({"surfaces": [{"gamma_ev_per_ang2": value}]}) and not finite((1.0, value))
    assert finite({"surfaces": [{"gamma_ev_per_ang2": 1e308, "n": 3, "word": "nan"}]})


def test_unknown_status_is_refused() -> None:
    with pytest.raises(RecordError, match="record mp-30: status 'fine' is none of ok, not_converged, failed"):
        record(status="fine")


def test_key_follows_id_and_digests_and_nothing_else() -> None:
    assert record().key == record(wall_seconds=9.0, values={}).key
    others = [record("mp-31").key] + [record(digests=DIGESTS | {k: "x"}).key for k in DIGESTS]
    assert len({record().key, *others}) == 5


def test_digest_is_of_the_value_not_of_its_order(tmp_path: Path) -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1}) != digest({"a": 1, "b": [2, 1]})
    (tmp_path / "one").write_bytes(b"abc")
    assert file_digest(tmp_path / "one") == "ba7816bf8f01cfea"
    assert len(digest(1)) == 16 and digest(1) != digest("1")


def test_every_flipped_bit_is_noticed_or_harmless() -> None:
    """A flip that survives reading must leave the record as it was (1e-05 and 1E-05 are one number)."""
    good = record(values={"x": 1.5, "small": 1e-05, "word": "Cu"})
    line = to_line(good).encode()
    noticed = 0
    for bit in range(8 * (len(line) - 1)):
        flipped = bytearray(line)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            assert from_line(flipped.decode(errors="replace")) == good, bytes(flipped)
        except (ValueError, TypeError):
            noticed += 1
    assert noticed > 8 * (len(line) - 1) - 5


# Journals


def test_journal_keeps_records_in_order(tmp_path: Path) -> None:
    path = journal_of(tmp_path / "deep" / "000.jsonl", record("b"), record("a"))
    journal_of(path, record("c"))
    warnings = io.StringIO()
    assert read_journal(path, warnings) == [record("b"), record("a"), record("c")]
    assert warnings.getvalue() == ""


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "none.jsonl") == []


def test_append_is_on_disk_at_once(tmp_path: Path) -> None:
    with open_journal(tmp_path / "000.jsonl") as journal:
        append(journal, record("a"))
        assert [r.id for r in read_journal(tmp_path / "000.jsonl")] == ["a"]


def test_torn_last_line_is_dropped_and_cut_at_every_length(tmp_path: Path) -> None:
    path = tmp_path / "000.jsonl"
    first, last = to_line(record("a")).encode(), to_line(record("b")).encode()
    for length in range(1, len(last)):
        path.write_bytes(first + last[:length])
        warnings = io.StringIO()
        assert [r.id for r in read_journal(path, warnings)] == ["a"]
        assert "cut short" in warnings.getvalue() and str(path) in warnings.getvalue()
        with open_journal(path) as journal:
            assert path.read_bytes() == first
            append(journal, record("c"))
        assert [r.id for r in read_journal(path, warnings)] == ["a", "c"]


def test_torn_only_line_leaves_an_empty_journal(tmp_path: Path) -> None:
    path = tmp_path / "000.jsonl"
    path.write_bytes(to_line(record("a")).encode()[:20])
    assert read_journal(path, io.StringIO()) == []
    assert [r.id for r in read_journal(journal_of(path, record("b")))] == ["b"]


@pytest.mark.parametrize("damage", [b"x", b"\xff\xfe", b"\x00", b"{}", b""])
def test_corrupt_line_costs_only_its_own_material(tmp_path: Path, damage: bytes) -> None:
    path = journal_of(tmp_path / "000.jsonl", record("a"), record("b"), record("c"))
    lines = path.read_bytes().splitlines()
    lines[1] = damage + lines[1][5:] if damage not in (b"{}", b"") else damage
    path.write_bytes(b"\n".join(lines) + b"\n")
    warnings = io.StringIO()
    assert [r.id for r in read_journal(path, warnings)] == ["a", "c"]
    assert f"{path}, line 2: corrupt record" in warnings.getvalue()
    assert "its material is computed again" in warnings.getvalue() and warnings.getvalue().count("\n") == 1


def test_line_that_was_edited_by_hand_is_not_believed(tmp_path: Path) -> None:
    path = journal_of(tmp_path / "000.jsonl", record("a"))
    path.write_text(path.read_text().replace('"gamma_ev_per_ang2":0.1', '"gamma_ev_per_ang2":0.2'))
    warnings = io.StringIO()
    assert read_journal(path, warnings) == [] and "checksum does not match" in warnings.getvalue()


APPENDER = """
import sys
from pathlib import Path
from pesbench.records import Record, append, open_journal, read_journal
path = Path(sys.argv[1])
with open_journal(path) as journal:
    done = len(read_journal(path))
    while True:
        values = {"x": "y" * (done * 37 % 5000)}
        append(journal, Record(f"m{done:06d}", "surfaces", "emt", "ok", {}, values=values))
        done += 1
"""


def test_kill_at_random_moments_leaves_a_prefix_of_whole_records(tmp_path: Path) -> None:
    path, source, kept = tmp_path / "000.jsonl", random.Random(7), 0
    for _ in range(20):
        size = path.stat().st_size if path.exists() else 0
        child = run_python(APPENDER, path)
        while not path.exists() or path.stat().st_size <= size:
            assert child.poll() is None, child.communicate()[1]
            time.sleep(0.002)
        time.sleep(source.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        warnings = io.StringIO()
        ids = [r.id for r in read_journal(path, warnings)]
        assert ids == [f"m{i:06d}" for i in range(len(ids))] and len(ids) >= kept
        assert "corrupt" not in warnings.getvalue()
        kept = len(ids)
    assert kept >= 20


HOLDER = """
import sys, time
from pathlib import Path
from pesbench.records import Record, append, open_journal
path, name, ready, go = map(Path, sys.argv[1:])
with open_journal(path) as journal:
    ready.touch()
    while not go.exists():
        time.sleep(0.01)
    append(journal, Record(str(name), "surfaces", "emt", "ok", {}))
"""


def test_second_process_waits_for_the_first(tmp_path: Path) -> None:
    path, go = tmp_path / "000.jsonl", tmp_path / "go"
    first = run_python(HOLDER, path, "first", tmp_path / "ready1", go)
    wait_for(tmp_path / "ready1")
    second = run_python(HOLDER, path, "second", tmp_path / "ready2", go)
    assert second.stderr is not None
    assert f"{path}: another process works on this chunk" in second.stderr.readline()
    time.sleep(0.1)
    assert not (tmp_path / "ready2").exists() and second.poll() is None
    go.touch()
    assert (first.wait(30), second.wait(30)) == (0, 0)
    first.communicate(), second.communicate()
    assert [r.id for r in read_journal(path)] == ["first", "second"]


def test_killed_holder_frees_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "000.jsonl"
    holder = run_python(HOLDER, path, "first", tmp_path / "ready", tmp_path / "never")
    wait_for(tmp_path / "ready")
    with path.open("a") as rival, pytest.raises(BlockingIOError):
        fcntl.flock(rival, fcntl.LOCK_EX | fcntl.LOCK_NB)
    holder.kill()
    holder.communicate()
    assert [r.id for r in read_journal(journal_of(path, record("second")))] == ["second"]


# Full disks


def test_full_disk_is_one_message_that_survives_closing_the_journal() -> None:
    with pytest.raises(DiskFullError) as caught, open("/dev/full", "a", encoding="utf-8") as journal:
        append(journal, record("mp-30"))
    message = str(caught.value)
    assert message.startswith("/dev/full: no space left") and "mp-30 was not saved" in message
    assert "make room and rerun" in message and "\n" not in message


FILLER = """
import subprocess, sys
from pathlib import Path
from pesbench.errors import DiskFullError
from pesbench.records import Record, append, open_journal, read_journal
from pesbench.files import write_atomic
disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=True)
def fill(name):
    return Record(name, "surfaces", "emt", "ok", {}, values={"x": "y" * 3000})
(disk / "ballast").write_bytes(b"0" * 100_000)
write_atomic(disk / "table.csv", "old")
done = 0
try:
    with open_journal(disk / "000.jsonl") as journal:
        while True:
            append(journal, fill(f"m{done:03d}"))
            done += 1
except DiskFullError as error:
    print(error)
names = [f"m{i:03d}" for i in range(done + 1)]
assert [r.id for r in read_journal(disk / "000.jsonl")] == names[:-1], "records are lost"
try:
    write_atomic(disk / "table.csv", "n" * 100_000)
except DiskFullError as error:
    print(error)
assert (disk / "table.csv").read_text() == "old", "the old file is lost"
assert sorted(p.name for p in disk.iterdir()) == ["000.jsonl", "ballast", "table.csv"], "a half file is left"
(disk / "ballast").unlink()
with open_journal(disk / "000.jsonl") as journal:
    append(journal, fill(f"m{done:03d}"))
assert [r.id for r in read_journal(disk / "000.jsonl")] == names, "no resume"
print("done", done)
"""


def test_real_full_disk_keeps_every_finished_record(tmp_path: Path) -> None:
    namespace = ["unshare", "--map-root-user", "--mount"]
    try:
        subprocess.run(
            [*namespace, "mount", "-t", "tmpfs", "tmpfs", tmp_path], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a mount namespace of its own")
    done = subprocess.run(
        [*namespace, sys.executable, "-c", FILLER, tmp_path],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    journal, table, count = done.stdout.splitlines()
    assert "000.jsonl: no space left on the device, m" in journal and "table.csv: no space left" in table
    assert int(count.split()[1]) > 20


def test_write_cut_by_the_system_is_finished_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    path = journal_of(tmp_path / "000.jsonl", record("a"), record("b"))
    assert [r.id for r in read_journal(path)] == ["a", "b"]


# Finished files


def test_written_records_are_sorted_and_the_same_bytes(tmp_path: Path) -> None:
    write_records(tmp_path / "one", [record("b"), record("a"), record("c")])
    write_records(tmp_path / "two", [record("c"), record("b"), record("a")])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert read_records(tmp_path / "one") == [record("a"), record("b"), record("c")]


@pytest.mark.parametrize("damage", [b"x", b"\xff"])
def test_corrupt_finished_record_names_file_line_and_mend(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "000.jsonl"
    write_records(path, [record("a"), record("b"), record("c")])
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], lines[1][:50] + damage + lines[1][51:], lines[2]]) + b"\n")
    with pytest.raises(RecordError) as caught:
        read_records(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line 2: corrupt record") and "delete this file and rerun" in message
    assert "\n" not in message


WRITER = """
import sys
from pathlib import Path
from pesbench.files import write_atomic
while True:
    for letter in "ab":
        write_atomic(Path(sys.argv[1]), letter * 1_000_000)
"""


def test_reader_sees_the_old_file_or_the_new_one_even_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "results" / "table.csv"
    for seed in range(3):
        writer = run_python(WRITER, path)
        wait_for(path)
        seen = set()
        for _ in range(20):
            text = path.read_text()
            assert len(text) == 1_000_000 and len(set(text)) == 1
            seen.add(text[0])
            time.sleep(0.003)
        time.sleep(random.Random(seed).uniform(0, 0.02))
        writer.kill()
        writer.communicate()
        text = path.read_text()
        assert len(text) == 1_000_000 and len(set(text)) == 1
        assert seen <= {"a", "b"}


def test_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_atomic(path, "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(DiskFullError, match="no space left"):
            write_atomic(path, "n" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["table.csv"]
    write_atomic(path, "new å")
    assert path.read_text(encoding="utf-8") == "new å" and [p.name for p in tmp_path.iterdir()] == [
        "table.csv"
    ]


# Merging


def chunks(folder: Path, *groups: list[Record]) -> list[Path]:
    """Write chunk records."""
    paths = [folder / f"{i:03d}.jsonl" for i in range(len(groups))]
    for path, group in zip(paths, groups, strict=True):
        write_records(path, group)
    return paths


def test_merge_brings_chunks_together_sorted(tmp_path: Path) -> None:
    failed = record("a", status="failed", digests=DIGESTS | {"input": "other"})
    paths = chunks(tmp_path, [record("c"), record("b")], [failed])
    assert merge(paths, ["c", "a", "b"]) == [failed, record("b"), record("c")]


def refusal(paths: list[Path], expected: list[str]) -> str:
    with pytest.raises(RecordError) as caught:
        merge(paths, expected)
    message = str(caught.value)
    assert message.startswith("cannot merge records") and "\n" not in message
    return message


def test_merge_names_missing_extra_and_doubled_materials(tmp_path: Path) -> None:
    paths = chunks(tmp_path, [record("a"), record("b")], [record("b"), record("c")])
    assert "there twice: b;" in refusal(paths, ["a", "b", "c"])
    assert "missing: d, e;" in refusal(paths[:1], ["a", "b", "d", "e"])
    assert "not asked for: a;" in refusal(paths[:1], ["b"])


@pytest.mark.parametrize("name", ["settings", "checkpoint"])
def test_merge_names_what_was_made_differently(tmp_path: Path, name: str) -> None:
    odd = record("b", digests=DIGESTS | {name: "other"})
    message = refusal(chunks(tmp_path, [record("a")], [odd, record("c")]), ["a", "b", "c"])
    assert f"different {name} (b differ from a)" in message


@pytest.mark.parametrize("change", [{"model": "chgnet-0.3.0"}, {"benchmark": "phonons"}])
def test_merge_refuses_another_model_or_benchmark(tmp_path: Path, change: dict[str, str]) -> None:
    message = refusal(chunks(tmp_path, [record("a")], [record("b", **change)]), ["a", "b"])
    assert "one benchmark and one model" in message


def test_merge_of_ten_thousand_records_is_quick(tmp_path: Path) -> None:
    names = [f"mp-{i}" for i in range(10_000)]
    paths = chunks(tmp_path, [record(name) for name in names])
    started = time.process_time()
    merged = merge(paths, names)
    assert [r.id for r in merged] == sorted(names) and time.process_time() - started < 5


def test_line_is_plain_json_for_other_tools() -> None:
    body = json.loads(to_line(record("mp-30")))
    assert body["record"]["id"] == "mp-30" and len(body["sha256"]) == 64
