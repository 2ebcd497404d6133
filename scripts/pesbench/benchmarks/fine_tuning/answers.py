"""What a method answers for the held-out frames, frame by frame, energies counted from the labels' zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pesbench.engine.predictions import Predictions

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Force errors of one method on the held-out frames, frame by frame; energies per atom beside.

    Attributes
    ----------
    model, dft
        Force components (eV/A) of each frame.
    energy_ev_per_atom
        Model minus label of each frame, both counted from one zero; NaN where that is not known.
    """

    ids: list[str]
    model: list[Array]
    dft: list[Array]
    energy_ev_per_atom: Array

    @property
    def frame_errors(self) -> Array:
        """Sum of absolute errors and number of components, a line a frame."""
        pairs = zip(self.model, self.dft, strict=True)
        return np.array([[np.abs(y - x).sum(), y.size] for y, x in pairs])


@dataclass(frozen=True)
class Row:
    """One line of the table, and the answers that it is about (None: there are none)."""

    known: dict[str, Any]
    answers: Answers | None


def answers_of(found: Predictions, reference: Mapping[int, float]) -> Answers:
    """Return answers frame by frame; ``reference`` is added to the model's energies, eV an atom of each element."""
    added = [sum(reference.get(int(n), 0.0) for n in numbers) for numbers in found.split(found.numbers)]
    return Answers(
        found.ids.tolist(),
        [f.ravel() for f in found.split(found.forces_ev_per_ang)],
        [f.ravel() for f in found.split(found.forces_dft_ev_per_ang)],
        (found.energy_ev + np.array(added) - found.energy_dft_ev) / found.n_atoms,
    )


def reference_of(found: Predictions) -> dict[int, float]:
    """Return the energy (eV an atom) of each element between labels and model: least squares over these frames."""
    elements = np.unique(found.numbers)
    counts = np.array([[(n == e).sum() for e in elements] for n in found.split(found.numbers)], dtype=float)
    apart = (found.energy_dft_ev - found.energy_ev) / found.n_atoms
    fitted, *_ = np.linalg.lstsq(counts / found.n_atoms[:, None], apart, rcond=None)
    return dict(zip(map(int, elements), map(float, fitted), strict=True))
