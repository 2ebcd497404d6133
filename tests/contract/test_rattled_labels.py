"""How soft CHGNet is on real DFT labels (data/labels), in the environment chgnet."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("chgnet", reason="CHGNet is not installed here (envs/chgnet.txt)")

from pesbench.label_slopes import slopes
from pesbench.models.loaders import load_model
from pesbench.models.registry import load_registry

DATA = Path(__file__).parents[2] / "data"
# Slopes that were measured by hand on one such cell each, before this code was there.
BY_HAND = {"Si": 0.74, "Al": 0.71, "Cu": 0.87, "MgO": 0.98}
SOFT_WHEN_HOT = {"Si", "Ge", "C", "SiC", "BN", "GaN", "LiF", "NaCl", "Li", "Cu"}


def test_slopes_against_gpaw_are_those_measured_by_hand() -> None:
    calculator = load_model(load_registry(DATA / "models.yaml").get("chgnet-0.3.0")).calculator
    rows = slopes(calculator, sorted((DATA / "labels").glob("gpaw_rattled_*.extxyz")))
    assert {row.formula: row.slope for row in rows} == pytest.approx(BY_HAND, abs=0.06)
    assert {row.level_of_theory for row in rows} == {"PBE (GPAW)"}
    assert all(row.components == 48 and row.largest_ev_per_ang > 1.0 for row in rows)


def test_hot_covalent_and_ionic_crystals_are_soft_and_silver_and_sodium_are_not() -> None:
    calculator = load_model(load_registry(DATA / "models.yaml").get("chgnet-0.3.0")).calculator
    rows = slopes(calculator, sorted((DATA / "labels").glob("gpaw_hot_*.extxyz")))
    found = {row.formula: row.slope for row in rows}
    assert len(found) == 12 and all(0.5 < slope < 1.1 for slope in found.values())
    assert {formula for formula, slope in found.items() if slope < 0.93} == SOFT_WHEN_HOT
