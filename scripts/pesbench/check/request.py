"""What a user asks for, made sure of before anything runs, and kept with copies of the files that it is about."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pesbench.check.structure import RequestError, read_structure
from pesbench.dft.gpaw import needs_hubbard
from pesbench.files import write_atomic
from pesbench.models.elements import ELEMENTS_OF_MPTRJ
from pesbench.models.zoo import standing
from pesbench.naming import check_folder
from pesbench.sources.frames import Frame
from pesbench.sources.interface import Provenance
from pesbench.sources.labelled import read_labels, write_labels

if TYPE_CHECKING:
    from ase import Atoms

    from pesbench.models.registry import Registry

NOT_STATED = "not stated"
#: Word for MODEL: every model whose environment, weights and pinned values are there.
INSTALLED = "installed"
CODES = ("gpaw", "vasp")
#: Cells from this size on take hours a label on one core.
MANY_ATOMS = 40
#: Files of a folder of calculations that hold labels, the better one first.
CALCULATIONS = ("vasprun.xml*", "OUTCAR*")


@dataclass(frozen=True)
class Request:
    """One check.

    Attributes
    ----------
    name
        Of its folder below results/check.
    structure, labels
        Paths as the user gave them; empty: not given.
    mode
        ``labels``: labelled frames are given. ``gpaw``, ``vasp``: states are sampled and labelled with it. ``none``:
        there is no DFT.
    formula, n_atoms
        Of the structure.
    n_frames
        Labelled frames given; ``odd_frames`` of them have another composition than the structure.
    level_of_theory
        Of the labels; empty without labels.
    """

    name: str
    structure: str
    labels: str
    mode: str
    formula: str
    elements: tuple[str, ...]
    n_atoms: int
    volume_ang3_per_atom: float
    n_frames: int
    odd_frames: int
    level_of_theory: str
    models: tuple[str, ...]
    sha256: dict[str, str]


def load_request(name: str) -> Request:
    """Return the request that `prepare` left.

    Raises
    ------
    RequestError
        There is none of this name.
    """
    path = Path(check_folder(name), "inputs", "request.json")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(f"{path}: no check of this name; begin with make check STRUCTURE=...") from error
    return Request(**{**raw, "elements": tuple(raw["elements"]), "models": tuple(raw["models"])})


def prepare(
    structure: str,
    labels: str,
    dft: str,
    level: str,
    models: str,
    configured: Sequence[str],
    registry: Registry,
) -> Path:
    """Check what a user asks for, keep copies below results/check, and return the file that the workflow runs with.

    Parameters
    ----------
    structure, labels
        Paths, anywhere; either may be empty. ``labels`` may be a folder of VASP calculations.
    dft
        ``gpaw``, ``vasp`` or empty.
    level
        Level of theory of labels that do not say it themselves.
    models
        Names, separated by commas; `INSTALLED`; empty: the configured ones.

    Raises
    ------
    RequestError, LabelError, ConfigError
        One line with what is wrong and the mend.
    """
    if not structure and not labels:
        raise RequestError("nothing to check: make check STRUCTURE=my.cif, or LABELS=frames.extxyz, or both")
    if dft and (dft not in CODES or labels):
        wrong = (
            "LABELS are given, so leave DFT out"
            if labels
            else f"DFT is '{dft}', must be {' or '.join(CODES)}"
        )
        raise RequestError(wrong)
    frames = _labels(Path(labels).expanduser(), level) if labels else []
    atoms = read_structure(Path(structure).expanduser()) if structure else _smallest(frames)
    odd = _compare(structure, labels, atoms, frames)
    names = _models(models, configured, registry)
    _refuse_untrained(structure or labels, atoms)
    _refuse_hubbard(structure, atoms, dft)
    request = Request(
        name="",
        structure=structure and str(Path(structure).expanduser().resolve()),
        labels=labels and str(Path(labels).expanduser().resolve()),
        mode="labels" if labels else dft or "none",
        formula=_formula(atoms),
        elements=tuple(sorted(set(atoms.get_chemical_symbols()))),
        n_atoms=len(atoms),
        volume_ang3_per_atom=round(float(atoms.get_volume()) / len(atoms), 4),
        n_frames=len(frames),
        odd_frames=odd,
        level_of_theory=frames[0].level_of_theory if frames else "",
        models=names,
        sha256=_digests(structure, labels),
    )
    return _keep(replace(request, name=_name(request)), atoms, frames)


def words(request: Request) -> str:
    """Return what is about to be done, for the terminal."""
    what = {
        "labels": f"{request.n_frames} frames of yours, labelled with {request.level_of_theory}",
        "none": "no labels: rattled and hot states are sampled, the models compared with each other",
    }.get(request.mode, f"rattled and hot states are sampled and labelled with {request.mode}")
    many = request.mode == "gpaw" and request.n_atoms > MANY_ATOMS
    more = f"; {request.n_atoms} atoms take GPAW hours a label: a smaller cell does as well" if many else ""
    return f"{request.name} ({request.formula}): {what}; {', '.join(request.models)}{more}"


def _labels(path: Path, level: str) -> list[Frame]:
    """Return a user's labelled frames; a folder's are those of every VASP calculation below it."""
    files = [path]
    if path.is_dir():
        found = {file.parent: file for kind in reversed(CALCULATIONS) for file in sorted(path.rglob(kind))}
        files = sorted(found.values())
        if not files:
            raise RequestError(
                f"{path}: no vasprun.xml and no OUTCAR below this folder; give LABELS one that has"
            )
    frames = [frame for file in files for frame in _of_file(file, level, path)]
    levels = {frame.level_of_theory for frame in frames}
    if NOT_STATED in levels:
        raise RequestError(
            f"{path}: the labels do not say their level of theory; add it to the command, such as LEVEL=PBE or "
            'LEVEL="PBE+U (MP)"'
        )
    if len(levels) > 1:
        raise RequestError(f"{path}: labels of {' and '.join(sorted(levels))} are mixed; check one at a time")
    return frames


def _of_file(file: Path, level: str, root: Path) -> list[Frame]:
    says_itself = "vasprun" in file.name or "OUTCAR" in file.name
    frames = read_labels(file, level or ("" if says_itself else NOT_STATED), repeats_allowed=True)
    if file == root:
        return frames
    prefix = str(file.parent.relative_to(root)).replace("/", "-")
    return [replace(frame, id=f"{prefix}-{number}") for number, frame in enumerate(frames)]


def _smallest(frames: Sequence[Frame]) -> Atoms:
    """Return the frame of smallest forces in the place of a structure that was not given."""
    return min(frames, key=lambda frame: float((frame.forces_ev_per_ang**2).mean())).atoms


def _formula(atoms: Atoms) -> str:
    from pymatgen.core import Composition

    return str(Composition(atoms.get_chemical_formula()).reduced_formula)


def _compare(structure: str, labels: str, atoms: Atoms, frames: Sequence[Frame]) -> int:
    """Return how many frames have another composition than the structure; refuse other elements, or all of them."""
    wanted, own = _formula(atoms), set(atoms.get_chemical_symbols())
    odd = [frame for frame in frames if _formula(frame.atoms) != wanted]
    strange = [frame for frame in odd if set(frame.atoms.get_chemical_symbols()) - own]
    if strange or (frames and len(odd) == len(frames)):
        first = (strange or odd)[0]
        raise RequestError(
            f"{labels}: frame {first.id} is {_formula(first.atoms)}, but {structure} is {wanted} "
            f"({len(strange or odd)} of {len(frames)} frames); give the structure of the labels, or LABELS alone"
        )
    return len(odd)


def _models(asked: str, configured: Sequence[str], registry: Registry) -> tuple[str, ...]:
    """Return the models to check; one that nobody has proven yet is refused here, not after an hour."""
    names = [word for word in re.split(r"[,\s]+", asked) if word] or list(configured)
    if names == [INSTALLED]:
        names = [
            n for n, e in registry.models.items() if standing(e, Path()).provable and e.family.name != "ase"
        ]
    for name in names:
        if registry.get(name).conformance is None:
            raise RequestError(
                f"model {name}: nobody has pinned its numbers yet, so it does not run; see make models, or take another"
            )
    return tuple(dict.fromkeys(names))


def _refuse_untrained(path: str, atoms: Atoms) -> None:
    absent = sorted(set(atoms.get_chemical_symbols()) - ELEMENTS_OF_MPTRJ)
    if absent:
        raise RequestError(
            f"{path}: holds {', '.join(absent)}; no registered model was trained on it, and a network answers for "
            "an element that it never saw with random numbers"
        )


def _refuse_hubbard(path: str, atoms: Atoms, dft: str) -> None:
    """Refuse GPAW's plain PBE where the models learnt a Hubbard U."""
    with_u = needs_hubbard(atoms.get_chemical_symbols())
    if dft == "gpaw" and with_u:
        raise RequestError(
            f"{path}: {', '.join(with_u)} with O or F has a Hubbard U in what the models were trained on, and GPAW is "
            "plain PBE; give LABELS with the Materials Project's settings (without DFT this writes VASP's decks)"
        )


def _digests(*paths: str) -> dict[str, str]:
    files = [Path(path).expanduser() for path in paths if path]
    return {str(f.resolve()): hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.is_file()}


def _name(request: Request) -> str:
    """Return the folder's name: the file's, with its folder's or a digest where that is not enough."""
    path = Path(request.structure or request.labels)
    stem = re.sub(r"\.(extxyz|xyz|cif|vasp|json|db|xml)(\.\w+)?$", "", path.name, flags=re.IGNORECASE)
    if stem.upper() in ("POSCAR", "CONTCAR", "VASPRUN", "OUTCAR"):
        stem = f"{path.parent.name}-{stem}"
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip("-.") or request.formula
    try:
        other = load_request(name)
    except RequestError:
        return name
    same = (other.structure or other.labels) == str(path)
    return name if same else f"{name}-{hashlib.sha256(str(path).encode()).hexdigest()[:6]}"


def _keep(request: Request, atoms: Atoms, frames: Sequence[Frame]) -> Path:
    """Write the request, its structure and its labels; what is there already, byte for byte, is left alone."""
    from ase.io import write

    folder = Path(check_folder(request.name), "inputs")
    text = io.StringIO()
    bare = atoms.copy()
    bare.info, bare.calc = {}, None
    write(text, bare, format="extxyz", columns=["symbols", "positions"])
    _write_new(folder / "structure.extxyz", text.getvalue())
    if frames:
        _keep_labels(folder / "labels.extxyz", request, frames)
    _write_new(folder / "request.json", json.dumps(asdict(request), indent=1) + "\n")
    run = folder / "run.json"
    _write_new(run, json.dumps({"models": list(request.models), "check": {"name": request.name}}) + "\n")
    return run


def _keep_labels(path: Path, request: Request, frames: Sequence[Frame]) -> None:
    """Write the labels under one material's name: they are scored together."""
    provenance = Provenance(
        source="user",
        id=request.labels,
        version="",
        date="",
        licence="the user's own",
        sha256=request.sha256.get(request.labels, ""),
    )
    fresh = path.with_name("fresh.extxyz")
    write_labels(fresh, [replace(frame, material=request.name) for frame in frames], provenance)
    if path.is_file() and path.read_bytes() == fresh.read_bytes():
        fresh.unlink()
    else:
        fresh.replace(path)
    fresh.with_name("fresh.provenance.json").replace(path.with_name("labels.provenance.json"))


def _write_new(path: Path, text: str) -> None:
    """Write a file only where that changes it: what was made from it stays valid otherwise."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_atomic(path, text)


__all__ = ["Request", "RequestError", "load_request", "prepare", "words"]
