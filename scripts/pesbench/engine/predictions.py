"""A model's answers beside the labels of a set of frames: one file, read again by tables, figures and corrections."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pesbench.errors import PesbenchError
from pesbench.failures import Failure, stage

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

    from pesbench.sources.frames import Frame

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Frames that a model finished; arrays over frames (f) and over their atoms (n), in one order.

    Attributes
    ----------
    ids, materials, levels
        Shape (f,), text: id, material and level of theory of each frame.
    n_atoms
        Shape (f,).
    energy_ev, energy_dft_ev
        Shape (f,), of the whole cell.
    stress_ev_per_ang3, stress_dft_ev_per_ang3
        Shape (f, 6), xx yy zz yz xz xy, positive under tension; NaN where there is none.
    numbers
        Shape (n,), atomic numbers.
    forces_ev_per_ang, forces_dft_ev_per_ang
        Shape (n, 3).
    failed_ids, failures
        Frames that the model did not finish, and why.
    """

    ids: NDArray[np.str_]
    materials: NDArray[np.str_]
    levels: NDArray[np.str_]
    n_atoms: NDArray[np.int64]
    energy_ev: Array
    energy_dft_ev: Array
    stress_ev_per_ang3: Array
    stress_dft_ev_per_ang3: Array
    numbers: NDArray[np.int64]
    forces_ev_per_ang: Array
    forces_dft_ev_per_ang: Array
    failed_ids: NDArray[np.str_]
    failures: NDArray[np.str_]

    @property
    def frame_of_atom(self) -> NDArray[np.intp]:
        """Index of each atom's frame, shape (n,)."""
        return np.repeat(np.arange(len(self.n_atoms)), self.n_atoms)

    def split(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Return an array over atoms as one array a frame."""
        return np.split(values, np.cumsum(self.n_atoms)[:-1])

    def take(self, frames: NDArray[np.intp]) -> Predictions:
        """Return some frames, in the order that is asked for."""
        starts = np.concatenate([[0], np.cumsum(self.n_atoms)])
        atoms = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in frames]).astype(int)
        per_atom = ("numbers", "forces_ev_per_ang", "forces_dft_ev_per_ang")
        per_frame = [f.name for f in fields(self) if f.name not in (*per_atom, "failed_ids", "failures")]
        return Predictions(
            **{name: getattr(self, name)[frames] for name in per_frame},
            **{name: getattr(self, name)[atoms] for name in per_atom},
            failed_ids=self.failed_ids,
            failures=self.failures,
        )


def predict(frames: Sequence[Frame], calculator: Calculator) -> Predictions:
    """Evaluate every frame; one that the model refuses, or answers with no finite number, is kept as failed."""
    done: list[tuple[Frame, float, Array, Array]] = []
    failed: list[tuple[str, str]] = []
    for frame in frames:
        try:
            with stage("evaluation"):
                done.append((frame, *_evaluate(frame, calculator)))
        except Failure as failure:
            failed.append((frame.id, failure.message))
    return collect(done, failed)


def _evaluate(frame: Frame, calculator: Calculator) -> tuple[float, Array, Array]:
    """Return energy, forces and stress of one frame; the stress is NaN for a frame that is no 3D crystal."""
    atoms = frame.atoms.copy()
    atoms.calc = calculator
    energy, forces = float(atoms.get_potential_energy()), atoms.get_forces()
    bulk = atoms.pbc.all() and frame.stress_ev_per_ang3 is not None
    stress = atoms.get_stress() if bulk else np.full(6, np.nan)
    return energy, np.asarray(forces, dtype=float), np.asarray(stress, dtype=float)


def collect(
    done: Sequence[tuple[Frame, float, Array, Array]], failed: Sequence[tuple[str, str]] = ()
) -> Predictions:
    """Bring (frame, energy in eV, forces in eV/A, stress in eV/A^3) of many frames together."""
    frames = [frame for frame, *_ in done]
    none = np.full(6, np.nan)

    def text(values: Sequence[str]) -> NDArray[np.str_]:
        return np.array(values, dtype=str)

    return Predictions(
        ids=text([f.id for f in frames]),
        materials=text([f.material for f in frames]),
        levels=text([f.level_of_theory for f in frames]),
        n_atoms=np.array([len(f.atoms) for f in frames], dtype=np.int64),
        energy_ev=np.array([energy for _, energy, _, _ in done], dtype=float),
        energy_dft_ev=np.array([f.energy_ev for f in frames], dtype=float),
        stress_ev_per_ang3=np.array([s for *_, s in done], dtype=float).reshape(-1, 6),
        stress_dft_ev_per_ang3=np.array(
            [none if f.stress_ev_per_ang3 is None else f.stress_ev_per_ang3 for f in frames], dtype=float
        ).reshape(-1, 6),
        numbers=np.concatenate([f.atoms.numbers for f in frames] or [np.empty(0)]).astype(np.int64),
        forces_ev_per_ang=np.concatenate([forces for _, _, forces, _ in done] or [np.empty((0, 3))]),
        forces_dft_ev_per_ang=np.concatenate([f.forces_ev_per_ang for f in frames] or [np.empty((0, 3))]),
        failed_ids=text([name for name, _ in failed]),
        failures=text([reason for _, reason in failed]),
    )


def to_bytes(predictions: Predictions) -> bytes:
    """Return the file's content; the same predictions give the same bytes."""
    buffer = io.BytesIO()
    # Forces to single precision: half the size, and 1e-7 of a force is nothing.
    single = ("forces_ev_per_ang", "forces_dft_ev_per_ang")
    arrays = {
        field.name: getattr(predictions, field.name).astype(np.float32)
        if field.name in single
        else getattr(predictions, field.name)
        for field in fields(predictions)
    }
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def read_predictions(path: Path) -> Predictions:
    """Read a file of `to_bytes`.

    Raises
    ------
    PesbenchError
        The file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {field.name: file[field.name] for field in fields(Predictions)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise PesbenchError(
            f"{path}: no predictions to read ({error}); delete its journal and rerun"
        ) from error
    doubled = {n: a.astype(np.float64) for n, a in arrays.items() if a.dtype == np.float32}
    return Predictions(**{**arrays, **doubled})
