"""Are the labels of a set plausible? What is wrong is named by file, frame and kind, all in one message."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pesbench.sources.frames import Frame, LabelError

#: Largest force that a label may have. The largest of any set at hand is 27 eV/A (random atoms at 1000 GPa: 20 eV/A).
MOST_FORCE_EV_PER_ANG = 500.0
#: Highest energy in any set at hand: 11.5 eV/atom. There is no such bound below: codes count different electrons.
MOST_ENERGY_EV_PER_ATOM = 100.0
SHORTEST_DISTANCE_ANG = 0.3
#: Named in one message; of the others only their number is stated.
MOST_NAMED = 8
DIGITS = 6


def check_frames(frames: Sequence[Frame], path: Path, repeats_allowed: bool = False) -> None:
    """Refuse a set whose labels cannot be what they should be.

    Parameters
    ----------
    path
        File that the frames are from, for the message.
    repeats_allowed
        The same structure twice with the same labels is accepted: some published sets have that.

    Raises
    ------
    LabelError
        One line: file, then for up to eight frames their number from 0, their id and what is wrong: no frames,
        labels that are not finite, of a wrong shape or beyond any plausible bound, atoms on top of each other, mixed
        levels of theory, an id or a structure that comes twice.
    """
    if not frames:
        raise LabelError(f"{path}: holds no frame")
    found = [
        f"frame {number} ({frame.id}): {problem}"
        for number, frame in enumerate(frames)
        for problem in _problems(frame)
    ]
    found += _mixed(frames)
    found += _repeated(frames, repeats_allowed)
    if found:
        more = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise LabelError(
            f"{path}: {'; '.join(found[:MOST_NAMED])}{more}; mend these frames or leave them out"
        )


def _problems(frame: Frame) -> Iterator[str]:
    """Yield what is wrong with one frame by itself."""
    count = len(frame.atoms)
    if count == 0:
        yield "has no atoms"
        return
    if not np.isfinite(frame.atoms.positions).all() or not np.isfinite(frame.atoms.cell.array).all():
        yield "positions or cell are not finite"
        return
    if not np.isfinite(frame.energy_ev):
        yield f"the energy is {frame.energy_ev}"
    elif frame.energy_ev / count > MOST_ENERGY_EV_PER_ATOM:
        yield f"the energy is {frame.energy_ev / count:.6g} eV/atom; is it in eV?"
    yield from _force_problems(frame)
    if frame.stress_ev_per_ang3 is not None and not np.isfinite(frame.stress_ev_per_ang3).all():
        yield "the stress holds NaN or infinity"
    if frame.atoms.pbc.any() and abs(frame.atoms.cell.volume) < 0.1:
        yield "the cell has no volume"
        return
    if _shortest(frame) < SHORTEST_DISTANCE_ANG:
        yield f"two atoms are {_shortest(frame):.3f} A apart"


def _force_problems(frame: Frame) -> Iterator[str]:
    forces = frame.forces_ev_per_ang
    if forces.shape != (len(frame.atoms), 3):
        yield f"forces have shape {forces.shape} for {len(frame.atoms)} atoms"
    elif not np.isfinite(forces).all():
        atom = int(np.argmin(np.isfinite(forces).all(axis=1)))
        yield f"the force on atom {atom} holds NaN or infinity"
    elif np.abs(forces).max() > MOST_FORCE_EV_PER_ANG:
        yield f"a force is {np.abs(forces).max():.6g} eV/A; are they in eV/A?"


def _shortest(frame: Frame) -> float:
    """Return the shortest distance (angstrom) of two atoms of a frame, images included."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    atoms, reach = frame.atoms, 2 * SHORTEST_DISTANCE_ANG
    box = np.ascontiguousarray(atoms.cell.complete().array, dtype=float)
    points, periodic = np.ascontiguousarray(atoms.positions, dtype=float), atoms.pbc.astype(np.int64)
    one, other, image, distances = find_points_in_spheres(points, points, reach, periodic, box, 1e-8)
    itself = (one == other) & (image == 0).all(axis=1)
    return float(distances[~itself].min(initial=reach))


def _mixed(frames: Sequence[Frame]) -> list[str]:
    """Name the first frame of every level of theory where there are several, or where one has none."""
    first: dict[str, int] = {}
    for number, frame in enumerate(frames):
        first.setdefault(frame.level_of_theory, number)
    if len(first) == 1 and "" not in first:
        return []
    where = ", ".join(f"{level or 'none stated'} from frame {number}" for level, number in first.items())
    return [f"levels of theory are mixed or missing ({where}); one set has one"]


def _repeated(frames: Sequence[Frame], repeats_allowed: bool) -> list[str]:
    """Name ids and structures that come twice."""
    problems, ids, structures = [], dict[str, int](), dict[bytes, int]()
    for number, frame in enumerate(frames):
        if (other := ids.setdefault(frame.id, number)) != number:
            problems.append(f"frames {other} and {number} have the same id {frame.id}")
        if (other := structures.setdefault(fingerprint(frame), number)) != number:
            same = _same_labels(frames[other], frame)
            if not (same and repeats_allowed):
                how = "the same labels" if same else "DIFFERENT labels"
                problems.append(f"frames {other} and {number} are one structure with {how}")
    return problems


def fingerprint(frame: Frame) -> bytes:
    """Return a digest of cell and atoms in their order, to 1e-6 A: equal for two copies of one frame."""
    box, positions = np.round(frame.atoms.cell.array, DIGITS), np.round(frame.atoms.positions, DIGITS)
    parts = (frame.atoms.numbers.astype("<i4"), box + 0.0, positions + 0.0)  # + 0.0: no negative zero
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).digest()


def _same_labels(one: Frame, other: Frame) -> bool:
    return abs(one.energy_ev - other.energy_ev) < 1e-6 and np.allclose(
        one.forces_ev_per_ang, other.forces_ev_per_ang, atol=1e-6, equal_nan=True
    )
