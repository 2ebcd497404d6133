"""A model that is wrong in a way that happened to somebody does not run."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase import Atoms, units

from pesbench.errors import ConformanceError
from pesbench.models.calculator import Evaluation, PesCalculator
from pesbench.models.conformance import check, load_structures, pin, require
from pesbench.models.loaders import Model, load_model
from pesbench.models.registry import load_registry

ROOT = Path(__file__).resolve().parents[2]
ENTRY = load_registry(ROOT / "data/models.yaml").get("emt")
STRUCTURES = load_structures(ROOT / "data/conformance/structures.json")


@pytest.fixture(scope="module")
def emt() -> Model:
    return load_model(ENTRY)


def planted(model: Model, wrong: Callable[[Evaluation], dict]) -> Model:
    """The same model with one thing made wrong."""
    inner = model.calculator

    def evaluate(atoms: Atoms) -> Evaluation:
        inner.calculate(atoms)
        stress = inner.results["stress"][[[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
        right = Evaluation(inner.results["energy"] / len(atoms), inner.results["forces"], stress)
        made = dataclasses.replace(right, **wrong(right))
        return dataclasses.replace(made, energy_ev=made.energy_ev * len(atoms))

    return dataclasses.replace(model, calculator=PesCalculator(model.name, evaluate, inner.elements))


def test_the_right_model_passes(emt: Model) -> None:
    result = check(emt, ENTRY, STRUCTURES)
    require(result)
    assert result.passed and len(result.differences) == 15
    assert result.worst.off_by == max(
        d.off_by for d in result.differences if d.quantity == result.worst.quantity
    )
    text = json.loads(json.dumps(result.as_dict()))
    assert text["passed"] and text["versions"]["ase"] and len(text["differences"]) == 15


@pytest.mark.parametrize(
    ("wrong", "quantity", "hint"),
    [
        (lambda r: {"stress_ev_per_ang3": r.stress_ev_per_ang3 / units.GPa}, "stress_gpa of", "160.2 times"),
        (
            lambda r: {"stress_ev_per_ang3": r.stress_ev_per_ang3 * units.GPa},
            "stress_gpa of",
            "0.006242 times",
        ),
        (lambda r: {"stress_ev_per_ang3": -r.stress_ev_per_ang3}, "stress_gpa of", "wrong sign"),
        (lambda r: {"forces_ev_per_ang": -r.forces_ev_per_ang}, "force_ev_per_ang of", "wrong sign"),
        (lambda r: {"energy_ev": r.energy_ev + 0.005}, "energy_ev_per_atom of", "off by 0.005 eV/atom"),
        (lambda r: {"forces_ev_per_ang": r.forces_ev_per_ang + 0.002}, "force_ev_per_ang of", "0.002 eV/A"),
        (
            lambda r: {"stress_ev_per_ang3": r.stress_ev_per_ang3[[0, 2, 1]][:, [0, 2, 1]]},
            "stress_gpa of",
            "all versions are the pinned ones",
        ),
    ],
    ids=["gpa", "inverse gpa", "stress sign", "force sign", "energy offset", "force offset", "axes swapped"],
)
def test_planted_errors_are_refused(emt: Model, wrong: Callable, quantity: str, hint: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        require(check(planted(emt, wrong), ENTRY, STRUCTURES))
    message = str(caught.value)
    assert message.startswith(f"emt must not run: {quantity}") and hint in message
    assert "rebuild the environment 'driver'" in message and "\n" not in message


def test_another_version_is_named(emt: Model) -> None:
    other = dataclasses.replace(emt, versions={**emt.versions, "ase": "3.22.1"})
    require(check(other, ENTRY, STRUCTURES))  # a version alone does not fail a model whose numbers are right
    wrong = planted(other, lambda r: {"energy_ev": r.energy_ev + 1})
    with pytest.raises(ConformanceError, match=r"the environment has ase 3\.22\.1 instead of 3\.29\.0"):
        require(check(wrong, ENTRY, STRUCTURES))


def test_nothing_pinned_is_refused(emt: Model) -> None:
    with pytest.raises(ConformanceError, match=r"no conformance values .*pin_conformance\.py emt"):
        check(emt, dataclasses.replace(ENTRY, conformance=None), STRUCTURES)


def test_pinned_structure_that_is_gone(emt: Model) -> None:
    with pytest.raises(ConformanceError, match="pins the structure 'Cu', which is not among"):
        check(emt, ENTRY, {"Si": STRUCTURES["Si"]})


def test_broken_structures_file(tmp_path: Path) -> None:
    (tmp_path / "structures.json").write_text('{"Cu": {"atoms": [')
    with pytest.raises(ConformanceError, match="cannot be read"):
        load_structures(tmp_path / "structures.json")


def test_pinning_again_gives_the_registry_values(emt: Model) -> None:
    assert ENTRY.conformance is not None
    block = yaml.safe_load(pin(emt, STRUCTURES, ENTRY.conformance.tolerance))["conformance"]
    assert list(block["structures"]) == list(ENTRY.conformance.structures)  # only what EMT knows
    for name, pinned in ENTRY.conformance.structures.items():
        np.testing.assert_allclose(block["structures"][name]["stress_gpa"], pinned.stress_gpa, atol=1e-5)
    assert block["tolerance"] == ENTRY.conformance.tolerance


def test_structures_are_not_at_rest(emt: Model) -> None:
    assert len(STRUCTURES) >= 6
    assert ENTRY.conformance is not None
    for pinned in ENTRY.conformance.structures.values():
        assert np.abs(pinned.force_ev_per_ang).max() > 0.01 and np.abs(pinned.stress_gpa).max() > 0.1


def test_scripts(tmp_path: Path) -> None:
    def script(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, f"scripts/{name}", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    output = tmp_path / "new" / "emt.json"
    done = script("check_conformance.py", "emt", str(output))
    assert done.returncode == 0 and "emt: conformant" in done.stdout
    assert json.loads(output.read_text())["device"] == "cpu"
    assert "          energy_ev_per_atom: 0.0104702\n" in script("pin_conformance.py", "emt").stdout
    wrong = tmp_path / "models.yaml"
    wrong.write_text((ROOT / "data/models.yaml").read_text().replace("0.0104702", "0.0154702"))
    refused = script("check_conformance.py", "emt", str(tmp_path / "no.json"), "--registry", str(wrong))
    assert refused.returncode == 1 and not (tmp_path / "no.json").exists()
    assert refused.stderr.startswith(
        "error: emt must not run: energy_ev_per_atom of Cu is off by 0.005 eV/atom"
    )
    assert refused.stderr.count("\n") == 1
