"""GPAW's labels against themselves: forces and stress are derivatives of the energy; in the environment gpaw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

pytest.importorskip("gpaw", reason="GPAW is not installed here (envs/gpaw.txt)")

from pesbench.dft.label import label
from pesbench.dft.settings import DftSettings
from pesbench.failures import Failure

TINY = DftSettings(cutoff_ev=350.0, kpoint_spacing_per_ang=2.0, smearing_ev=0.1, force_change_ev_per_ang=1e-3)


def hydrogen(stretch_ang: float = 0.0) -> Atoms:
    """H2 in a small box, longer than at rest."""
    return Atoms("H2", positions=[[0, 0, 0], [0.85 + stretch_ang, 0, 0]], cell=[4.0, 3.5, 3.5], pbc=True)


def test_forces_and_stress_are_derivatives_of_the_free_energy(tmp_path: Path) -> None:
    middle = label(hydrogen(), TINY, tmp_path)
    step = 0.02
    high, low = (label(hydrogen(s), TINY, tmp_path).free_energy_ev for s in (step, -step))
    assert middle.forces_ev_per_ang[1, 0] == pytest.approx(-(high - low) / (2 * step), abs=0.05)
    assert middle.forces_ev_per_ang[1, 0] < -0.5, "a stretched molecule pulls back"
    assert np.abs(middle.forces_ev_per_ang.sum(axis=0)).max() < 0.02
    assert middle.energy_ev == pytest.approx(middle.free_energy_ev, abs=1e-3)
    assert middle.stress_ev_per_ang3[0] > 0 > middle.forces_ev_per_ang[1, 0], (
        "the cell wants to shrink along the bond"
    )
    evidence = middle.evidence
    assert evidence["cutoff_ev"] == 350.0 and evidence["kpoint_mesh"] == [1, 1, 1]
    assert 3 < evidence["scf_steps"] < 40 and set(evidence["potentials"]) == {"H"}


def test_electrons_that_do_not_converge_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="not converged after 5 steps") as caught:
        label(hydrogen(), replace(TINY, max_scf_steps=5), tmp_path)
    assert caught.value.status == "not_converged"


def test_iron_is_computed_with_its_moment(tmp_path: Path) -> None:
    atoms = bulk("Fe", "bcc", a=2.83)
    found = label(atoms, replace(TINY, kpoint_spacing_per_ang=1.0), tmp_path)
    assert 1.5 < found.evidence["magnetic_moment_mu_b"] < 3.5
