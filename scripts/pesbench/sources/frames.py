"""One labelled frame: a structure with the energy, forces and stress that a calculation gave for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pesbench.errors import PesbenchError

if TYPE_CHECKING:
    from ase import Atoms

#: 1 kbar in eV/A^3 (CODATA 2018: 1 eV = 1.602176634e-19 J).
KBAR_EV_PER_ANG3 = 1.0 / 1602.176634
#: VASP lists xx yy zz xy yz zx; here it is xx yy zz yz xz xy.
VASP_TO_VOIGT = (0, 1, 2, 4, 5, 3)
TENSOR_TO_VOIGT = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))


class LabelError(PesbenchError):
    """Labels are missing, contradict each other, or are not in the units that they must have."""


@dataclass(frozen=True)
class Frame:
    """One structure with its labels.

    Attributes
    ----------
    id
        Unique within its set.
    material
        Frames of one material are scored together: an id of a database, or the formula.
    atoms
        Structure (angstrom), without a calculator.
    energy_ev
        Of the whole cell, extrapolated to zero smearing where the code gives both.
    forces_ev_per_ang
        Shape (n, 3).
    stress_ev_per_ang3
        Shape (6,): xx yy zz yz xz xy, positive under tension (ASE's sign, the negative of VASP's); None: not known.
    level_of_theory
        Such as ``PBE`` or ``PBE+U (MP)``.
    split
        ``train`` or ``test`` where the publisher says so, else empty.
    """

    id: str
    material: str
    atoms: Atoms
    energy_ev: float
    forces_ev_per_ang: NDArray[np.float64]
    stress_ev_per_ang3: NDArray[np.float64] | None
    level_of_theory: str
    split: str = ""


def voigt(stress: ArrayLike, where: str) -> NDArray[np.float64]:
    """Return a stress given as 6 numbers (xx yy zz yz xz xy), 9 numbers or a 3 x 3 tensor as 6 numbers.

    Raises
    ------
    LabelError
        Another shape, or a tensor that is not symmetric.
    """
    try:
        values = np.asarray(stress, dtype=float)
    except (TypeError, ValueError) as error:
        raise LabelError(
            f"{where}: the stress is {stress!r:.60}; it must be 6 numbers or a 3 x 3 tensor"
        ) from error
    if values.shape == (9,):
        values = values.reshape(3, 3)
    if values.shape == (3, 3):
        if not np.allclose(values, values.T, atol=1e-6 + 1e-3 * np.abs(values).max(), equal_nan=True):
            raise LabelError(f"{where}: the stress tensor is not symmetric; mend it or leave it out")
        return (values + values.T)[TENSOR_TO_VOIGT] / 2
    if values.shape != (6,):
        raise LabelError(
            f"{where}: the stress has shape {values.shape}; it must be 6 numbers or a 3 x 3 tensor"
        )
    return values


def stress_of_vasp(stress_kbar: ArrayLike, where: str) -> NDArray[np.float64]:
    """Return a stress as VASP prints it, in kbar, positive under compression, in this project's units and order.

    Parameters
    ----------
    stress_kbar
        A 3 x 3 tensor, or the 6 numbers xx yy zz xy yz zx.
    """
    values = voigt(stress_kbar, where)
    if np.shape(stress_kbar) == (6,):
        values = values[list(VASP_TO_VOIGT)]
    return -values * KBAR_EV_PER_ANG3
