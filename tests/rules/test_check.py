"""A check of a user's own material through the workflow: what each mode plans, and two whole runs with EMT."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

#: How much steeper the labels' surface is than EMT's: its slope against them is 1 / STEEPER.
STEEPER = 1.25


def prepare(workflow: Any, *words: str, code: int = 0) -> str:
    """Call the first step of make check in the copy; return what it printed."""
    done = subprocess.run(
        [sys.executable, "scripts/prepare_check.py", *words],
        cwd=workflow.root,
        env=workflow.environment({"PYTHONPATH": "scripts"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return (done.stdout if not code else done.stderr).strip()


def checked(workflow: Any, run: str, **config: object) -> Any:
    """Return the workflow with a check's configuration laid over the others."""
    asked = json.loads((workflow.root / run).read_text())
    merged = {**asked, **config, "check": {**asked["check"], **config.get("check", {})}}
    return {"config": merged}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A user's folder, its name with a space in it: a CIF of copper and twelve labelled frames."""
    folder = tmp_path / "my files"
    folder.mkdir()
    write(folder / "copper.cif", bulk("Cu", cubic=True))
    frames = []
    for seed in range(12):
        atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
        atoms.rattle(0.02 + 0.02 * (seed % 4), seed=seed)
        atoms.calc = EMT()
        energy, forces = (STEEPER * value for value in (atoms.get_potential_energy(), atoms.get_forces()))
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        frames.append(atoms)
    write(folder / "frames.extxyz", frames, format="extxyz")
    return folder


def test_labels_give_a_page_with_the_planted_softness(workflow: Any, mine: Path) -> None:
    words = ("--structure", str(mine / "copper.cif"), "--labels", str(mine / "frames.extxyz"))
    run = prepare(workflow, *words, "--level", "PBE", "--models", "emt")
    assert run == "results/check/copper/inputs/run.json"
    output = workflow.succeed("check", **checked(workflow, run))
    folder = workflow.root / "results/check/copper"
    data = json.loads((folder / "check.json").read_text())
    [verdict] = data["verdicts"]
    assert verdict["word"] == "soft" and verdict["slope"]["value"] == pytest.approx(1 / STEEPER, abs=1e-3)
    assert data["proofs"]["emt"]["c"] == pytest.approx(STEEPER, abs=1e-3)
    page, text = (folder / "index.html").read_text(), (folder / "report.md").read_text()
    lines = (folder / "corrected/emt.py").read_text()
    assert "emt is SOFT on Cu: its forces are 0.80" in page and "emt is SOFT on Cu" in text
    assert str(folder / "corrected/emt.json") in lines and lines in text
    assert "emt was not trained on DFT" in page and page.count("data:image/png;base64") == 3
    assert "http" not in page.split("</style>")[1].split("<main>")[0]
    assert "Traceback" not in output
    # A killed or repeated run goes on where it was: nothing is asked again.
    assert prepare(workflow, *words, "--level", "PBE", "--models", "emt") == run
    assert "Nothing to be done" in workflow.succeed("check", **checked(workflow, run))
    told = subprocess.run(
        [sys.executable, "-m", "pesbench", "verdict", str(folder)],
        env=workflow.environment({"PYTHONPATH": str(workflow.root / "scripts")}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "emt is SOFT on Cu" in told.stdout and "index.html" in told.stdout


def test_without_labels_the_page_says_so_and_how_to_go_on(workflow: Any, mine: Path) -> None:
    run = prepare(workflow, "--structure", str(mine / "copper.cif"), "--models", "emt")
    quick = {"check": {"length_ps": 0.02, "snapshots": 2, "strained": 1}}
    workflow.succeed("check", **checked(workflow, run, **quick))
    folder = workflow.root / "results/check/copper"
    assert "Nobody can say yet how soft a model is on Cu" in (folder / "index.html").read_text()
    data = json.loads((folder / "check.json").read_text())
    assert data["n_frames"] == 6 and len(data["to_label"]) == 5 and data["pairs"] == []
    assert {line["group"] for line in data["neighbours"]} == {"Cu"}
    chosen = read(folder / "to_label/to_label.extxyz", ":")
    assert [atoms.info["frame_id"] for atoms in chosen] == [one["frame"] for one in data["to_label"]]
    assert np.unique([len(atoms) for atoms in chosen]) == [8]
    for one in data["to_label"]:
        assert "ISMEAR = 0" in (folder / "to_label/vasp" / one["frame"] / "INCAR").read_text()
    compile((folder / "to_label/label_with_gpaw.py").read_text(), "label_with_gpaw.py", "exec")
    assert "PW(600.0)" in (folder / "to_label/label_with_gpaw.py").read_text()


def test_each_way_of_asking_is_planned(workflow: Any, mine: Path) -> None:
    run = prepare(workflow, "--structure", str(mine / "copper.cif"), "--dft", "gpaw", "--models", "emt")
    plan = workflow.plan("check", **checked(workflow, run))
    once = dict.fromkeys(("check", "check_frames", "check_score", "check_report", "conformance"), 1)
    each = {"check_states": 2, "check_label": 2, "check_model": 1, "check_proof": 1}
    assert {k: v for k, v in plan.items() if k != "environment"} == once | each
    assert "begin with make check" in workflow.fail("check", "--dry-run")


def test_the_main_job_checks_nothing(workflow: Any) -> None:
    assert not any(rule.startswith("check_") for rule in workflow.plan())


def test_bad_input_is_one_line_before_anything_runs(workflow: Any, mine: Path) -> None:
    message = prepare(workflow, "--structure", str(mine / "absent.cif"), "--models", "emt", code=1)
    assert message.startswith("error: ") and "no such file" in message and "\n" not in message
    broken = mine / "broken.extxyz"
    broken.write_text("8\nno labels here\n")
    message = prepare(workflow, "--labels", str(broken), "--level", "PBE", code=1)
    assert message.startswith("error: ") and str(broken) in message and "\n" not in message
    assert not (workflow.root / "results/check").exists()


def test_a_wrong_setting_of_the_check_is_named(workflow: Any) -> None:
    output = workflow.fail("--dry-run", config={"check": {"lenght_ps": 1.0}})
    assert "config.yaml, check: unknown key 'lenght_ps', did you mean 'length_ps'?" in output
