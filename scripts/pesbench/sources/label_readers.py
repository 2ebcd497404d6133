"""Read labelled frames from what others wrote: ASE databases, pymatgen JSON, VASP's vasprun.xml and OUTCAR.

Nothing read here may make objects by name: JSON is turned into structures by this module, never by a decoder that
imports what the file asks for.
"""

from __future__ import annotations

import io
import json
import re
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pesbench.sources.archives import read_bounded
from pesbench.sources.frames import KBAR_EV_PER_ANG3, Frame, LabelError, stress_of_vasp, voigt

if TYPE_CHECKING:
    from ase import Atoms

#: VASP's internal number of the functional (LEXCH) and its name where the GGA tag is given.
FUNCTIONALS = {
    "8": "PBE",
    "PE": "PBE",
    "14": "PBEsol",
    "PS": "PBEsol",
    "40": "RPBE",
    "RP": "RPBE",
    "RE": "revPBE",
}
FUNCTIONALS |= {"2": "LDA", "CA": "LDA"}
GPA_EV_PER_ANG3 = 1e9 * 1e-30 / 1.602176634e-19
ENERGY_NAMES = ("energy_ev", "energy", "uncorrected_total_energy", "vasp_e")
FORCE_NAMES = ("forces_ev_per_ang", "forces", "force", "vasp_f")
#: Largest file of frames that is read in one piece.
MOST_BYTES = 4 * 2**30


def read_ase_db(path: Path, level_of_theory: str) -> Iterator[Frame]:
    """Yield the rows of an ASE database (SQLite) in the order of their ids."""
    from ase.db import connect

    try:
        for row in connect(path, type="db", use_lock_file=False).select(sort="id"):
            level = str(row.get("level_of_theory", level_of_theory))
            values = {name: row.get(name) for name in ("energy", "forces", "stress")}
            where = f"{path}, row {row.id}"
            yield frame_of(where, row.toatoms(), values, level, str(row.get("material", "")), f"row-{row.id}")
    except (sqlite3.Error, ValueError, KeyError) as error:
        raise LabelError(
            f"{path}: is no database of ASE ({type(error).__name__}); export it again"
        ) from error


def read_json(path: Path, level_of_theory: str) -> Iterator[Frame]:
    """Yield the frames of a JSON file of pymatgen structures with labels.

    A list of records, or records by id, or by material and id, each ``{"structure": {...}, "energy": eV,
    "forces": [[...]]}``. The stress must be named with its unit, ``stress_ev_per_ang3`` (positive under tension),
    ``stress_gpa`` (likewise) or ``stress_kbar`` (VASP's, positive under compression): under the bare name files
    disagree about unit and sign.
    """
    try:
        data = json.loads(read_bounded(path, MOST_BYTES))
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path}: is no JSON ({str(error)[:80]}); export it again") from error
    for name, material, record in _records(data, path):
        where = f"{path}, {name}"
        if "stress" in record and not any(key in record for key in ("stress_ev_per_ang3", "stress_gpa")):
            raise LabelError(
                f"{where}: the key stress has no unit; name it stress_ev_per_ang3, stress_gpa or stress_kbar"
            )
        values = {
            "energy": next((record[k] for k in ENERGY_NAMES if k in record), None),
            "forces": next((record[k] for k in FORCE_NAMES if k in record), None),
            "stress": _json_stress(record, where),
        }
        level = str(record.get("level_of_theory", level_of_theory))
        yield frame_of(where, atoms_of(record.get("structure"), where), values, level, material, name)


def _records(data: Any, path: Path) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield (id, material, record) of every layout that holds them."""
    if not isinstance(data, list | dict):
        raise LabelError(
            f"{path}: is neither a list nor a mapping of records with structure, energy and forces"
        )
    named = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in named:
        name = str(value.get("id", key)) if isinstance(value, dict) else str(key)
        inner = value if isinstance(value, list) else [value]
        for number, record in enumerate(inner):
            if not isinstance(record, dict):
                raise LabelError(f"{path}, {name}: is no record with the keys structure, energy and forces")
            if "structure" in record:
                own = name if len(inner) == 1 else f"{name}-{number}"
                yield own, str(record.get("material", "")), record
                continue
            for state, below in record.items():
                if not isinstance(below, dict) or "structure" not in below:
                    raise LabelError(f"{path}, {name}, {state}: has no structure")
                yield state, name, below


def _json_stress(record: Mapping[str, Any], where: str) -> Any:
    if record.get("stress_ev_per_ang3") is not None:
        return record["stress_ev_per_ang3"]
    if record.get("stress_gpa") is not None:
        return voigt(record["stress_gpa"], where) * GPA_EV_PER_ANG3
    for name in ("stress_kbar", "vasp_s"):
        if record.get(name) is not None:
            return stress_of_vasp(record[name], where)
    return None


def atoms_of(structure: Any, where: str) -> Atoms:
    """Return the atoms of a pymatgen structure's JSON; nothing but lattice, elements and coordinates is looked at.

    Raises
    ------
    LabelError
        Not such a structure, or sites that are shared by several elements.
    """
    from ase import Atoms

    try:
        matrix = np.asarray(structure["lattice"]["matrix"], dtype=float)
        species = [site["species"] for site in structure["sites"]]
        fractions = np.asarray([site["abc"] for site in structure["sites"]], dtype=float).reshape(-1, 3)
        if any(len(site) != 1 or site[0]["occu"] != 1 for site in species):
            raise LabelError(f"{where}: has sites of several elements; only ordered structures have labels")
        elements = [re.sub(r"[^A-Za-z].*", "", site[0]["element"]) for site in species]
        return Atoms(elements, scaled_positions=fractions, cell=matrix, pbc=True)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise LabelError(
            f"{where}: is no structure as pymatgen writes it ({type(error).__name__})"
        ) from error


def read_vasprun(path: Path, level_of_theory: str) -> Iterator[Frame]:
    """Yield every ionic step of a vasprun.xml.

    Raises
    ------
    LabelError
        Cut off or no XML, a step whose electrons did not converge, or a functional that is not the stated one.
    """
    from pymatgen.io.ase import AseAtomsAdaptor
    from pymatgen.io.vasp.outputs import Vasprun

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unconverged steps: they are looked at below
            run = Vasprun(path, parse_dos=False, parse_eigen=False, parse_potcar_file=False)
            level = _level(path, _level_of_vasprun(run), level_of_theory)
    except (SyntaxError, KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
        raise LabelError(
            f"{path}: is cut off or no vasprun.xml ({type(error).__name__}); copy it again"
        ) from error
    most = int(run.parameters["NELM"])
    for number, step in enumerate(run.ionic_steps):
        if len(step["electronic_steps"]) >= most:
            raise LabelError(
                f"{path}, frame {number}: the electrons did not converge in NELM = {most} steps; redo it"
            )
        values = {
            "energy": _energy(step, float(run.parameters.get("PSTRESS", 0.0))),
            "forces": step.get("forces"),
            "stress": stress_of_vasp(step["stress"], f"{path}, frame {number}") if "stress" in step else None,
        }
        atoms = AseAtomsAdaptor.get_atoms(step["structure"])
        yield frame_of(f"{path.name}-{number}", atoms, values, level)


def _energy(step: Mapping[str, Any], pressure_kbar: float) -> float | None:
    """Return the energy (eV) extrapolated to zero smearing, with what is added after the electronic steps (dispersion).

    The step's own ``e_0_energy`` is wrong in some versions of VASP, and its ``e_fr_energy`` is the enthalpy where a
    pressure is set; those of the last electronic step are right.
    """
    last = step["electronic_steps"][-1] if step["electronic_steps"] else {}
    if not {"e_fr_energy", "e_0_energy"} <= last.keys() or "e_fr_energy" not in step:
        return None
    work_ev = pressure_kbar * KBAR_EV_PER_ANG3 * step["structure"].volume
    return float(step["e_fr_energy"] - work_ev + last["e_0_energy"] - last["e_fr_energy"])


def _level_of_vasprun(run: Any) -> str:
    symbols = " ".join(run.potcar_symbols)
    level = str(run.run_type)
    if level.startswith("GGA"):  # no GGA tag: the functional is that of the POTCAR
        level = level.replace("GGA", "PBE" if "PAW_PBE" in symbols else "LDA", 1)
    return level


def read_outcar(path: Path, level_of_theory: str) -> Iterator[Frame]:
    """Yield every ionic step of an OUTCAR.

    Raises
    ------
    LabelError
        Cut off, a step whose electrons did not converge, or a functional that is not the stated one.
    """
    import ase.io
    from ase.io import ParseError

    text = read_bounded(path, MOST_BYTES).decode(errors="replace")
    level = _level(path, _level_of_outcar(text), level_of_theory)
    ends = re.findall(r"aborting loop (because EDIFF is reached|EDIFF was not reached|)", text)
    if any("not reached" in end for end in ends):
        number = next(n for n, end in enumerate(ends) if "not reached" in end)
        raise LabelError(
            f"{path}, frame {number}: the electrons did not converge; redo it with more steps (NELM)"
        )
    stream = io.StringIO(text)
    stream.name = str(path)  # ASE looks beside the file for constraints
    try:
        images = ase.io.read(stream, ":", format="vasp-out")
    except (ParseError, ValueError, IndexError, StopIteration, RuntimeError) as error:
        raise LabelError(
            f"{path}: is cut off or no OUTCAR ({type(error).__name__}); copy it again"
        ) from error
    if not images:
        raise LabelError(f"{path}: is cut off before its first ionic step ends; copy it again")
    for number, atoms in enumerate(images):
        yield frame_of(f"{path.name}-{number}", atoms, atoms.calc.results, level)


def _level_of_outcar(text: str) -> str:
    """Return the functional that an OUTCAR states, empty where it is none of those known here."""
    tag = re.search(r"^\s*GGA\s*=\s*(\S\S)", text, re.MULTILINE)
    number = re.search(r"^\s*LEXCH\s*=\s*(\d+)", text, re.MULTILINE)
    meta = re.search(r"^\s*METAGGA\s*=\s*(\w+)", text, re.MULTILINE)
    if re.search(r"^\s*LHFCALC\s*=\s*T", text, re.MULTILINE):
        return ""
    if meta and meta.group(1) not in ("F", "NONE"):
        return meta.group(1)
    key = tag.group(1) if tag and tag.group(1) != "--" else (number.group(1) if number else "")
    level = FUNCTIONALS.get(key, "")
    return f"{level}+U" if level and re.search(r"^\s*LDAUTYPE\s*=\s*\d", text, re.MULTILINE) else level


def _level(path: Path, found: str, stated: str) -> str:
    """Return the level of theory: found in the file, or stated by the caller, who may add to it (``PBE (MP)``)."""
    if stated and found and not re.match(rf"{re.escape(found)}(?![\w+])", stated, re.IGNORECASE):
        raise LabelError(
            f"{path}: was calculated with {found}, not with the stated {stated}; mend what is wrong"
        )
    return stated or found


def frame_of(
    where: str,
    atoms: Atoms,
    values: Mapping[str, Any],
    level_of_theory: str,
    material: str = "",
    name: str = "",
    split: str = "",
) -> Frame:
    """Return a frame, its labels as plain arrays and its atoms without a calculator.

    Parameters
    ----------
    where
        For messages; the frame's id where ``name`` is empty.
    values
        ``energy`` (eV), ``forces`` (eV/A), ``stress`` (eV/A^3, positive under tension; may be absent).

    Raises
    ------
    LabelError
        No energy, no forces, or not numbers.
    """
    absent = [key for key in ("energy", "forces") if values.get(key) is None]
    if absent:
        raise LabelError(f"{where}: has no {' and no '.join(absent)}; a label needs both")
    bare = atoms.copy()
    bare.calc, bare.info = None, {}
    stress = values.get("stress")
    try:
        return Frame(
            id=name or where,
            material=material or bare.get_chemical_formula(empirical=True),
            atoms=bare,
            energy_ev=float(values["energy"]),
            forces_ev_per_ang=np.array(values["forces"], dtype=float),
            stress_ev_per_ang3=None if stress is None else voigt(stress, where),
            level_of_theory=level_of_theory,
            split=split,
        )
    except (TypeError, ValueError) as error:
        raise LabelError(f"{where}: energy or forces are not numbers of one shape; mend them") from error
