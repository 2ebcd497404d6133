"""A real Slurm of one node on this machine, by loopback, from Debian's packages; gone again when it is stopped."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
#: A job step has no SLURM_CONF, so the configuration must be where Slurm looks by itself.
ETC = Path("/etc/slurm")
CONF = """ClusterName=pesbench
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MinJobAge=3600
KillWait=2
SchedulerParameters=sched_min_interval=0,batch_sched_delay=0
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=8000 Gres=gpu:fake:2
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP
"""
GRES = """NodeName={host} Name=gpu Type=fake File=/dev/null
NodeName={host} Name=gpu Type=fake File=/dev/zero
"""


class NoSlurm(Exception):
    """Why there can be no Slurm here."""


def install() -> None:
    """Install Debian's packages where they are missing; NoSlurm, with the reason, where that cannot be."""
    if os.geteuid() != 0:
        raise NoSlurm("starting a Slurm takes root")
    if (ETC / "slurm.conf").exists():
        raise NoSlurm(f"{ETC}/slurm.conf is there already: this machine has a Slurm of its own")
    if all(map(shutil.which, ("slurmctld", "slurmd", "squeue", "munged"))):
        return
    if shutil.which("apt-get") is None:
        raise NoSlurm(f"Debian's packages {' '.join(PACKAGES)} are missing, and there is no apt-get")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(
            ["apt-get", "-qq", *words], env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise NoSlurm(f"apt-get install {' '.join(PACKAGES)} failed: {done.stderr.strip()[-300:]}")


@dataclass
class OneNode:
    """The daemons, by their process ids; nothing else is ever signalled."""

    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    host: str = field(default_factory=lambda: socket.gethostname().partition(".")[0])

    def start(self) -> None:
        """Write the configuration, start munged, slurmctld, slurmd; NoSlurm where the node does not come up."""
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        ETC.mkdir(exist_ok=True)
        for name, text in (("slurm.conf", CONF), ("gres.conf", GRES)):
            (ETC / name).write_text(text.format(host=self.host, folder=self.folder))
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        own = {
            "--key-file": key, "--socket": "munge.socket", "--pid-file": "munged.pid",
            "--seed-file": "munge.seed", "--log-file": "munged.log",
        }  # fmt: skip
        options = [f"{option}={self.folder / value}" for option, value in own.items()]
        self._spawn("munged", "munged", "--foreground", "--force", *options)
        self._wait(lambda: (self.folder / "munge.socket").exists(), "munged has no socket")
        self.start_controller()
        self._spawn("slurmd", "slurmd", "-D", "-N", self.host)
        self._wait(lambda: self.state() == "idle", "the node does not become idle")

    def start_controller(self) -> None:
        """Start slurmctld."""
        self._spawn("slurmctld", "slurmctld", "-D")

    def restart_controller(self, pause_seconds: float) -> None:
        """End slurmctld as an administrator does, and start it again; it goes on from its saved state.

        The node has to register anew (`reconfigure`), or Slurm 22.05 counts the fake GPUs as taken.
        """
        process = self.daemons.pop("slurmctld")
        process.terminate()
        process.wait(timeout=30)
        time.sleep(pause_seconds)
        self.start_controller()
        self._wait(self.state, "slurmctld does not answer")
        self.call("scontrol", "reconfigure")

    def stop(self) -> None:
        """Cancel all jobs, end the daemons, remove the configuration."""
        with contextlib.suppress(Exception):
            self.call("scancel", "--user", "root")
            self._wait(lambda: not self.jobs(), "jobs stay")
        for name in ("slurmd", "slurmctld", "munged"):
            process = self.daemons.pop(name, None)
            if process is not None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=15)
                process.kill()
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).unlink(missing_ok=True)

    def call(self, *words: str) -> str:
        """Run one of Slurm's commands and return what it says."""
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout

    def state(self) -> str:
        """Return the node's state, e.g. idle, mixed, drained; empty where the controller does not answer."""
        with contextlib.suppress(subprocess.SubprocessError):
            return self.call("sinfo", "--noheader", "--format=%T", "--partition=cpu").strip()
        return ""

    def jobs(self, states: str = "PD,R,CG") -> list[str]:
        """Return the ids of jobs in some states."""
        return self.call("squeue", "--noheader", "--format=%i", f"--states={states}").split()

    def ended(self) -> list[str]:
        """Return the states of every job that has ended, as Slurm calls them."""
        return self.call("squeue", "--noheader", "--format=%T", "--states=all").split()

    def _spawn(self, name: str, *words: str) -> None:
        with open(self.folder / f"{name}.out", "ab") as log:
            self.daemons[name] = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)

    def _wait(self, true: Callable[[], object], problem: str, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise NoSlurm(f"{problem}; logs in {self.folder}")
            time.sleep(0.2)
