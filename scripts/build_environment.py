"""Build one family's environment from its pins: build_environment.py FAMILY TARGET_DIR OK_FILE.

Standard library only, so the system's Python can run it. Plain pip: the user's pip configuration holds.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

PYTHON = (3, 11)
# Pins whose own requirements are wrong or out of date: `# no-deps: NAME==VERSION`, a comment to pip.
NO_DEPS = re.compile(r"^# no-deps: (\S+)$", flags=re.MULTILINE)
# Patterns in pip's output, and what to do about them; the first that matches counts.
MENDS = (
    (r"No space left on device", "the disk is full: free some space, or put TARGET_DIR on another disk"),
    (
        r"Temporary failure in name|Connection|timed out|ProxyError|SSLError",
        "pip cannot reach its package index: check the network and `pip config list`",
    ),
    (
        r"cannot find -l(xc|openblas|fftw3)|xc\.h: No such|command 'g\+\+' failed: No such file",
        "it is compiled here and lacks a compiler or a library: apt-get install g++ python3-dev libxc-dev "
        "libopenblas-dev libfftw3-dev",
    ),
    (r"requires a different Python", "use Python 3.11"),
    (
        r"from versions: none",
        "pip's index lacks this package or is out of reach: check the network and `pip config list`",
    ),
    (r"No matching distribution", "pip's index lacks this version, or has no wheel of it for this machine"),
    (r"ResolutionImpossible|conflicting dependencies", "the pins contradict each other: see the log"),
)
PACKAGES = (
    r"No matching distribution found for (\S+)",
    r"Failed (?:to build|building wheel for) '?([^\s']+)",
    r"Cannot install (\S+)",
    r"^(\S+) \S+ (?:requires|has requirement) ",
    r"Collecting (\S+)",
)


class BuildError(Exception):
    """The environment could not be built; the message says why and what to do."""


def explain(output: str) -> str:
    """Return one line from pip's output: which package failed, and the mend."""
    found = (re.findall(pattern, output, flags=re.MULTILINE) for pattern in PACKAGES)
    package = next((names[-1] for names in found if names), "a package")
    for pattern, mend in MENDS:
        if re.search(pattern, output):
            return f"{package} could not be installed; {mend}"
    reasons = re.findall(r"^ERROR: (.+)$", output, flags=re.MULTILINE)
    return f"{package} could not be installed: {reasons[0] if reasons else 'the log says why'}"


def lock(path: Path) -> TextIO:
    """Wait until nobody builds here, and keep others out while the returned file is open.

    The commands inherit it: the pip of a build that was killed keeps its successor waiting until it ends.
    """
    stream = path.open("w")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"another build of this environment is running; waiting for it ({path})", flush=True)
        fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError as error:
        print(
            f"{path}: no locks on this file system ({error.strerror}): one build at a time", file=sys.stderr
        )
    return stream


def run(command: Sequence[str | Path], log: Path, held: TextIO) -> str:
    """Run a command, append what it says to ``log`` as it comes, return it; BuildError when it fails."""
    words = [str(part) for part in command]
    said = []
    try:
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, pass_fds=[held.fileno()]
        )
    except OSError as error:
        raise BuildError(f"{words[0]} does not start: {error}") from error
    with process, log.open("a", encoding="utf-8") as stream:
        print("$", *words, file=stream, flush=True)
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            print(line, end="", file=stream, flush=True)
    if process.returncode:
        raise BuildError(explain("".join(said)))
    return "".join(said)


def build(family: str, pins: Path, target: Path, ok_file: Path, log: Path) -> None:
    """Make ``target`` a fresh environment with exactly ``pins``; write its freeze to ``ok_file`` last.

    A half-built environment has no ``ok_file``, so a killed build starts over: nothing of it is trusted.

    Raises
    ------
    BuildError
        When Python does not fit, or a package cannot be installed.
    """
    if sys.version_info[:2] != PYTHON:
        found = ".".join(map(str, sys.version_info[:3]))
        raise BuildError(f"this is Python {found}; use 3.11: python3.11 scripts/build_environment.py ...")
    if not pins.is_file():
        known = ", ".join(sorted(path.stem for path in pins.parent.glob("*.txt")))
        raise BuildError(f"{pins} does not exist; the families are: {known}")
    if target.exists() and any(target.iterdir()) and not (target / "pyvenv.cfg").is_file():
        raise BuildError(f"{target} is not empty and no virtual environment: name another directory")
    for folder in (ok_file.parent, log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with lock(ok_file.with_name(ok_file.name + ".lock")) as held:
        ok_file.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        if target.exists():
            shutil.rmtree(target)
        print(f"{family}: building {target} from {pins}; it takes minutes (log: {log})", flush=True)
        python = target / "bin" / "python"
        run([sys.executable, "-m", "venv", target], log, held)
        # What is compiled from source finds its settings here; GPAW is, and this is its own variable.
        if (siteconfig := pins.with_suffix(".siteconfig.py")).is_file():
            os.environ["GPAW_CONFIG"] = str(siteconfig.resolve())
        run([python, "-m", "pip", "install", "--no-input", "-r", pins], log, held)
        run([python, "-m", "pip", "check"], log, held)
        alone = NO_DEPS.findall(pins.read_text(encoding="utf-8"))
        if alone:
            run([python, "-m", "pip", "install", "--no-input", "--no-deps", *alone], log, held)
        freeze = run([python, "-m", "pip", "freeze"], log, held)
        partial = ok_file.with_name(ok_file.name + ".part")
        partial.write_text(freeze, encoding="utf-8")
        partial.replace(ok_file)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build one environment; 0 when it is there, 1 with one line on standard error when not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("family", help="name of a file envs/FAMILY.txt")
    parser.add_argument("target", type=Path, help="directory of the environment; replaced when it exists")
    parser.add_argument("ok_file", type=Path, help="written last: the freeze of the finished environment")
    parser.add_argument("--pins", type=Path, help="pinned requirements (default: envs/FAMILY.txt)")
    parser.add_argument("--log", type=Path, help="pip's output (default: OK_FILE with the suffix .log)")
    args = parser.parse_args(arguments)
    pins = args.pins or Path(__file__).resolve().parent.parent / "envs" / f"{args.family}.txt"
    log = args.log or args.ok_file.with_suffix(".log")
    try:
        build(args.family, pins, args.target, args.ok_file, log)
    except (BuildError, OSError) as error:
        kept = f" (log: {log})" if log.is_file() else ""
        print(f"environment {args.family}: {error}{kept}", file=sys.stderr)
        return 1
    print(f"{args.family}: ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
