"""Labelled frames: read a user's or a publisher's, check them, keep them as extended XYZ with their provenance.

The project's format is extended XYZ: ``energy`` (eV, of the cell), ``forces`` (eV/A), ``stress`` (eV/A^3, nine numbers,
positive under tension), and for each frame ``frame_id``, ``material``, ``level_of_theory`` and, where known, ``split``.
Beside ``<name>.extxyz`` stands ``<name>.provenance.json``.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pesbench.files import write_atomic
from pesbench.sources.archives import read_bounded
from pesbench.sources.frames import Frame, LabelError
from pesbench.sources.interface import Provenance
from pesbench.sources.label_checks import check_frames
from pesbench.sources.label_readers import (
    MOST_BYTES,
    frame_of,
    read_ase_db,
    read_json,
    read_outcar,
    read_vasprun,
)

if TYPE_CHECKING:
    from ase import Atoms

#: Units that a frame of an extended XYZ file may state, and must then have.
UNITS = {"energy_unit": ("eV",), "forces_unit": ("eV/A", "eV/Ang"), "stress_unit": ("eV/A^3", "eV/Ang^3")}
#: Names under which labels stand in files written for training.
OTHER_NAMES = ("REF_", "ref_", "dft_", "DFT_")
IDS = ("frame_id", "internal_id", "id")
COMPRESSED = (".gz", ".bz2", ".xz")


def read_labels(path: Path, level_of_theory: str = "", repeats_allowed: bool = False) -> list[Frame]:
    """Read labelled frames of any supported kind, told by the file's name, and check them.

    Parameters
    ----------
    path
        ``*.extxyz``, ``*.xyz``, ``*.db`` (ASE, SQLite), ``*.json`` (pymatgen structures), ``*vasprun*.xml``,
        ``*OUTCAR*``; all but the database also compressed (.gz, .bz2, .xz).
    level_of_theory
        Such as ``PBE``; needed where the file does not say it.
    repeats_allowed
        See `check_frames`.

    Raises
    ------
    LabelError, ArchiveError
        One line that names the file, the frame and the mend.
    """
    frames = list(_reader(path)(path, level_of_theory))
    if frames and not any(frame.level_of_theory for frame in frames):
        raise LabelError(f"{path}: does not say its level of theory; state it, such as level_of_theory=PBE")
    check_frames(frames, path, repeats_allowed)
    return frames


def _reader(path: Path) -> Callable[[Path, str], Iterator[Frame]]:
    """Return the reader for a file, told by its name."""
    name = path.name
    for suffix in COMPRESSED:
        name = name.removesuffix(suffix)
    if not path.is_file():
        raise LabelError(f"{path}: no such file")
    if name.endswith((".xyz", ".extxyz")):
        return read_extxyz
    if name.endswith(".db"):
        return read_ase_db
    if name.endswith(".json"):
        return read_json
    if "vasprun" in name and name.endswith(".xml"):
        return read_vasprun
    if "OUTCAR" in name:
        return read_outcar
    raise LabelError(
        f"{path}: is of no known kind; give *.extxyz, *.xyz, *.db (ASE), *.json (pymatgen), *vasprun*.xml or *OUTCAR*"
    )


def read_extxyz(path: Path, level_of_theory: str) -> Iterator[Frame]:
    """Yield the frames of an extended XYZ file, the project's own or another's.

    Raises
    ------
    LabelError
        Not such a file, a frame without labels, or one that states other units than eV, eV/A and eV/A^3.
    """
    from ase.io import iread
    from ase.io.extxyz import XYZError

    text = io.StringIO(read_bounded(path, MOST_BYTES).decode(errors="replace"))
    images, number = iread(text, ":", format="extxyz"), -1
    try:
        for number, atoms in enumerate(images):
            yield _xyz_frame(f"{path}, frame {number}", f"{_stem(path)}-{number}", atoms, level_of_theory)
    except (XYZError, ValueError, KeyError, IndexError, StopIteration, RuntimeError) as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise LabelError(
            f"{path}, frame {number + 1}: cannot be read as extended XYZ ({reason}); is it cut off?"
        ) from error


def _stem(path: Path) -> str:
    return re.sub(r"\.(extxyz|xyz)(\.\w+)?$", "", path.name)


def _xyz_frame(where: str, name: str, atoms: Atoms, level_of_theory: str) -> Frame:
    info: Mapping[str, Any] = atoms.info
    for key, allowed in UNITS.items():
        if info.get(key, allowed[0]) not in allowed:
            raise LabelError(f"{where}: {key} is {info[key]}; convert it to {allowed[0]}")
    values = {key: _label(atoms, key) for key in ("energy", "forces", "stress")}
    if values["energy"] is None or values["forces"] is None:
        seen = ", ".join(sorted([*info, *atoms.arrays])) or "nothing"
        raise LabelError(
            f"{where}: has no energy and forces under these names (it has {seen}); rename its labels"
        )
    frame_id = next((str(info[key]) for key in IDS if key in info), name)
    level = str(info.get("level_of_theory", level_of_theory))
    return frame_of(
        where, atoms, values, level, str(info.get("material", "")), frame_id, str(info.get("split", ""))
    )


def _label(atoms: Atoms, key: str) -> Any:
    """Return one label of a frame as ASE read it, or under a name that training files use."""
    if atoms.calc is not None and key in atoms.calc.results:
        return atoms.calc.results[key]
    for prefix in OTHER_NAMES:
        for holder in (atoms.info, atoms.arrays):
            if prefix + key in holder:
                return holder[prefix + key]
    return None


def write_labels(path: Path, frames: Sequence[Frame], provenance: Provenance) -> None:
    """Write frames in the project's format, and beside them where they are from; whole or not at all."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    text = io.StringIO()
    for frame in frames:
        atoms = frame.atoms.copy()
        atoms.info = {
            "frame_id": frame.id,
            "material": frame.material,
            "level_of_theory": frame.level_of_theory,
            **({"split": frame.split} if frame.split else {}),
        }
        labels: dict[str, Any] = {"energy": frame.energy_ev, "forces": frame.forces_ev_per_ang}
        if frame.stress_ev_per_ang3 is not None:
            labels["stress"] = frame.stress_ev_per_ang3
        atoms.calc = SinglePointCalculator(atoms, **labels)
        write(text, atoms, format="extxyz")
    write_atomic(
        provenance_of(path), json.dumps({**asdict(provenance), "frames": len(frames)}, indent=1) + "\n"
    )
    write_atomic(path, text.getvalue())


def provenance_of(path: Path) -> Path:
    """Return the file that says where a set of frames is from."""
    return path.with_name(f"{_stem(path)}.provenance.json")


def read_provenance(path: Path) -> Provenance:
    """Return where a set of frames is from.

    Raises
    ------
    LabelError
        There is no such file, or it is not what `write_labels` writes.
    """
    file = provenance_of(path)
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return Provenance(**{key: data[key] for key in Provenance.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabelError(
            f"{file}: cannot be read ({type(error).__name__}); fetch or convert the set again"
        ) from error
