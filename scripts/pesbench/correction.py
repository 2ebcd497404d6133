"""One-label correction of a soft model (Deng et al. 2025, Eq. 4): every force times a number c, fitted on few labels.

The paper multiplies the whole energy, E' = c E. That scales the energies of free atoms and of stable phases too, on
which a model is not soft: a formation energy against any uncorrected phase would be lost. Here only what lies above
a reference is scaled::

    E'(x) = E_ref(N) + c [E(x) - E_ref(N)],     F' = c F,     stress' = c stress

N is how many atoms of each element x has, E_ref(N) the lowest energy of any mixture of the reference phases that has
these atoms (the convex hull), with the model's own energy of each phase, relaxed. As E_ref depends on nothing but N,
forces and stress are exact derivatives of E'. What follows:

- a reference phase on the hull keeps its energy, hence formation energies between such phases stay the model's own;
- energies of equal composition keep their order, their differences are times c, and so are surface energies, barriers,
  and defect energies with the chemical potentials of the hull;
- minima stay where they are, phonon frequencies are times the square root of c.

Without reference phases E_ref is zero, which is the paper's equation: then compare equal compositions only.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from numpy.typing import NDArray

from pesbench.errors import PesbenchError
from pesbench.files import write_atomic
from pesbench.softening import slope

#: ``least_squares``: c that gives the smallest squared force error, what training the scalar layer does (Methods).
#: ``slope``: one over the softening scale, what cMAE is defined by.
METHODS = ("least_squares", "slope")
#: A label whose forces are all smaller (eV/A) says nothing about the slope.
LEAST_FORCE_EV_PER_ANG = 1e-3


class CorrectionError(PesbenchError):
    """A correction cannot be fitted, read, or applied."""


@dataclass(frozen=True)
class Phase:
    """A reference phase: atoms of each element in its cell, and the model's energy of the relaxed cell."""

    atoms: Mapping[str, int]
    energy_ev: float

    @classmethod
    def of(cls, relaxed: Atoms) -> Phase:
        """Return the phase of relaxed atoms that carry the model's calculator."""
        return cls(dict(Counter(relaxed.get_chemical_symbols())), float(relaxed.get_potential_energy()))


@dataclass(frozen=True)
class Correction:
    """A fitted correction and where it is from.

    Attributes
    ----------
    c
        Factor of forces and stress.
    c_low, c_high
        Bootstrap 95 % interval: over frames, or over atoms where there is one frame.
    phases
        Reference phases; none: the whole energy is scaled.
    """

    c: float
    c_low: float
    c_high: float
    method: str
    n_labels: int
    n_components: int
    model: str = ""
    material: str = ""
    level_of_theory: str = ""
    phases: tuple[Phase, ...] = field(default=())

    def wrap(self, calculator: Calculator) -> CorrectedCalculator:
        """Return the corrected calculator around the model that this was fitted for."""
        return CorrectedCalculator(calculator, self.c, self.phases)

    def save(self, path: Path) -> None:
        """Write the correction as JSON."""
        write_atomic(path, json.dumps(asdict(self), indent=1) + "\n")


def load(path: str | Path) -> Correction:
    """Read a correction that `Correction.save` wrote.

    Raises
    ------
    CorrectionError
        Naming the file and the mend.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        phases = tuple(Phase(**phase) for phase in data.pop("phases"))
        return Correction(**data, phases=phases)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CorrectionError(f"{path}: is no correction ({type(error).__name__}); fit it again") from error


def factor(model: NDArray[np.float64], dft: NDArray[np.float64], method: str = "least_squares") -> float:
    """Return c from force components (eV/A) of one shape, by one of `METHODS`.

    Raises
    ------
    CorrectionError
        Unknown method, forces too small to tell, or a model whose forces point against the labels.
    """
    if method not in METHODS:
        raise CorrectionError(f"correction: method is '{method}', must be one of {', '.join(METHODS)}")
    y, x = np.ravel(model), np.ravel(dft)
    if not y.size or min(np.abs(y).max(), np.abs(x).max()) < LEAST_FORCE_EV_PER_ANG:
        raise CorrectionError("correction: the labels have no forces; take a structure far from equilibrium")
    c = float(y @ x) / float(y @ y) if method == "least_squares" else 1.0 / slope(y, x)
    if not np.isfinite(c) or c <= 0:
        raise CorrectionError(f"correction: c would be {c:.3g}; check sign and order of the labels' forces")
    return c


def typical(forces: Sequence[NDArray[np.float64]], count: int = 1) -> list[int]:
    """Return which frames to label, told by the model's forces alone, before any DFT.

    Softening is not the same at small and at large forces. A frame whose root mean square force is that of all frames
    together stands for them; the one with the largest forces does not.

    Parameters
    ----------
    forces
        The model's forces (eV/A) of each frame that could be labelled.

    Returns
    -------
    list of int
        The ``count`` frames nearest to the root mean square over all components, nearest first.
    """
    size = np.array([float((np.asarray(f) ** 2).mean()) for f in forces])
    weights = np.array([np.size(f) for f in forces])
    whole = np.sqrt(np.average(size, weights=weights))
    return [int(i) for i in np.argsort(np.abs(np.sqrt(size) - whole), kind="stable")[:count]]


def fit(
    predicted: Sequence[NDArray[np.float64]],
    labelled: Sequence[NDArray[np.float64]],
    method: str = "least_squares",
    seed: int = 0,
    **provenance: Any,
) -> Correction:
    """Fit c on labelled frames.

    Parameters
    ----------
    predicted, labelled
        Forces (n_i, 3) of each frame, of the model and of its label, in eV/A.
    provenance
        ``model``, ``material``, ``level_of_theory``, ``phases`` of the `Correction`.

    Raises
    ------
    CorrectionError
        See `factor`; or the frames do not match.
    """
    if len(predicted) != len(labelled) or any(
        np.shape(m) != np.shape(d) for m, d in zip(predicted, labelled, strict=True)
    ):
        raise CorrectionError("correction: the model's forces and the labels' are not of the same frames")
    y, x = (np.concatenate([np.reshape(f, (-1, 3)) for f in side]) for side in (predicted, labelled))
    c = factor(y, x, method)
    # Whole frames are drawn, for the forces of one belong together; of a single frame its atoms.
    cuts = np.cumsum([len(f) for f in predicted])[:-1] if len(predicted) > 1 else np.arange(1, len(y))
    low, high = _interval(y, x, np.split(np.arange(len(y)), cuts), method, seed)
    return Correction(c, low, high, method, len(predicted), y.size, **provenance)


def _interval(
    y: NDArray[np.float64], x: NDArray[np.float64], blocks: Sequence[NDArray[np.intp]], method: str, seed: int
) -> tuple[float, float]:
    """Return the percentile bootstrap 95 % interval of c, whole blocks of atoms being drawn."""
    products = np.array([(y[b] * x[b]).sum() for b in blocks])
    norms = np.array([((y if method == "least_squares" else x)[b] ** 2).sum() for b in blocks])
    drawn = np.random.default_rng(seed).integers(0, len(blocks), size=(1000, len(blocks)))
    above, below = products[drawn].sum(axis=1), norms[drawn].sum(axis=1)
    usable = (below > 0) & (above > 0)
    values = above[usable] / below[usable] if method == "least_squares" else below[usable] / above[usable]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def reference_ev(symbols: Iterable[str], phases: Sequence[Phase]) -> float:
    """Return the lowest energy (eV) of a mixture of phases that has these atoms; zero without phases.

    Raises
    ------
    CorrectionError
        No mixture has these atoms.
    """
    if not phases:
        return 0.0
    from scipy.optimize import linprog

    wanted = Counter(symbols)
    elements = sorted(set(wanted).union(*(phase.atoms for phase in phases)))
    table = np.array([[phase.atoms.get(element, 0) for phase in phases] for element in elements], dtype=float)
    energies = np.array([phase.energy_ev for phase in phases])
    found = linprog(energies, A_eq=table, b_eq=[wanted[element] for element in elements])
    if found.status != 0:
        composition = Atoms(list(wanted.elements())).get_chemical_formula()
        known = ", ".join(Atoms(list(Counter(p.atoms).elements())).get_chemical_formula() for p in phases)
        raise CorrectionError(
            f"correction: no mixture of the reference phases ({known}) is {composition}; "
            "add the relaxed pure elements to the phases"
        )
    return float(found.fun)


class CorrectedCalculator(Calculator):
    """ASE calculator: a model with forces and stress times ``c``, energies above the reference phases times ``c``.

    Energy in eV, forces in eV/A, stress in eV/A^3, as ASE has them; see the module for the reference.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012 (ASE's own form)

    def __init__(self, calculator: Calculator, c: float, phases: Sequence[Phase] = ()) -> None:
        super().__init__()
        if not np.isfinite(c) or c <= 0:
            raise CorrectionError(f"correction: c is {c}, must be a positive number")
        self.calculator, self.c, self.phases = calculator, float(c), tuple(phases)
        self._references: dict[str, float] = {}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Evaluate one structure (called by ASE)."""
        super().calculate(atoms, properties, system_changes)
        reference = self._reference(self.atoms)
        energy = reference + self.c * (self.calculator.get_property("energy", self.atoms) - reference)
        self.results |= {"energy": energy, "free_energy": energy}
        for name in {"forces", "stress"} & set(properties):
            value = self.calculator.get_property(name, self.atoms)
            if value is None:
                raise PropertyNotImplementedError(f"the corrected model has no {name}")
            self.results[name] = self.c * value

    def _reference(self, atoms: Atoms) -> float:
        formula = atoms.get_chemical_formula()
        if formula not in self._references:
            self._references[formula] = reference_ev(atoms.get_chemical_symbols(), self.phases)
        return self._references[formula]
