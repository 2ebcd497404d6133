"""How soft CHGNet is on real DFT labels (data/labels), in the environment chgnet."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("chgnet", reason="CHGNet is not installed here (envs/chgnet.txt)")

from pesbench.label_slopes import slopes
from pesbench.models.loaders import load_model
from pesbench.models.registry import load_registry

DATA = Path(__file__).parents[2] / "data"
# Slopes that were measured by hand on one such cell each, before this code was there. Silicon's was 0.74: the first of
# the four shipped cells has it, all four together are softer by more than 0.06, and are held to what they gave.
BY_HAND = {"Al": 0.71, "Cu": 0.87, "MgO": 0.98}
SILICON = 0.656
SOFT_WHEN_HOT = {"Si", "Ge", "C", "SiC", "BN", "GaN", "LiF", "NaCl", "Li", "Cu"}


def test_slopes_against_gpaw_are_those_measured_by_hand_but_for_silicon() -> None:
    calculator = load_model(load_registry(DATA / "models.yaml").get("chgnet-0.3.0")).calculator
    rows = slopes(calculator, sorted((DATA / "labels").glob("gpaw_rattled_*.extxyz")))
    found = {row.formula: row.slope for row in rows}
    assert found.pop("Si") == pytest.approx(SILICON, abs=0.01)
    assert found == pytest.approx(BY_HAND, abs=0.06)
    assert {row.level_of_theory for row in rows} == {"PBE (GPAW)"}
    assert all(row.components == 96 and row.largest_ev_per_ang > 1.0 for row in rows)


def test_hot_covalent_and_ionic_crystals_are_soft_and_silver_and_sodium_are_not() -> None:
    calculator = load_model(load_registry(DATA / "models.yaml").get("chgnet-0.3.0")).calculator
    rows = slopes(calculator, sorted((DATA / "labels").glob("gpaw_hot_*.extxyz")))
    found = {row.formula: row.slope for row in rows}
    assert len(found) == 12 and all(0.5 < slope < 1.1 for slope in found.values())
    assert {formula for formula, slope in found.items() if slope < 0.93} == SOFT_WHEN_HOT
