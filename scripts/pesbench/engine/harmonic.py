"""What follows from harmonic force constants: frequencies, thermodynamics, group velocities, bands and states.

Imaginary frequencies are negative numbers, as phonopy has them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from phonopy.harmonic.derivative_dynmat import DerivativeOfDynamicalMatrix
from phonopy.harmonic.dynamical_matrix import (
    DynamicalMatrix,
    diagonalize_dynamical_matrices,
    get_dynamical_matrices_at_qpoints,
    get_dynamical_matrix,
)
from phonopy.harmonic.dynmat_to_fc import get_commensurate_points
from phonopy.phonon.mesh import Mesh
from phonopy.physical_units import get_physical_units
from scipy.ndimage import gaussian_filter1d

from pesbench.engine.phonons import STRIDE, BandPath, first_atoms, force_constants, points_between

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray
    from phonopy import Phonopy
    from phonopy.structure.symmetry import Symmetry

    Complex = NDArray[np.complex128]

UNITS = get_physical_units()
#: 1 THz angstrom = 1e12/s * 1e-10 m = 100 m/s.
KM_PER_S_PER_THZ_ANG = 0.1
#: In larger primitive cells no group velocities: they would take longer than a model's forces.
VELOCITY_MAX_ATOMS = 100
DOS_POINTS = 201
#: Gamma with the non-analytical term is approached along this direction of the reciprocal primitive cell.
NAC_DIRECTION = (1, 0, 0)
#: Dynamical matrices held at a time.
BATCH_BYTES = 4e6
#: Modes closer than this are one degenerate set; below it a frequency has no velocity. Phonopy's values.
DEGENERATE_THZ = 1e-4


@dataclass(frozen=True)
class Harmonic:
    """The harmonic properties of one crystal.

    Attributes
    ----------
    values
        Numbers of the record, JSON-ready.
    bands
        Band structure and density of states for the figure, JSON-ready.
    """

    values: dict[str, Any]
    bands: dict[str, Any]


def harmonic(
    phonon: Phonopy, path: BandPath, mesh: tuple[int, int, int] | float, temperature_kelvin: float
) -> Harmonic:
    """Compute every harmonic property of a crystal from the forces on its displaced supercells.

    Parameters
    ----------
    phonon
        With displacements and forces; force constants are fitted in place. Its ``nac_params`` serve for
        ``gamma_nac`` alone, all else is without the non-analytical term.
    path
        From the start structure, the same for every model.
    mesh
        Numbers of points of a mesh centered at Gamma, which keeps the crystal's symmetry in every lattice, or
        phonopy's length (angstrom).
    """
    residuals = force_constants(phonon)
    matrix = get_dynamical_matrix(
        cast("NDArray[np.float64]", phonon.force_constants), phonon.supercell, phonon.primitive
    )
    bands, along = path_properties(matrix, path, phonon.primitive_symmetry)
    grid = Mesh(matrix, mesh, is_gamma_center=True, primitive_symmetry=phonon.primitive_symmetry)
    on_mesh = frequencies_thz(matrix, grid.qpoints)
    real = without_acoustic(on_mesh, grid.gamma_index)
    displacements = first_atoms(phonon)
    values = {
        "n_atoms_primitive": len(phonon.primitive),
        "n_atoms_supercell": len(phonon.supercell),
        "n_displacements": len(displacements),
        "displacement_ang": float(np.linalg.norm(displacements[0]["displacement"])),
        "path": along,
        "commensurate": commensurate(phonon, matrix),
        "mesh": {
            "mesh": [int(number) for number in grid.mesh_numbers],
            **extremes(on_mesh),
            **thermodynamics(real, grid.weights, temperature_kelvin),
        },
        "gamma_nac": gamma_nac(phonon),
        **asdict(residuals),
    }
    figure = band_structure(path, bands, phonon.primitive.cell)
    return Harmonic(values, {**figure, "dos": density_of_states(on_mesh, grid.weights)})


def batches(qpoints: NDArray[np.float64], n_modes: int) -> Iterator[NDArray[np.float64]]:
    """Cut a list of q-points into pieces whose dynamical matrices fit the memory meant for them."""
    size = max(1, int(BATCH_BYTES / (16 * n_modes**2)))
    return (qpoints[start : start + size] for start in range(0, len(qpoints), size))


def frequencies_thz(matrix: DynamicalMatrix, qpoints: ArrayLike) -> NDArray[np.float64]:
    """Return the frequencies at q-points, ascending, without the non-analytical term: (n_qpoints, 3N), THz."""
    points = np.array(qpoints, dtype=np.float64).reshape(-1, 3)
    eigenvalues = [
        diagonalize_dynamical_matrices(get_dynamical_matrices_at_qpoints(matrix, piece), False)[0]
        for piece in batches(points, 3 * len(matrix.primitive))
    ]
    return to_thz(np.concatenate(eigenvalues))


def to_thz(eigenvalues: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return frequencies (THz) from eigenvalues of the dynamical matrix (eV/angstrom^2/amu)."""
    return np.sign(eigenvalues) * np.sqrt(np.abs(eigenvalues)) * UNITS.DefaultToTHz


def extremes(frequencies: NDArray[np.float64]) -> dict[str, float]:
    """Return the largest and the smallest of some frequencies."""
    return {"max_frequency_thz": float(frequencies.max()), "min_frequency_thz": float(frequencies.min())}


def commensurate(phonon: Phonopy, matrix: DynamicalMatrix) -> dict[str, Any]:
    """Return the extremes at the q-points that the supercell holds exactly, where nothing is interpolated."""
    in_primitive = np.rint(np.linalg.inv(phonon.primitive_matrix) @ phonon.supercell_matrix).astype(np.int64)
    qpoints = get_commensurate_points(in_primitive)
    frequencies = frequencies_thz(matrix, qpoints)
    is_gamma = np.abs(qpoints - np.rint(qpoints)).max(axis=1) < 1e-8
    beyond = frequencies[~is_gamma]
    return {
        **extremes(frequencies),
        "gamma_thz": [float(value) for value in frequencies[is_gamma][0]],
        "min_beyond_gamma_thz": float(beyond.min()) if len(beyond) else None,
        "n_qpoints": len(qpoints),
    }


def gamma_nac(phonon: Phonopy) -> dict[str, Any] | None:
    """Return the frequencies at Gamma with the non-analytical term, or None where there are no Born charges."""
    if phonon.nac_params is None:
        return None
    found = phonon.run_qpoints([[0.0, 0.0, 0.0]], nac_q_direction=NAC_DIRECTION)
    return {"direction": list(NAC_DIRECTION), "gamma_thz": [float(value) for value in found.frequencies[0]]}


def without_acoustic(frequencies: NDArray[np.float64], gamma: int | None) -> NDArray[np.float64]:
    """Return a mesh's frequencies with the three acoustic modes at Gamma, noise around zero, set to zero."""
    cleaned = frequencies.copy()
    if gamma is not None:
        cleaned[gamma, np.argsort(np.abs(cleaned[gamma]))[:3]] = 0.0
    return cleaned


def thermodynamics(
    frequencies: NDArray[np.float64], weights: NDArray[np.int64], temperature_kelvin: float
) -> dict[str, float]:
    """Return the harmonic thermodynamics of a mesh, per mole of primitive cells, over real modes alone.

    Parameters
    ----------
    frequencies, weights
        (n_qpoints, 3N), THz, and (n_qpoints,). Zero and negative frequencies add nothing.

    Notes
    -----
    With x = h nu / k T and n = 1/(e^x - 1), summed over modes and averaged over the mesh: zero-point energy
    h nu / 2, F = h nu / 2 + k T ln(1 - e^-x), S = k [x n - ln(1 - e^-x)], C_V = k x^2 n (n + 1).
    Constants are phonopy's.
    """
    real = frequencies > 0
    weight = np.broadcast_to(weights[:, None], frequencies.shape) / weights.sum()
    energy = frequencies[real] * UNITS.THzToEv
    kt = UNITS.KB * temperature_kelvin
    x = energy / kt
    occupation = np.exp(-x) / -np.expm1(-x)
    logarithm = np.log(-np.expm1(-x))

    def mole(values: NDArray[np.float64]) -> float:
        return float(np.sum(values * weight[real]) * UNITS.EvTokJmol)

    return {
        "imaginary_share": float(weight[frequencies < 0].sum() / frequencies.shape[1]),
        "temperature_kelvin": temperature_kelvin,
        "entropy_j_per_k_mol": mole(UNITS.KB * (x * occupation - logarithm)) * 1000,
        "free_energy_kj_per_mol": mole(energy / 2 + kt * logarithm),
        "heat_capacity_j_per_k_mol": mole(UNITS.KB * x**2 * occupation * (occupation + 1)) * 1000,
        "zero_point_energy_kj_per_mol": mole(energy / 2),
    }


def path_properties(
    matrix: DynamicalMatrix, path: BandPath, symmetry: Symmetry
) -> tuple[list[NDArray[np.float64]], dict[str, float | None]]:
    """Return the frequencies at every fourth point of a path, and what the record says of the whole path."""
    coarse = [segment[::STRIDE] for segment in path.qpoints]
    if len(matrix.primitive) > VELOCITY_MAX_ATOMS:
        bands, velocity = [frequencies_thz(matrix, segment) for segment in coarse], None
    else:
        solved = [frequencies_and_velocities(matrix, segment, symmetry) for segment in coarse]
        bands = [frequencies for frequencies, _ in solved]
        fastest = max(np.linalg.norm(velocities, axis=-1).max() for _, velocities in solved)
        velocity = float(fastest) * KM_PER_S_PER_THZ_ANG
    between = frequencies_thz(matrix, points_between(path, bands))
    everything = np.concatenate([*bands, between])
    return bands, {**extremes(everything), "max_group_velocity_km_per_s": velocity}


def frequencies_and_velocities(
    matrix: DynamicalMatrix, qpoints: NDArray[np.float64], symmetry: Symmetry
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies, (n_qpoints, 3N) in THz, and d omega / d q, (n_qpoints, 3N, 3) in THz angstrom.

    Velocities are phonopy's: analytic derivative, modes of a degenerate set those that a step along (1, 2, 3)
    would split, averaged over the symmetry of q, zero below 1e-4 THz. Phonopy's own function gives the same
    numbers; it searches for degenerate modes one pair after the other, most of its time in large cells.
    """
    derivative = DerivativeOfDynamicalMatrix(matrix)
    frequencies, velocities = [], []
    for piece in batches(qpoints, 3 * len(matrix.primitive)):
        eigenvalues, vectors = diagonalize_dynamical_matrices(
            get_dynamical_matrices_at_qpoints(matrix, piece)
        )
        for q, thz, modes in zip(piece, to_thz(eigenvalues), cast("Complex", vectors), strict=True):
            derivative.run(q)
            slopes = _slopes(cast("Complex", derivative.d_dynamical_matrix), thz, modes)
            real = thz > DEGENERATE_THZ
            scale = np.where(real, UNITS.DefaultToTHz**2 / 2 / np.where(real, thz, 1.0), 0.0)
            frequencies.append(thz)
            velocities.append(
                slopes * scale[:, None] @ _little_group_mean(q, matrix.primitive.cell, symmetry)
            )
    return np.array(frequencies), np.array(velocities)


def _slopes(derivative: Complex, thz: NDArray[np.float64], modes: Complex) -> NDArray[np.float64]:
    """Return the slopes of the eigenvalues, (3N, 3), by first-order perturbation theory."""
    tilted = np.tensordot(np.array([1.0, 2.0, 3.0]), derivative, axes=1)
    modes = modes.copy()
    for group in np.split(np.arange(len(thz)), np.flatnonzero(np.diff(thz) > DEGENERATE_THZ) + 1):
        if len(group) > 1:
            block = modes[:, group]
            modes[:, group] = block @ np.linalg.eigh(block.conj().T @ tilted @ block)[1]
    return np.array([np.sum(modes.conj() * (axis @ modes), axis=0).real for axis in derivative]).T


def _little_group_mean(
    q: NDArray[np.float64], lattice: NDArray[np.float64], symmetry: Symmetry
) -> NDArray[np.float64]:
    """Return the (3, 3) matrix that averages row vectors over the rotations that leave q where it is."""
    inside = q - np.rint(q)
    kept = [
        r for r in symmetry.reciprocal_operations if np.abs(inside - r @ inside).max() < symmetry.tolerance
    ]
    reciprocal = np.linalg.inv(lattice)
    return np.mean([(reciprocal @ r @ lattice).T for r in kept], axis=0)


def band_structure(
    path: BandPath, bands: list[NDArray[np.float64]], lattice: NDArray[np.float64]
) -> dict[str, Any]:
    """Return the figure's band structure, the names of a segment's ends two by two."""
    segments = [
        {"distance": np.linspace(start, end, len(band)).tolist(), "frequencies_thz": band.tolist()}
        for (start, end), band in zip(path.ends(lattice), bands, strict=True)
    ]
    return {"labels": list(path.labels), "segments": segments}


def density_of_states(frequencies: NDArray[np.float64], weights: NDArray[np.int64]) -> dict[str, Any]:
    """Return the mesh's density of states, smoothed by one interval of its grid; its integral is 3N."""
    low, high = float(frequencies.min()), float(frequencies.max())
    margin = max(0.03 * (high - low), 0.1)
    edges = np.linspace(low - margin, high + margin, DOS_POINTS + 1)
    weight = np.broadcast_to(weights[:, None], frequencies.shape) / weights.sum()
    counts, _ = np.histogram(frequencies, edges, weights=weight)
    states = gaussian_filter1d(counts / (edges[1] - edges[0]), 1.0, mode="constant")
    return {"frequency_thz": ((edges[1:] + edges[:-1]) / 2).tolist(), "states_per_thz": states.tolist()}


def softest_in_unit_cell_thz(phonon: Phonopy) -> float:
    """Return the smallest frequency at the q-points that fold onto Gamma of the unit cell (force constants fitted).

    Where it is imaginary the crystal is a saddle point that a relaxation of the unit cell can leave.
    """
    in_primitive = np.rint(np.linalg.inv(phonon.primitive_matrix)).astype(np.int64)
    matrix = get_dynamical_matrix(
        cast("NDArray[np.float64]", phonon.force_constants), phonon.supercell, phonon.primitive
    )
    return float(frequencies_thz(matrix, get_commensurate_points(in_primitive)).min())


def extremes_on_path(phonon: Phonopy, path: BandPath) -> dict[str, Any]:
    """Return the extremes on a path alone, and how many displacements it took; force constants are fitted in place."""
    force_constants(phonon)
    matrix = get_dynamical_matrix(
        cast("NDArray[np.float64]", phonon.force_constants), phonon.supercell, phonon.primitive
    )
    coarse = [frequencies_thz(matrix, segment[::STRIDE]) for segment in path.qpoints]
    between = frequencies_thz(matrix, points_between(path, coarse))
    return {**extremes(np.concatenate([*coarse, between])), "n_displacements": len(first_atoms(phonon))}
