"""The one calculator that the engine sees, whatever the family of the model behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from pesbench.errors import PesbenchError
from pesbench.failures import is_out_of_memory

if TYPE_CHECKING:
    from ase import Atoms
    from numpy.typing import NDArray

# The elements up to plutonium that the Materials Project's trajectories (MPtrj) lack. CHGNet has random,
# untrained embeddings for them and answers without a word.
UNTRAINED_IN_MPTRJ = frozenset({"Po", "At", "Rn", "Fr", "Ra"})


# Atoms in one batch. On a CPU only cells of a few atoms gain (8 atoms, CHGNet: a quarter of the time; 216 atoms: CHGNet
# a third slower, SevenNet two and a half times). ASSUME: on a GPU this fits; where it does not, it is halved.
BATCH_ATOMS = {"cpu": 64, "cuda": 4096}


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
    """ASE calculator around ``evaluate``; ``evaluations_of`` takes many structures at once.

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

    def __init__(
        self,
        name: str,
        evaluate: Evaluate,
        elements: frozenset[str],
        evaluate_many: EvaluateMany | None = None,
        device: str = "cpu",
    ) -> None:
        super().__init__()
        self.model_name, self.elements = name, elements
        self.evaluations, self.atoms_seen, self.seconds = 0, 0, 0.0
        self.batch_atoms = BATCH_ATOMS[device] if evaluate_many else 0
        self._evaluate = evaluate
        self._evaluate_many = evaluate_many or (lambda many: [evaluate(atoms) for atoms in many])

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluate one structure (called by ASE)."""
        super().calculate(atoms, properties, system_changes)
        [result] = self._timed([self.atoms], lambda many: [self._evaluate(many[0])])
        results: dict[str, Any] = {"energy": result.energy_ev, "forces": result.forces_ev_per_ang}
        if result.stress_ev_per_ang3 is not None:
            results["stress"] = result.stress_ev_per_ang3.flat[[0, 4, 8, 5, 2, 1]]
        self.results = {**results, "free_energy": results["energy"]}

    def evaluations_of(self, structures: Iterable[Atoms]) -> Iterator[Evaluation]:
        """Evaluate structures in batches, in their order; each is asked for and given back when its turn comes.

        A batch has at most ``batch_atoms`` atoms, or is one structure. Where it does not fit the device's memory the
        limit is halved for good, and the batch goes on in halves.

        Yields
        ------
        Evaluation
            What the model says of each structure: the same as one by one but for rounding.
        """
        for many in self._batches(structures):
            yield from self._in_memory(many)

    def halve_batches(self, times: int) -> None:
        """Halve the limit of a batch so many times: an earlier attempt may have been killed for its memory."""
        self.batch_atoms >>= times

    def _batches(self, structures: Iterable[Atoms]) -> Iterator[list[Atoms]]:
        many: list[Atoms] = []
        for atoms in structures:
            if many and sum(map(len, many)) + len(atoms) > self.batch_atoms:
                yield many
                many = []
            many.append(atoms)
        if many:
            yield many

    def _in_memory(self, many: list[Atoms]) -> Iterator[Evaluation]:
        try:
            results = self._timed(many, self._evaluate_many)
        except (MemoryError, RuntimeError) as error:
            if len(many) == 1 or not is_out_of_memory(error):
                raise
            self.batch_atoms = min(self.batch_atoms, sum(map(len, many)) // 2)
            half = len(many) // 2
        else:
            yield from results
            return
        yield from self._in_memory(many[:half])
        yield from self._in_memory(many[half:])

    def _timed(self, many: list[Atoms], evaluate: EvaluateMany) -> list[Evaluation]:
        """Ask the model, and refuse what is not finite."""
        for atoms in many:
            self._refuse_bad_input(atoms)
        started = time.monotonic()
        try:
            results = evaluate(many)
        except PesbenchError as error:
            raise PesbenchError(f"{self.model_name}: {error}") from error
        finally:
            self.seconds += time.monotonic() - started
        self.evaluations += len(many)
        self.atoms_seen += sum(map(len, many))
        return [self._checked(result, atoms) for result, atoms in zip(results, many, strict=True)]

    def _checked(self, result: Evaluation, atoms: Atoms) -> Evaluation:
        """Return the result in float64 with a symmetric stress."""
        tensor = result.stress_ev_per_ang3
        stress = None if tensor is None else np.asarray((tensor + tensor.T) / 2, dtype=np.float64)
        forces = np.asarray(result.forces_ev_per_ang, dtype=np.float64)
        checked = Evaluation(float(result.energy_ev), forces, stress)
        for quantity, values in (("energy", checked.energy_ev), ("forces", forces), ("stress", stress)):
            if values is not None and not np.isfinite(values).all():
                raise NonFiniteError(f"{self.model_name}: {quantity} of {_describe(atoms)} is not finite")
        return checked

    def _refuse_bad_input(self, atoms: Atoms) -> None:
        unknown = sorted(set(atoms.get_chemical_symbols()) - self.elements)
        if unknown:
            names = ", ".join(unknown)
            raise ElementError(f"{self.model_name} does not know {names} (in {_describe(atoms)})")
        if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
            raise NonFiniteError(f"{self.model_name}: positions or cell of {_describe(atoms)} are not finite")


def _describe(atoms: Atoms) -> str:
    return f"{atoms.get_chemical_formula(empirical=True)}, {len(atoms)} atoms"
