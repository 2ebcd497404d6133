"""Shared by the tests: the published table, planted runs, and the whole workflow in a copy."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import pandas as pd

    from pesbench.report.page import ReportInputs

DATA = Path(__file__).parents[1] / "data"
NOT_RUN = "mp-19079"
NOT_CONVERGED = {"chgnet-0.3.0": {5, 60}, "sevennet-0": {30}}
FAILED = {"chgnet-0.3.0": {9}, "sevennet-0": set()}
HOSTILE = '<script>alert("x")</script> & <b>bold</b>'


@pytest.fixture
def published() -> pd.DataFrame:
    """Supplementary Table I of Deng et al. as transcribed."""
    from pesbench.tables import read_published

    return read_published(DATA / "published" / "deng2025_s1_surfaces.csv")


@pytest.fixture
def runs(published: pd.DataFrame) -> pd.DataFrame:
    """Our tidy table, planted: chgnet-0.3.0 within 3 % of the paper (one row 12 % off), and sevennet-0."""
    import pandas as pd

    lines = [
        _line(row, model) for model in ("chgnet-0.3.0", "sevennet-0") for row in published.to_dict("records")
    ]
    return pd.DataFrame(lines)


def _line(row: dict[str, Any], model: str) -> dict[str, Any]:
    number, dft = row["row"], row["dft_ev_per_ang2"]
    paper = row["chgnet_ev_per_ang2"] if model == "chgnet-0.3.0" else float("nan")
    factor = 1.12 if number == 20 else 1 + 0.009 * (number % 7 - 3)
    gamma = paper * factor if model == "chgnet-0.3.0" else dft * (0.7 + number / 1000)
    status = (
        "not_converged" if number in NOT_CONVERGED[model] else "failed" if number in FAILED[model] else "ok"
    )
    status = "not_run" if row["mp_id"] == NOT_RUN else status
    gamma = gamma if status in ("ok", "not_converged") else float("nan")
    return {
        **{name: row[name] for name in ("row", "mp_id", "formula", "miller")},
        "termination": "t1",
        "model": model,
        "gamma_ev_per_ang2": gamma,
        "published_ev_per_ang2": paper,
        "dft_ev_per_ang2": dft,
        "status": status,
        "relative_difference": gamma / paper - 1,
        "candidates": 2,
        "explanation": "other termination" if number == 20 else "",
        "level_of_theory": "PBE+U (MP)",
        "settings_digest": "0123456789abcdef",
        "checkpoint_sha256": "d14ab7c0f093efe6",
        "record": "" if status == "not_run" else f"results/surfaces/{model}/records.jsonl#{row['mp_id']}",
    }


@pytest.fixture
def report_inputs(runs: pd.DataFrame, tmp_path: Path) -> ReportInputs:
    """Everything that a run leaves behind, some of it hostile."""
    from pesbench.files import write_atomic as write
    from pesbench.report.page import ReportInputs
    from pesbench.tables import PAPER_TABLES, tidy_csv

    table = tmp_path / "tables" / "deng2025_s1_surfaces.csv"
    write(table, tidy_csv(runs))
    claims, config, jobs = tmp_path / "claims.json", tmp_path / "run_config.yaml", tmp_path / "benchmarks"
    write(claims, json.dumps(_claims()))
    write(config, f"models: [chgnet-0.3.0, sevennet-0]\nreference: published\nnote: '{HOSTILE}'\n")
    write(
        jobs / "surfaces" / "chgnet-0.3.0.tsv", "s\tmax_rss\tmean_load\tcpu_time\n93.25\t812.5\t98.5\t91.75\n"
    )
    write(jobs / "report.tsv", "s\tmax_rss\n1\t1\n")
    freeze, conformance = tmp_path / "chgnet.txt", tmp_path / "conformance.json"
    write(freeze, "chgnet==0.4.2\n")
    worst = {
        "quantity": "stress_gpa",
        "structure": "NaCl",
        "off_by": 2.5e-6,
        "tolerance": 1e-3,
        "passed": True,
    }
    write(conformance, json.dumps({"passed": True, "worst": worst}))
    return ReportInputs(
        published={name: DATA / "published" / f"{name}.csv" for name in PAPER_TABLES},
        tables={"deng2025_s1_surfaces": table},
        records={model: _records(runs, model, tmp_path) for model in ("chgnet-0.3.0", "sevennet-0")},
        conformance={"chgnet-0.3.0": conformance},
        environments={"chgnet": freeze},
        claims=claims,
        run_config=config,
        models=DATA / "models.yaml",
        benchmarks=jobs,
    )


def _claims() -> list[dict[str, Any]]:
    claim = {"paper": "deng2025", "place": "Fig. 2a", "unit": "eV/Å²", "tolerance": 0.0005, "n_total": 147}
    mae = {
        "id": "mae-chgnet",
        "claim": f"MAE of CHGNet {HOSTILE}",
        "models": ["chgnet-0.3.0"],
        "published": 0.042,
    }
    found = {
        "from_published_table": 0.0419394,
        "from_our_runs": 0.0423456,
        "n_ours": 139,
        "verdict": "reproduced",
    }
    count = {"id": "defects", "claim": "134 defects", "published": 134, "from_published_table": 129}
    return [
        {**claim, **mae, **found},
        {**claim, **count, "verdict": "contradiction", "note": "the text says 129"},
    ]


def _records(runs: pd.DataFrame, model: str, folder: Path) -> Path:
    """Write one record a material, as a job would; a failed bulk relaxation has no surfaces."""
    from pesbench.records import Record, write_records

    records = []
    for number, (material, rows) in enumerate(runs[runs["model"] == model].groupby("mp_id")):
        if material == NOT_RUN:
            continue
        parts = [_part(line) for line in rows.to_dict("records")]
        status = next((s for s in ("failed", "not_converged") if s in {p["status"] for p in parts}), "ok")
        records.append(
            Record(
                id=str(material),
                benchmark="surfaces",
                model=model,
                status=status,
                digests={"settings": "0123456789abcdef", "checkpoint": "d14ab7c0f093efe6", "input": "99"},
                values={"bulk": {"energy_ev_per_atom": -4.25 - number}, "surfaces": parts},
                wall_seconds=11.5 + number,
                peak_memory_mb=700.0 + number,
                evaluations=100 + number,
                versions={"torch": "2.13.0"},
            )
        )
    bulk = Record(
        "mp-1", "surfaces", model, "failed", {"settings": "0"}, stage="bulk relaxation", message=HOSTILE
    )
    path = folder / model / "records.jsonl"
    write_records(path, [*records, bulk])
    return path


def _part(line: dict[str, Any]) -> dict[str, Any]:
    gamma = line["gamma_ev_per_ang2"]
    messages = {"not_converged": "fmax 0.081 eV/A after 500 steps", "failed": "the forces are not finite"}
    return {
        "miller": json.loads(line["miller"]),
        "termination": "t1",
        "status": line["status"],
        "message": messages.get(line["status"], ""),
        "gamma_ev_per_ang2": None if gamma != gamma else gamma,
    }


# --- the whole workflow, in a copy that a test may run, edit and break

REPOSITORY = Path(__file__).resolve().parent.parent
PARTS = ("Snakefile", "config.yaml", "pyproject.toml", "rules", "scripts", "envs", "data", "cluster")
TESTS = ("conftest.py", "configs", "results")
TABLES = tuple(f"results/tables/deng2025_s1_{name}.csv" for name in ("surfaces", "metrics", "terminations"))


@dataclass
class Workflow:
    """The workflow in a folder of its own; ``configfile`` is laid over config.yaml in every run."""

    root: Path
    configfile: str = "tests/configs/emt.yaml"

    def command(
        self, *arguments: str, config: Mapping[str, object] | None = None, cores: int = 1
    ) -> list[str]:
        """Return Snakemake's command line, by the Snakemake beside this Python."""
        files = [self.configfile] if self.configfile else []
        if config:  # by a file: on Snakemake's command line nested numbers become text
            files.append("over.yaml")
            (self.root / files[-1]).write_text(json.dumps(config))
        words = [str(Path(sys.executable).with_name("snakemake")), "--cores", str(cores), *arguments]
        return [*words, "--configfile", *files] if files else words

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a run: this Python's folder first, one thread, no key, no profile."""
        dropped = ("MP_API_KEY", "SNAKEMAKE_PROFILE", "PYTHONPATH")
        kept = {key: value for key, value in os.environ.items() if key not in dropped}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        return {**kept, "PATH": path, "OMP_NUM_THREADS": "1", **(extra or {})}

    def run(
        self,
        *arguments: str,
        config: Mapping[str, object] | None = None,
        env: Mapping[str, str] | None = None,
        cores: int = 1,
    ) -> subprocess.CompletedProcess[str]:
        """Call Snakemake and return the completed process; standard error is in ``stdout`` too, in order."""
        return subprocess.run(
            self.command(*arguments, config=config, cores=cores),
            cwd=self.root,
            env=self.environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )

    def succeed(self, *arguments: str, **options: Any) -> str:
        """Run, and return the output of a run that must succeed."""
        done = self.run(*arguments, **options)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def fail(self, *arguments: str, **options: Any) -> str:
        """Run, and return the output of a run that must fail."""
        done = self.run(*arguments, **options)
        assert done.returncode != 0, done.stdout
        return done.stdout

    def plan(self, *arguments: str, config: Mapping[str, object] | None = None) -> dict[str, int]:
        """Return how many jobs of each rule a dry run plans; empty where nothing is to be done."""
        output = self.succeed("--dry-run", *arguments, config=config)
        table = re.search(r"^job +count\n[- ]+\n(.*?)^total", output, flags=re.MULTILINE | re.DOTALL)
        assert table or "Nothing to be done" in output, output
        lines = table[1].splitlines() if table else []
        return {rule: int(count) for rule, count in (line.split() for line in lines)}

    def start(self, words: list[str]) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, for `kill` to end as a whole."""
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(
            words, cwd=self.root, env=self.environment(), start_new_session=True, **silent
        )

    @staticmethod
    def kill(process: subprocess.Popen[bytes]) -> None:
        """SIGKILL a process that `start` started, and all of its session."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)

    def journal(self, model: str = "emt", benchmark: str = "surfaces") -> list[dict[str, Any]]:
        """Return the record of every complete line of every journal."""
        files = sorted((self.root / f"results/{benchmark}/{model}/journal").glob("*.jsonl"))
        lines = [line for file in files for line in file.read_text(encoding="utf-8").split("\n")[:-1]]
        return [json.loads(line)["record"] for line in lines]

    def records(self, model: str = "emt", benchmark: str = "surfaces") -> dict[str, dict[str, Any]]:
        """Return a model's merged records by material."""
        lines = (self.root / f"results/{benchmark}/{model}/records.jsonl").read_text().splitlines()
        records = [json.loads(line)["record"] for line in lines]
        return {record["id"]: record for record in records}

    def tables(self) -> dict[str, bytes]:
        """Return the bytes of the surface benchmark's tables, by name."""
        return {name: (self.root / name).read_bytes() for name in TABLES}

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text in a file; it must be there exactly once."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new), encoding="utf-8")


def copy_workflow(root: Path) -> Workflow:
    """Copy what a run needs; the environments stay where they are."""
    (root / "tests").mkdir(parents=True)
    for name in (*PARTS, *(f"tests/{part}" for part in TESTS)):
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy2(source, root / name)
    (root / ".venvs").symlink_to(REPOSITORY / ".venvs", target_is_directory=True)
    return Workflow(root)


@pytest.fixture
def workflow(tmp_path: Path) -> Workflow:
    """The workflow in a fresh copy, nothing run."""
    return copy_workflow(tmp_path / "workflow")


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The workflow in a copy in which the whole EMT run is finished; not to be changed: see ``finished``."""
    workflow = copy_workflow(tmp_path_factory.mktemp("finished") / "workflow")
    workflow.succeed(cores=2)
    return workflow


@pytest.fixture
def finished(finished_once: Workflow, tmp_path: Path) -> Workflow:
    """A copy of the finished workflow, to be changed at will."""
    root = tmp_path / "workflow"
    shutil.copytree(finished_once.root, root, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return Workflow(root)
