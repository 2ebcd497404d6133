"""Phonons by finite displacements: phonopy's displacement set, a model's forces, force constants, the file kept.

``pesbench.engine.harmonic`` says what follows from the force constants. A database's forces and a model's
go through the same functions.
"""

from __future__ import annotations

import itertools
import lzma
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import seekpath
from ase import Atoms
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import get_primitive, get_primitive_matrix_with_auto

from pesbench.engine.evaluate import forces_of
from pesbench.errors import PesbenchError
from pesbench.failures import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ase.calculators.calculator import Calculator
    from numpy.typing import NDArray

POINTS_PER_SEGMENT = 101
#: Every fourth of them is kept for the figure and asked for its group velocity.
STRIDE = 4


@dataclass(frozen=True)
class BandPath:
    """A path through high-symmetry points, cut into straight segments.

    Attributes
    ----------
    qpoints
        For each segment (n, 3) fractional coordinates in the reciprocal primitive cell, both ends included.
    labels
        Seekpath's names of the ends, two for each segment: ``("GAMMA", "X", "X", "U", ...)``.
    connections
        For each segment whether the next one starts where it ends.
    """

    qpoints: tuple[NDArray[np.float64], ...]
    labels: tuple[str, ...]
    connections: tuple[bool, ...]

    def on(self, primitive_matrix: NDArray[np.float64]) -> BandPath:
        """Return the same points in the coordinates of the unit cell, whose primitive cell the matrix makes."""
        inverse = np.linalg.inv(primitive_matrix)
        return replace(self, qpoints=tuple(segment @ inverse for segment in self.qpoints))

    def ends(self, lattice: NDArray[np.float64]) -> list[tuple[float, float]]:
        """Return where each segment starts and ends on a figure's axis (1/angstrom, without 2 pi)."""
        steps = [np.linalg.inv(lattice) @ (segment[-1] - segment[0]) for segment in self.qpoints]
        marks = itertools.accumulate((float(np.linalg.norm(step)) for step in steps), initial=0.0)
        return list(itertools.pairwise(marks))


@dataclass(frozen=True)
class Residuals:
    """What the forces and force constants broke of translational invariance before it was imposed.

    Attributes
    ----------
    force_drift_ev_per_ang
        Largest mean force on a displaced supercell's atoms.
    asr_residual_ev_per_ang2
        Largest element of ``sum_i Phi_ij`` and ``sum_j Phi_ij``, the acoustic sum rule, before symmetrization.
    """

    force_drift_ev_per_ang: float
    asr_residual_ev_per_ang2: float


def to_phonopy(cell: Atoms | PhonopyAtoms) -> PhonopyAtoms:
    """Return a cell as phonopy's, its atoms in the same order, masses phonopy's own."""
    if isinstance(cell, PhonopyAtoms):
        return cell
    return PhonopyAtoms(
        symbols=cell.get_chemical_symbols(),
        cell=cell.cell.array,
        scaled_positions=cell.get_scaled_positions(),
    )


def to_ase(cell: PhonopyAtoms) -> Atoms:
    """Return a cell as ASE's, its atoms in the same order."""
    return Atoms(cell.symbols, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True)


def band_path(
    cell: Atoms | PhonopyAtoms,
    primitive_matrix: NDArray[np.float64] | Literal["auto"] = "auto",
    symprec: float = 1e-5,
) -> BandPath:
    """Return seekpath's path for a unit cell, once for all models: call it on the start structure.

    The fractional coordinates are those of phonopy's helper ``get_band_qpoints_by_seekpath`` [1]_, to be
    applied as they are to every relaxed primitive cell. As there, they are taken for the primitive cell at
    hand even where it is not seekpath's standard one: the names are then the standard cell's alone.

    References
    ----------
    .. [1] Y. Hinuma et al., Comput. Mater. Sci. 128, 140 (2017).
    """
    unitcell = to_phonopy(cell)
    matrix = get_primitive_matrix_with_auto(unitcell, primitive_matrix, symprec=symprec)
    primitive = get_primitive(unitcell, matrix, symprec)
    found = seekpath.get_path(primitive.totuple(), symprec=symprec)
    ends, points = found["path"], found["point_coords"]
    segments = tuple(np.linspace(points[start], points[end], POINTS_PER_SEGMENT) for start, end in ends)
    connections = (*(before[1] == after[0] for before, after in itertools.pairwise(ends)), False)
    return BandPath(segments, tuple(itertools.chain(*ends)), connections)


def points_between(path: BandPath, bands: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return those of the path's other points, (n, 3), that the highest or lowest frequency may be at.

    Between two of the points at hand a band is taken to rise or fall by no more than its largest step between
    neighbors of that segment.
    """
    high, low = max(band.max() for band in bands), min(band.min() for band in bands)
    found = [np.empty((0, 3))]
    for qpoints, band in zip(path.qpoints, bands, strict=True):
        step = np.abs(np.diff(band, axis=0)).max(axis=0)
        may_top = np.maximum(band[1:, -1], band[:-1, -1]) + step[-1] >= high
        may_dip = np.minimum(band[1:, 0], band[:-1, 0]) - step[0] <= low
        for index in np.flatnonzero(may_top | may_dip) * STRIDE:
            found.append(qpoints[index + 1 : index + STRIDE])
    return np.concatenate(found)


def displaced_forces(
    unitcell: Atoms | PhonopyAtoms,
    supercell_matrix: NDArray[np.int64],
    primitive_matrix: NDArray[np.float64] | Literal["auto"],
    calculator: Calculator,
    *,
    displacement_ang: float = 0.01,
    symprec: float = 1e-5,
    along_axes: bool = True,
    known: Phonopy | None = None,
) -> Phonopy:
    """Ask a calculator for the forces on phonopy's displaced supercells.

    Parameters
    ----------
    unitcell
        Relaxed unit cell.
    supercell_matrix, primitive_matrix
        (3, 3), phonopy's convention; the primitive one is relative to the unit cell.
    displacement_ang
        Length of a displacement (angstrom).
    along_axes
        Displace along the lattice vectors alone, as PhononDB and Loew et al. do; else along diagonals too, phonopy's
        default and Deng's, which takes fewer displacements. A model whose energy has a cusp, such as CHGNet where
        three atoms stand in line, gives other force constants.
    known
        Displacements with forces of the same supercell: what is among them is not asked again.

    Returns
    -------
    phonopy.Phonopy
        With a displacement dataset whose forces (eV/angstrom) are as the calculator gave them. Forces that the
        undisplaced cell keeps are not subtracted: each displacement comes with its opposite, by symmetry or
        explicitly, and they cancel in the fit of the force constants.

    Raises
    ------
    pesbench.failures.Failure
        When a force is not a finite number, or the model says that it cannot give one; names the displacement.
    """
    phonon = Phonopy(to_phonopy(unitcell), supercell_matrix, primitive_matrix, symprec=symprec)
    phonon.generate_displacements(distance=displacement_ang, is_diagonal=not along_axes)
    supercell, displacements = to_ase(phonon.supercell), first_atoms(phonon)
    had = {} if known is None else {_key(one): one["forces"] for one in first_atoms(known)}
    asked = [one for one in displacements if _key(one) not in had]
    found = forces_of(calculator, (_displaced(supercell, displacement) for displacement in asked))
    for number, displacement in enumerate(displacements, start=1):
        forces = had.get(_key(displacement))
        if forces is None:
            forces = _next(found, _name(displacement, number, displacements))
        displacement["forces"] = forces
    return phonon


def _key(displacement: dict[str, Any]) -> tuple[int, ...]:
    """Return atom and vector, to a millionth of an angstrom."""
    vector = np.rint(np.asarray(displacement["displacement"]) * 1e6).astype(int)
    return int(displacement["number"]), *vector.tolist()


def first_atoms(phonon: Phonopy) -> list[dict[str, Any]]:
    """Return the displacements, one atom each, of phonopy's type-1 dataset, to be read and filled in place."""
    return cast("list[dict[str, Any]]", cast("dict[str, Any]", phonon.dataset)["first_atoms"])


def _displaced(supercell: Atoms, displacement: dict[str, Any]) -> Atoms:
    moved = supercell.copy()
    moved.positions[displacement["number"]] += displacement["displacement"]
    return moved


def _next(found: Iterator[NDArray[np.float64]], name: str) -> NDArray[np.float64]:
    try:
        forces = next(found)
    except PesbenchError as error:
        raise Failure("displacements", f"{name}: {error}") from error
    if not np.isfinite(forces).all():
        raise Failure("displacements", f"{name}: a force is not finite")
    return forces


def _name(displacement: dict[str, Any], number: int, displacements: list[dict[str, Any]]) -> str:
    vector = ", ".join(f"{value:+.4f}" for value in displacement["displacement"])
    return f"displacement {number} of {len(displacements)} (atom {displacement['number'] + 1} by {vector} A)"


def force_constants(phonon: Phonopy) -> Residuals:
    """Fit the force constants to the forces in place, and impose translational and permutation symmetry.

    The mean force of every supercell is removed from its forces first, as phonopy does where it reads them
    from a calculator's output.

    Raises
    ------
    pesbench.failures.Failure
        When a displacement is zero, or its forces are missing, not finite, or not those of the supercell.
    """
    displacements = first_atoms(phonon)
    shape = (len(phonon.supercell), 3)
    drift = 0.0
    for number, displacement in enumerate(displacements, start=1):
        forces = np.asarray(displacement.get("forces", np.nan), dtype=np.float64)
        if forces.shape != shape or not np.isfinite(forces).all() or not np.any(displacement["displacement"]):
            name = _name(displacement, number, displacements)
            raise Failure(
                "force_constants", f"{name} is zero, or its forces are not {shape[0]} x 3 finite numbers"
            )
        mean = forces.mean(axis=0)
        drift = max(drift, float(np.linalg.norm(mean)))
        displacement["forces"] = forces - mean
    phonon.produce_force_constants(show_drift=False)
    constants = cast("NDArray[np.float64]", phonon.force_constants)
    residual = max(float(np.abs(constants.sum(axis=index)).max()) for index in (0, 1))
    phonon.symmetrize_force_constants(show_drift=False)
    return Residuals(drift, residual)


def save(phonon: Phonopy) -> bytes:
    """Return phonopy's own file with displacements and forces, xz-compressed: ``phonopy.load`` reads it.

    The same phonons give the same bytes: no time stamp, no path.
    """
    wanted = {"force_sets": True, "displacements": True, "force_constants": False}
    return lzma.compress(str(phonon.to_phonopy_yaml(settings=wanted)).encode())
