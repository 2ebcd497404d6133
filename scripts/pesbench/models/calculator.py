"""The one calculator that the engine sees, whatever the family of the model behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from pesbench.errors import PesbenchError

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray


class ElementError(PesbenchError):
    """The model does not know an element of the structure."""


class NonFiniteError(PesbenchError):
    """The model returned a NaN or an infinity, or was given one."""


@dataclass(frozen=True)
class Evaluation:
    """What a model says of one structure; the stress (3, 3) is None for a structure without a 3D cell."""

    energy_ev: float
    forces_ev_per_ang: NDArray[np.float64]
    stress_ev_per_ang3: NDArray[np.float64] | None


Evaluate = Callable[["Atoms"], Evaluation]
EvaluateMany = Callable[[Sequence["Atoms"]], list[Evaluation]]


@dataclass(frozen=True)
class Loaded:
    """What a family's loader gives back; ``evaluate_many`` where the family computes several structures at once."""

    evaluate: Evaluate
    elements: frozenset[str]
    parameters: int
    evaluate_many: EvaluateMany | None = None


class PesCalculator(Calculator):
    """ASE calculator around ``evaluate``.

    Energy in eV, forces in eV/A, stress in eV/A^3 in ASE's Voigt order (xx yy zz yz xz xy; positive where the
    cell wants to shrink), all float64. One evaluation gives all three: the stress costs nothing more.

    Raises
    ------
    ElementError
        For an element that the model does not know.
    NonFiniteError
        For a position, an energy, a force or a stress that is no finite number.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012 (ASE's own form)

    def __init__(self, name: str, evaluate: Evaluate, elements: frozenset[str]) -> None:
        super().__init__()
        self.model_name, self.elements = name, elements
        self.evaluations, self.seconds = 0, 0.0
        self._evaluate = evaluate

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluate one structure (called by ASE)."""
        super().calculate(atoms, properties, system_changes)
        self._refuse_bad_input(self.atoms)
        self.evaluations += 1
        started = time.monotonic()
        try:
            result = self._evaluate(self.atoms)
        except PesbenchError as error:
            raise PesbenchError(f"{self.model_name}: {error}") from error
        self.seconds += time.monotonic() - started
        forces = np.asarray(result.forces_ev_per_ang, dtype=np.float64)
        results: dict[str, Any] = {"energy": float(result.energy_ev), "forces": forces}
        if result.stress_ev_per_ang3 is not None:
            tensor = np.asarray(result.stress_ev_per_ang3, dtype=np.float64)
            results["stress"] = ((tensor + tensor.T) / 2).flat[[0, 4, 8, 5, 2, 1]]
        for quantity, values in results.items():
            if not np.isfinite(values).all():
                raise NonFiniteError(
                    f"{self.model_name}: {quantity} of {_describe(self.atoms)} is not finite"
                )
        self.results = {**results, "free_energy": results["energy"]}

    def _refuse_bad_input(self, atoms: Atoms) -> None:
        unknown = sorted(set(atoms.get_chemical_symbols()) - self.elements)
        if unknown:
            names = ", ".join(unknown)
            raise ElementError(f"{self.model_name} does not know {names} (in {_describe(atoms)})")
        if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
            raise NonFiniteError(f"{self.model_name}: positions or cell of {_describe(atoms)} are not finite")


def _describe(atoms: Atoms) -> str:
    return f"{atoms.get_chemical_formula(empirical=True)}, {len(atoms)} atoms"
