"""Forces on many structures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pesbench.models.calculator import PesCalculator

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from numpy.typing import NDArray


def forces_of(calculator: Calculator, structures: Iterable[Atoms]) -> Iterator[NDArray[np.float64]]:
    """Yield the forces (n_atoms, 3; eV/angstrom) on each structure, in order: a model's in batches, else one by one."""
    if isinstance(calculator, PesCalculator):
        for evaluation in calculator.evaluations_of(structures):
            yield evaluation.forces_ev_per_ang
        return
    for atoms in structures:
        atoms.calc = calculator
        yield np.array(atoms.get_forces(), dtype=np.float64)
