"""The workflow's plan for fine-tuning: which runs, in which environments, and what is refused."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

SET = "mlearn-Si"
FEW = {"seeds": {1: 1, 10: 2, 100: 0}, "parts": ["readout", "scratch"], "scratch_labels": [10]}


@pytest.fixture
def unbuilt(workflow: Any) -> Any:
    """The workflow with its default configuration on a machine that has no environment yet."""
    (workflow.root / ".venvs").unlink()
    workflow.configfile = ""
    return workflow


def test_the_default_runs_are_planned_with_what_they_need(unbuilt: Any) -> None:
    config = {"materials": [SET], "models": ["chgnet-0.3.0"]}
    assert unbuilt.plan("fine_tuning", config=config) == {
        "environment": 1,
        "conformance": 1,
        "labelled": 1,
        "material": 1,
        "fine_tune": 3 * (3 + 3 + 1) + 1,
        "fine_tuning_tables": 1,
        "fine_tuning_figures": 1,
        "fine_tuning": 1,
    }


def test_each_number_of_labels_has_its_own_seeds(unbuilt: Any) -> None:
    config = {"materials": [SET], "models": ["chgnet-0.3.0"], "fine_tuning": FEW}
    assert unbuilt.plan("fine_tuning", config=config)["fine_tune"] == 3 + 2


def test_the_main_job_trains_nothing(unbuilt: Any) -> None:
    assert not {"fine_tune", "fine_tuning_tables", "fine_tuning_figures"} & unbuilt.plan().keys()


def test_m3gnet_is_trained_in_an_environment_of_its_own(unbuilt: Any) -> None:
    model = "m3gnet-matgl-pes"
    config = {"materials": [SET], "models": [model], "fine_tuning": {**FEW, "models": [model]}}
    plan = unbuilt.plan("fine_tuning", config=config)
    assert plan["environment"] == 2 and plan["weights"] == 1 and plan["fine_tune"] == 5


def test_mace_from_scratch_needs_no_weights(unbuilt: Any) -> None:
    model = "mace-mp-0-small"
    settings = {**FEW, "parts": ["scratch"], "models": [model]}
    config = {"materials": [SET], "models": ["chgnet-0.3.0"], "fine_tuning": settings}
    plan = unbuilt.plan("fine_tuning", config=config)
    assert plan["fine_tune"] == 2 and plan["environment"] == 1
    assert not {"weights", "material", "conformance"} & plan.keys()


def test_a_run_is_told_all_that_its_numbers_depend_on(unbuilt: Any) -> None:
    config = {"materials": [SET], "models": ["chgnet-0.3.0"], "fine_tuning": FEW}
    output = unbuilt.run("fine_tuning", "--dry-run", "--printshellcmds", config=config).stdout
    command = next(
        line for line in output.splitlines() if "readout-10-mlearn-Si-1.jsonl" in line and "python" in line
    )
    job, task = (json.loads(text) for text in re.findall(r"'(\{.*?\})'(?= )", command))
    assert job["settings"]["learning_rate"] == 0.001 and job["structures"] == {
        "readout-10-mlearn-Si-1": "results/inputs/labelled/mlearn.extxyz"
    }
    assert task["file_part"] == "Si" and task["seed"] == 1 and task["level_of_theory"] == "PBE"
    assert task["predictions"] == "results/high_energy/chgnet-0.3.0/files/mlearn-Si.predictions.npz"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"models": ["chgnet-0.3.0"]}, "no set of labels is asked for; add --config materials=mlearn"),
        (
            {"materials": [SET], "models": ["sevennet-0"]},
            "chgnet-0.3.0 is evaluated first; add it to models: sevennet-0",
        ),
        (
            {"materials": [SET], "models": ["sevennet-0"], "fine_tuning": {"models": ["sevennet-0"]}},
            "sevennet-0 is of family sevennet, known: chgnet, mace, matgl-dgl",
        ),
        (
            {"materials": [SET], "models": ["chgnet-0.3.0"], "fine_tuning": {"models": ["chgnet-0.3.1"]}},
            "unknown model 'chgnet-0.3.1', did you mean 'chgnet-0.3.0'?",
        ),
    ],
)
def test_what_cannot_be_trained_is_named(unbuilt: Any, config: dict[str, Any], words: str) -> None:
    assert words in unbuilt.fail("fine_tuning", "--dry-run", config=config)
