"""A real Slurm and everything that goes wrong on one: the same table at the end, nothing finished computed again."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
MATERIALS, CHUNK = 12, 3
#: What a site lays over the profile; the README shows the same.
SITE = """default-resources:
  slurm_partition: cpu
  mem_mb: 700
  runtime: 5
  cpus_per_task: 1
set-resources:
  model_chunk:
    slurm_partition: gpu
    gres: "'gpu:1'"
config: ["jobs={device: cpu}"]
latency-wait: 5
slurm-init-seconds-before-status-checks: 2
seconds-between-status-checks: 2
"""
#: How long a material takes, where nothing else is said: long enough to be interrupted.
SECONDS = 1.0

pytestmark = pytest.mark.slurm


def load(path: Path) -> Any:
    """Import a module beside the tests by its path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


one_node, synthetic = load(HERE / "one_node.py"), load(HERE.parent / "scale" / "synthetic.py")


@pytest.fixture(scope="module")
def node() -> Iterator[Any]:
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    made = one_node.OneNode(folder)
    try:
        try:
            one_node.install()
        except one_node.NoSlurm as reason:
            pytest.skip(str(reason))
        try:
            made.start()
            yield made
        except one_node.NoSlurm as reason:
            pytest.skip(str(reason))
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Run:
    """One workflow of made-up materials, driven through Slurm."""

    def __init__(self, root: Path, tempers: dict[int, tuple[float, int]] | None = None, **jobs: int) -> None:
        self.root = root
        self.workflow = synthetic.Synthetic.build(root, 1, MATERIALS, CHUNK)
        tempers = dict.fromkeys(range(MATERIALS), (SECONDS, 0)) | (tempers or {})
        self.workflow.resize(1, MATERIALS, CHUNK, tempers, **{"mem_mb": 700, "runtime_min": 5, **jobs})
        (root / "site").mkdir()
        (root / "site/config.yaml").write_text(SITE)
        self.process: subprocess.Popen[bytes] | None = None

    def words(self, *more: str) -> list[str]:
        snakemake = str(Path(sys.executable).with_name("snakemake"))
        return [snakemake, "--profile", "cluster", "--workflow-profile", "site", *more, synthetic.TARGET]

    def start(self) -> None:
        """Start the driver in a session of its own."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        with open(self.root / "driver.log", "ab") as log:
            self.process = subprocess.Popen(
                self.words(), cwd=self.root, env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def finish(self, seconds: float = 900) -> None:
        """Wait for the driver; it must succeed."""
        assert self.process is not None
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not finished after {seconds} s: {self.log()[-6000:]}") from None
        assert code == 0, self.log()[-6000:]

    def kill(self) -> None:
        """SIGKILL the driver, as a login node that goes down does; its jobs in Slurm live on."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)

    def log(self) -> str:
        return (self.root / "driver.log").read_text()

    def lines(self) -> list[list[str]]:
        """Return material, GPU, Slurm job and batch (atoms) of each start of a material, in order."""
        path = self.root / "calls.log"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def calls(self) -> list[str]:
        """Return the materials that were begun, in order."""
        return [line[0] for line in self.lines()]

    def wait_for(self, true: Callable[[], object], seconds: float = 600) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, self.log()[-6000:]
            assert self.process is None or self.process.poll() in (None, -9), self.log()[-6000:]
            time.sleep(0.2)

    def finished(self) -> list[tuple[str, str]]:
        """Return id and digests of every record of every journal."""
        journals = sorted((self.root / "results/synthetic/emt-0/journal").glob("*.jsonl"))
        lines = [json.loads(line)["record"] for path in journals for line in path.read_text().splitlines()]
        return [(record["id"], json.dumps(record["digests"])) for record in lines]

    def check(self, interrupted: int) -> None:
        """The table is that of an undisturbed run; each material is finished once, and begun once but for the kills."""
        assert (self.root / synthetic.TARGET).read_text() == EXPECTED[0]
        assert set(Counter(self.finished()).values()) == {1} and len(self.finished()) == MATERIALS
        calls = Counter(self.calls())
        assert len(calls) == MATERIALS
        again = sum(calls.values()) - MATERIALS
        assert again <= interrupted, (
            f"{again} materials were begun again, {interrupted} were interrupted: {calls}"
        )


#: The table of an undisturbed run; filled by `reference`.
EXPECTED: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def reference(node: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same workflow, undisturbed, on this machine without Slurm."""
    root = tmp_path_factory.mktemp("local") / "workflow"
    workflow = synthetic.Synthetic.build(root, 1, MATERIALS, CHUNK)
    workflow.call("--quiet", "all")
    EXPECTED.append((root / synthetic.TARGET).read_text())
    assert EXPECTED[0].count(",ok,") == MATERIALS


def test_the_whole_small_workflow_goes_through_slurm(node: Any, workflow: Any, finished_once: Any) -> None:
    """Every rule of the EMT run: proof and chunks in Slurm, the chunks with a GPU; its tables are the local run's."""
    (workflow.root / "site").mkdir()
    (workflow.root / "site/config.yaml").write_text(SITE)
    before = set(node.jobs("all"))
    profiles = ("--profile", "cluster", "--workflow-profile", "site")
    # The profile says how many jobs run at one time.
    words = [word for word in workflow.command(*profiles) if word not in ("--cores", "1")]
    done = subprocess.run(
        words, cwd=workflow.root, env=workflow.environment(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    told = [node.call("scontrol", "show", "job", name) for name in sorted(set(node.jobs("all")) - before)]
    assert len(told) == 3 and all("JobState=COMPLETED" in text for text in told), "one proof, two chunks"
    assert sum("TresPerNode=gres:gpu:1" in text and "Partition=gpu" in text for text in told) == 2
    assert outputs(workflow.root) == outputs(finished_once.root)
    assert (workflow.root / "results/report/index.html").stat().st_size > 100_000


def outputs(root: Path) -> dict[str, bytes]:
    """Return the bytes of every table and figure."""
    paths = [path for name in ("tables", "figures") for path in (root / "results" / name).iterdir()]
    return {path.name: path.read_bytes() for path in paths}


def test_a_run_through_slurm_makes_the_local_table_with_a_gpu_a_job(node: Any, tmp_path: Path) -> None:
    run = Run(tmp_path / "workflow")
    run.start()
    run.wait_for(lambda: run.calls())
    told = node.call("scontrol", "show", "jobs")
    assert "TresPerNode=gres:gpu:1" in told and "Partition=gpu" in told
    words = [sys.executable, "-m", "pesbench", "status"]
    environment = {**os.environ, "PYTHONPATH": "scripts"}
    live = subprocess.run(
        words, cwd=run.root, env=environment, capture_output=True, text=True, check=True
    ).stdout
    line = live.splitlines()[2].split()
    assert line[:2] == ["synthetic", "emt-0"] and int(line[6]) >= 1, f"no job is seen at work: {live}"
    run.finish()
    run.check(interrupted=0)
    gpus = {line[1] for line in run.lines()}
    assert gpus and gpus <= {"0", "1"}, "each job sees the one GPU that Slurm gave it"
    assert list((run.root / "results/logs/slurm").rglob("*.log"))


def test_too_little_memory_is_asked_for_again_with_more(node: Any, tmp_path: Path) -> None:
    """And a model that takes several structures at once takes half as many in the second attempt."""
    run = Run(tmp_path / "workflow", {4: (6.0, 700)})
    one = "return Loaded(evaluate, frozenset(parameters), sum(len(values) for values in parameters.values())"
    loaders = run.root / "scripts/pesbench/models/loaders.py"
    assert loaders.read_text().count(f"{one})") == 1
    many = f"{one}, lambda many: [evaluate(atoms) for atoms in many])"
    loaders.write_text(loaders.read_text().replace(f"{one})", many))
    run.start()
    run.finish()
    run.check(interrupted=2)
    states = Counter(node.ended())
    batches = [line[3] for line in run.lines() if line[0] == "s-000004"]
    assert batches[:2] == ["64", "32"], (
        f"it was never killed ({states}), or its batches not halved: {batches}"
    )


def test_too_little_time_is_asked_for_again_with_more(node: Any, tmp_path: Path) -> None:
    """Slurm counts minutes: three materials of 45 s in one; the second attempt goes on behind the first material."""
    run = Run(tmp_path / "workflow", dict.fromkeys((1, 8, 9), (45.0, 0)), runtime_min=1)
    run.start()
    run.finish()
    run.check(interrupted=3)
    assert "TIMEOUT" in node.ended()


def test_scancel_of_half_the_jobs(node: Any, tmp_path: Path) -> None:
    run = Run(tmp_path / "workflow")
    run.start()
    run.wait_for(lambda: len(node.jobs("R")) >= 2 and run.calls())
    running = node.jobs("R")
    half = running[: (len(running) + 1) // 2]
    node.call("scancel", *half)
    run.finish()
    run.check(interrupted=len(half))


def test_a_drained_node_is_waited_for(node: Any, tmp_path: Path) -> None:
    run = Run(tmp_path / "workflow")
    run.start()
    run.wait_for(lambda: run.calls())
    node.call("scontrol", "update", f"nodename={node.host}", "state=drain", "reason=test")
    run.wait_for(lambda: not node.jobs("R,CG"))
    waiting = len(run.finished())
    time.sleep(4)
    assert len(run.finished()) == waiting < MATERIALS, "nothing runs on a drained node"
    node.call("scontrol", "update", f"nodename={node.host}", "state=resume")
    run.finish()
    run.check(interrupted=0)


def test_slurmctld_may_be_restarted(node: Any, tmp_path: Path) -> None:
    run = Run(tmp_path / "workflow")
    run.start()
    run.wait_for(lambda: run.calls())
    node.restart_controller(pause_seconds=4)
    run.finish()
    run.check(interrupted=0)


def test_a_killed_driver_is_started_again_beside_its_own_jobs(node: Any, tmp_path: Path) -> None:
    run = Run(tmp_path / "workflow")
    run.start()
    run.wait_for(lambda: len(run.finished()) >= 2)
    run.kill()
    subprocess.run(run.words("--unlock"), cwd=run.root, capture_output=True, check=True)
    run.start()
    run.finish()
    run.check(interrupted=0)
