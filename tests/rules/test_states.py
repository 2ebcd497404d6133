"""The workflow's plan for high-energy states and their DFT labels, and a run of the sampling with EMT."""

from __future__ import annotations

from typing import Any

import pytest
from ase.io import read

QUICK = {"model": "emt", "materials": ["mp-30", "mp-81"], "length_ps": 0.05, "snapshots": 2, "strained": 1}


@pytest.fixture
def unbuilt(workflow: Any) -> Any:
    """The workflow with its default configuration on a machine that has no environment yet."""
    (workflow.root / ".venvs").unlink()
    workflow.configfile = ""
    return workflow


def test_hot_labels_are_planned_for_every_material_and_model(unbuilt: Any) -> None:
    plan = unbuilt.plan("hot_labels")
    assert plan == {
        "environment": 3,
        "conformance": 2,
        "sample_states": 8,
        "label_states": 8,
        "label_slopes": 2,
        "label_times": 1,
        "hot_labels": 1,
    }


def test_rattled_labels_need_no_dynamics(unbuilt: Any) -> None:
    plan = unbuilt.plan("rattled_labels", config={"models": ["chgnet-0.3.0"]})
    assert plan["sample_states"] == plan["label_states"] == 4 and plan["environment"] == 2


def test_the_main_job_samples_and_labels_nothing(unbuilt: Any) -> None:
    assert not {"sample_states", "label_states", "label_slopes"} & unbuilt.plan().keys()


def test_a_sampler_that_is_no_model_of_the_run_is_named(workflow: Any) -> None:
    output = workflow.fail("hot_states", "--dry-run", config={"sampling": {**QUICK, "model": "emmt"}})
    assert "sampling: model is 'emmt', must be one of models: emt" in output


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("sampling", "lenght_ps", 1.0, "did you mean 'length_ps'?"),
        ("sampling", "strained", 99, "strained is 99, must be from 0 to 10"),
        ("dft", "code", "qe", "code is 'qe', must be one of: gpaw, vasp"),
        ("dft", "cutoff_ev", 5, "cutoff_ev is 5, must be from 100.0 to 3000.0 eV"),
    ],
)
def test_a_wrong_setting_is_named(workflow: Any, section: str, key: str, value: object, words: str) -> None:
    output = workflow.fail("--dry-run", config={section: {key: value}})
    assert f"config.yaml, {section}" in output and words in output


def test_states_are_sampled_once(workflow: Any) -> None:
    workflow.succeed("hot_states", config={"sampling": QUICK})
    folder = workflow.root / "results/sampling/emt/files"
    names = [f"{m}-emt-0{n}.extxyz" for m in ("mp-30", "mp-81") for n in (0, 1)]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert [len(read(folder / name)) for name in names] == [8] * 4
    assert "Nothing to be done" in workflow.succeed("hot_states", config={"sampling": QUICK})
    plan = workflow.plan("hot_states", config={"sampling": {**QUICK, "seed": 1}})
    assert plan["sample_states"] == 2
