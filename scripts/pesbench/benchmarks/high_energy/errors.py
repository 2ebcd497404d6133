"""Errors of energy, force and stress on the labelled sets, beside MatterSim-MT's Table S3."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pesbench.benchmarks.high_energy.score import Run, coverage, identity
from pesbench.engine.predictions import Predictions
from pesbench.metrics import mae, whole_counts
from pesbench.published import MATTERSIM_MT_MODELS

PUBLISHED = Path("data/published/mattersim_mt_s3_pes.csv")
#: Our sets and what the paper calls its own: the released files hold more frames than the paper describes.
TEST_SETS = {"mpf_alkali_tp": "MPF-Alkali-TP", "mpf_tp": "MPF-TP", "random_tp": "Random-TP"}
GPA_PER_EV_PER_ANG3 = 160.2176634
QUANTITIES = ("energy_mae_ev_per_atom", "force_mae_ev_per_ang", "stress_mae_gpa")


def table(runs: list[Run], levels: Mapping[str, str]) -> pd.DataFrame:
    """Return one line a (set, model): our mean absolute errors, with the published ones where the paper has them.

    ``energy_mae_shifted_ev_per_atom``: after one energy for each element is fitted to the differences, as models differ
    in what they call zero. ``force_mae_ev_per_ang``: of a component. ``force_vector_error_ev_per_ang``: length of the
    error of an atom's force, averaged over the atoms of a frame, then over frames. This is what Table S3 calls MAE: so
    computed, SevenNet-0 and M3GNet agree with it to its last digit or nearly. Stress: over all nine components.
    """
    published = pd.read_csv(PUBLISHED, comment="#").set_index(["test_set", "model"])
    rows = [identity(run, levels) | _errors(run) | _published(run, published) | coverage(run) for run in runs]
    return whole_counts(pd.DataFrame(rows))


def _errors(run: Run) -> dict[str, Any]:
    names = ["n_frames", "energy_mae_ev_per_atom", "energy_mae_shifted_ev_per_atom", "force_mae_ev_per_ang"]
    names += ["force_vector_error_ev_per_ang", "stress_mae_gpa"]
    found = run.predictions
    if found is None:
        return {**dict.fromkeys(names, float("nan")), "n_frames": 0}
    apart = (found.energy_ev - found.energy_dft_ev) / found.n_atoms
    values = (
        len(found.ids),
        float(np.abs(apart).mean()),
        float(np.abs(shifted(found)).mean()),
        mae(found.forces_ev_per_ang.ravel(), found.forces_dft_ev_per_ang.ravel()),
        vector_error(found),
        GPA_PER_EV_PER_ANG3 * stress_mae(found),
    )
    return dict(zip(names, values, strict=True))


def vector_error(found: Predictions) -> float:
    """Return the mean over frames of the mean over atoms of the length of the force's error (eV/A)."""
    lengths = np.linalg.norm(found.forces_ev_per_ang - found.forces_dft_ev_per_ang, axis=1)
    return float((np.bincount(found.frame_of_atom, lengths) / found.n_atoms).mean())


def stress_mae(found: Predictions) -> float:
    """Return the mean absolute error of the nine components of the stress (eV/A^3); NaN where no frame has one."""
    apart = np.abs(found.stress_ev_per_ang3 - found.stress_dft_ev_per_ang3)[:, [0, 1, 2, 3, 3, 4, 4, 5, 5]]
    return float(np.nanmean(apart)) if np.isfinite(apart).any() else float("nan")


def shifted(found: Predictions) -> NDArray[np.float64]:
    """Return model minus DFT (eV/atom) of each frame, after one energy for each element was fitted and taken off."""
    elements = np.unique(found.numbers)
    counts = np.zeros((len(found.ids), len(elements)))
    np.add.at(counts, (found.frame_of_atom, np.searchsorted(elements, found.numbers)), 1)
    shares = counts / found.n_atoms[:, None]
    apart = (found.energy_ev - found.energy_dft_ev) / found.n_atoms
    energies, *_ = np.linalg.lstsq(shares, apart, rcond=None)
    return np.asarray(apart - shares @ energies)


def _published(run: Run, published: pd.DataFrame) -> dict[str, Any]:
    key = (TEST_SETS.get(run.set, ""), MATTERSIM_MT_MODELS.get(run.model, ""))
    found = published.loc[key] if key in published.index else {}
    return {f"published_{name}": float(found.get(name, float("nan"))) for name in QUANTITIES}
