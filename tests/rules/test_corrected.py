"""Corrected surface energies and effective temperatures in the workflow: shipped labels need no DFT code."""

from __future__ import annotations

import shutil
from typing import Any

import pandas as pd
import pytest

TABLE = "results/tables/deng2025_sfig5_surfaces.csv"
EMT = {"models": ["emt"], "sampling": {"model": "emt"}}


@pytest.fixture
def unbuilt(workflow: Any) -> Any:
    """The workflow with its default configuration on a machine that has no environment yet."""
    (workflow.root / ".venvs").unlink()
    workflow.configfile = ""
    return workflow


def test_no_dft_runs_for_corrected_surfaces(unbuilt: Any) -> None:
    plan = unbuilt.plan("corrected_surfaces")
    assert plan["label_answers"] == plan["environment"] == 2 and plan["corrected_surfaces"] == 1
    assert not {"label_states", "sample_states"} & plan.keys()


def test_effective_temperatures_are_planned_for_every_set_and_model(unbuilt: Any) -> None:
    plan = unbuilt.plan("effective_temperatures")
    assert plan == {
        "environment": 2,
        "conformance": 2,
        "labelled": 3,
        "relaxed_frames": 6,
        "effective_temperatures": 1,
    }


def test_shipped_labels_correct_and_labels_of_one_s_own_come_first(workflow: Any) -> None:
    workflow.succeed("corrected_surfaces", config=EMT)
    frame = pd.read_csv(workflow.root / TABLE)
    silver = frame[frame["mp_id"] == "mp-124"]
    assert set(silver["labels_source"]) == {"data/labels/gpaw_hot_mp-124.extxyz"}
    assert set(silver["labels_level_of_theory"]) == {"PBE (GPAW)"}
    ratio = silver["gamma_corrected_ev_per_ang2"] / silver["gamma_ev_per_ang2"]
    assert ratio.to_numpy() == pytest.approx(silver["c"].to_numpy(), rel=1e-4)
    assert "Nothing to be done" in workflow.succeed("corrected_surfaces", config=EMT)

    own = workflow.root / "results/labels/gpaw/emt/mp-124.extxyz"
    own.parent.mkdir(parents=True)
    lines = (workflow.root / "data/labels/gpaw_hot_mp-124.extxyz").read_bytes().splitlines(keepends=True)
    own.write_bytes(b"".join(lines[: int(lines[0]) + 2]))
    assert workflow.plan("corrected_surfaces", config=EMT) == {"label_answers": 1, "corrected_surfaces": 1}
    workflow.succeed("corrected_surfaces", config=EMT)
    frame = pd.read_csv(workflow.root / TABLE)
    silver = frame[frame["mp_id"] == "mp-124"]
    assert set(silver["labels_source"]) == {"results/labels/gpaw/emt/mp-124.extxyz"}
    assert set(silver["n_labels_tried"]) == {1}
    shutil.rmtree(own.parent)
    assert workflow.plan("corrected_surfaces", config=EMT)["label_answers"] == 1
