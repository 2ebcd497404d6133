"""Building an environment: from a folder of wheels made here, so that no network is needed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/build_environment.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_environment", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build_environment = load()


def make_wheel(folder: Path, name: str, version: str, requires: str = "") -> None:
    """A wheel with one empty module."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {requires}\n" if requires else ""
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(path, text)


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pins of one made-up family, whose two packages lie on disk; pip looks nowhere else."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    make_wheel(wheels, "alpha", "1.0", "beta>=2")
    make_wheel(wheels, "beta", "2.0")
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    path = tmp_path / "toy.txt"
    path.write_text("# a toy\nalpha==1.0\nbeta==2.0\n")
    return path


def run(pins: Path, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    folder = pins.parent
    words = [python, SCRIPT, "toy", folder / "venv", folder / "toy.ok", "--pins", pins]
    return subprocess.run([str(word) for word in words], capture_output=True, text=True)


def test_builds_and_rebuilds(pins: Path) -> None:
    ok, venv = pins.parent / "toy.ok", pins.parent / "venv"
    done = run(pins)
    assert done.returncode == 0, done.stderr
    assert ok.read_text() == "alpha==1.0\nbeta==2.0\n"
    assert "pip check" in (pins.parent / "toy.log").read_text()
    subprocess.run([venv / "bin/python", "-c", "import alpha, beta"], check=True)
    # a build that was killed: no ok file, and an environment that lacks something and has something else
    ok.unlink()
    next(venv.glob("lib/*/site-packages/beta.py")).unlink()
    (venv / "left_over").write_text("x")
    assert run(pins).returncode == 0
    assert ok.is_file() and not (venv / "left_over").exists()
    subprocess.run([venv / "bin/python", "-c", "import alpha, beta"], check=True)
    # a failing rebuild takes the ok file away: the environment is not what the pins say
    pins.write_text("alpha==1.0\nbeta==3.0\n")
    failed = run(pins)
    assert failed.returncode == 1 and not ok.exists()
    assert failed.stderr.count("\n") == 1
    assert "beta==3.0 could not be installed; pip's index lacks this version" in failed.stderr
    assert "No matching distribution" in (pins.parent / "toy.log").read_text()


def test_killed_build_starts_over(pins: Path) -> None:
    folder = pins.parent
    words = [sys.executable, SCRIPT, "toy", folder / "venv", folder / "toy.ok", "--pins", pins]
    build = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL)
    while not (folder / "venv/pyvenv.cfg").exists():
        assert build.poll() is None
        time.sleep(0.01)
    build.kill()
    build.wait()
    assert not (folder / "toy.ok").exists()
    done = run(pins)  # waits for what the killed build had started
    assert done.returncode == 0, done.stderr
    assert (folder / "toy.ok").read_text() == "alpha==1.0\nbeta==2.0\n"


def test_never_touches_a_directory_that_is_no_environment(pins: Path) -> None:
    folder = pins.parent / "venv"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    done = run(pins)
    assert done.returncode == 1 and "is not empty and no virtual environment" in done.stderr
    assert (folder / "thesis.tex").exists()


def test_unknown_family(tmp_path: Path) -> None:
    words = [sys.executable, str(SCRIPT), "chgnt", str(tmp_path / "v"), str(tmp_path / "ok")]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 1
    assert "the families are: chgnet, driver" in done.stderr


def test_another_python(
    pins: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build_environment.sys, "version_info", (3, 9, 2))
    folder = pins.parent
    assert build_environment.main(["toy", str(folder / "v"), str(folder / "ok"), "--pins", str(pins)]) == 1
    assert "this is Python 3.9.2; use 3.11" in capsys.readouterr().err
    assert not (folder / "v").exists()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            "Collecting torch==2.13.0\nERROR: Could not install packages due to an OSError: "
            "[Errno 28] No space left on device\n",
            "torch==2.13.0 could not be installed; the disk is full",
        ),
        (
            "WARNING: Retrying ... Temporary failure in name resolution\n"
            "ERROR: Could not find a version that satisfies ase==3.29.0 (from versions: none)\n"
            "ERROR: No matching distribution found for ase==3.29.0\n",
            "ase==3.29.0 could not be installed; pip cannot reach its package index",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement asee==1 (from versions: none)\n"
            "ERROR: No matching distribution found for asee==1\n",
            "asee==1 could not be installed; pip's index lacks this package or is out of reach",
        ),
        (
            "Collecting a\nERROR: Failed building wheel for nvidia-ml-py3\n",
            "nvidia-ml-py3 could not be installed: Failed building wheel for nvidia-ml-py3",
        ),
        (
            "ERROR: Cannot install a==1 and b==2 because they have conflicting dependencies.\n",
            "a==1 could not be installed; the pins contradict each other",
        ),
        (
            "sevenn 0.13.0 requires e3nn, which is not installed.\n",
            "sevenn could not be installed: the log says why",
        ),
    ],
)
def test_explains_pips_output(output: str, message: str) -> None:
    assert build_environment.explain(output).startswith(message)


def test_what_contradicts_the_rest_is_installed_alone(pins: Path) -> None:
    make_wheel(pins.parent / "wheels", "gamma", "3.0", "beta<2")
    pins.write_text(pins.read_text() + "# gamma asks for an old beta\n# no-deps: gamma==3.0\n")
    done = run(pins)
    assert done.returncode == 0, done.stderr
    assert (pins.parent / "toy.ok").read_text() == "alpha==1.0\nbeta==2.0\ngamma==3.0\n"
    subprocess.run([pins.parent / "venv/bin/python", "-c", "import gamma"], check=True)


@pytest.mark.parametrize("family", ["m3gnet", "matgl-dgl", "matgl-train", "mattersim"])
def test_conda_installs_alone_what_pip_does(family: str) -> None:
    envs = SCRIPT.parent.parent / "envs"
    alone = build_environment.NO_DEPS.findall((envs / f"{family}.txt").read_text())
    script = (envs / f"{family}.post-deploy.sh").read_text()
    assert alone and script.endswith(f"install --no-deps {' '.join(alone)}\n")


@pytest.mark.parametrize(
    "family", ["driver", "chgnet", "sevennet", "m3gnet", "matgl-dgl", "matgl-train", "mace", "mattersim"]
)
def test_pins_are_complete_and_portable(family: str) -> None:
    envs = SCRIPT.parent.parent / "envs"
    lines = [line for line in (envs / f"{family}.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(line.count("==") == 1 and "+" not in line and "@" not in line for line in lines)
    assert any(line.startswith("torch==") for line in lines) == (family not in ("driver", "m3gnet"))
    assert {"pytest", "PyYAML", "ase", "pymatgen", "pandas", "rich"} <= {
        line.split("==")[0] for line in lines
    }
    assert f"- -r {family}.txt" in (envs / f"{family}.yaml").read_text()
