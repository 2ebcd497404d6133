"""GPU slots: one job a GPU, the next one waits, a killed job's GPU is free again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pesbench import gpus

ROOT = Path(__file__).resolve().parents[2]
HOLD = """
import os, sys, time
from pesbench.gpus import own_gpu
with own_gpu("cuda") as name:
    print(name, os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
    time.sleep(float(sys.argv[1]))
"""


def start(folder: Path, seconds: float, visible: str = "0,1") -> subprocess.Popen[str]:
    extra = {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT / "scripts"), "CUDA_VISIBLE_DEVICES": visible}
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(seconds)],
        env={**os.environ, **extra}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_each_job_sees_one_gpu_of_its_own(tmp_path: Path) -> None:
    first, second = start(tmp_path, 30), start(tmp_path, 30)
    try:
        assert sorted([said(first), said(second)]) == ["0 0", "1 1"]
        third = start(tmp_path, 0)
        assert third.stderr is not None
        assert "all 2 GPUs are held by other jobs" in third.stderr.readline()
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert said(third) in ("0 0", "1 1")
        assert third.wait(timeout=20) == 0
    finally:
        for process in (first, second):
            process.kill()
            process.wait()


def test_the_proof_of_a_model_takes_a_gpu_too(tmp_path: Path) -> None:
    """It waits where all are held, and goes on with the first that is free."""
    holders = [start(tmp_path, 60), start(tmp_path, 60)]
    try:
        assert sorted(map(said, holders)) == ["0 0", "1 1"]
        words = ["scripts/check_conformance.py", "emt", str(tmp_path / "emt.json"), "--device", "auto"]
        extra = {"TMPDIR": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0,1"}
        proof = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, env={**os.environ, **extra}, stderr=subprocess.PIPE, text=True
        )
        assert proof.stderr is not None
        assert "all 2 GPUs are held by other jobs" in proof.stderr.readline()
        assert not (tmp_path / "emt.json").exists()
        holders[1].kill()
        assert proof.wait(timeout=60) == 0 and (tmp_path / "emt.json").exists()
    finally:
        for process in holders:
            process.kill()
            process.wait()


@pytest.mark.parametrize(("device", "names"), [("cpu", ["0", "1"]), ("cuda", ["3"]), ("cuda", [])])
def test_nothing_is_chosen_where_there_is_no_choice(
    device: str, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "as it was")
    with gpus.own_gpu(device, names) as name:
        assert name == "" and os.environ["CUDA_VISIBLE_DEVICES"] == "as it was"


def test_what_is_visible_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0, GPU-1f")
    assert gpus.visible_gpus() == ["0", "GPU-1f"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus.visible_gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", "/nonexistent")
    started = time.monotonic()
    assert gpus.visible_gpus() == [] and time.monotonic() - started < 1
