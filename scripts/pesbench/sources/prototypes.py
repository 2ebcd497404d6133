"""Crystal structures from data/prototypes: space group, lattice and Wyckoff positions, checked when read."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from pymatgen.symmetry.groups import sg_symbol_from_int_number

from pesbench.errors import PrototypeError

REQUIRED_KEYS = frozenset({"mp_id", "formula", "space_group", "lattice", "sites", "magnetic", "source"})
OPTIONAL_KEYS = frozenset({"density_g_per_cm3", "full_cell"})
LATTICE_KEYS = ("a_ang", "b_ang", "c_ang", "alpha_deg", "beta_deg", "gamma_deg")
SITE_KEYS = frozenset({"element", "wyckoff", "xyz"})
SHORTEST_DISTANCE_ANG = 0.5
SYMPREC_ANG = 0.01


@dataclass(frozen=True)
class Prototype:
    """A bulk crystal as the benchmarks use it.

    Attributes
    ----------
    structure : Structure
        Conventional cell; Miller indices count in it.
    density_g_per_cm3 : float or None
        Independent value from the literature, for the check.
    digest : str
        SHA-256 of the file's bytes.
    """

    mp_id: str
    formula: str
    structure: Structure
    space_group: int
    density_g_per_cm3: float | None
    magnetic: str
    source: str
    digest: str


def load_prototype(path: Path) -> Prototype:
    """Read and check one prototype file.

    Parameters
    ----------
    path : Path
        YAML file as described in data/prototypes.

    Returns
    -------
    Prototype
        With the conventional cell built from the Wyckoff positions (or from the listed atoms).

    Raises
    ------
    PrototypeError
        If the file is unreadable, a key is unknown or absent, a number is not finite, or the built
        structure contradicts the declared formula or space group or has atoms closer than 0.5 A.
    """
    try:
        raw = path.read_bytes()
        data = yaml.safe_load(raw)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise PrototypeError(f"{path}: cannot be read as YAML ({reason}); restore the file") from error
    _check_keys(path, data)
    structure = _build(path, data)
    _check_structure(path, data, structure)
    return Prototype(
        mp_id=str(data["mp_id"]),
        formula=str(data["formula"]),
        structure=structure,
        space_group=int(data["space_group"]["number"]),
        density_g_per_cm3=data.get("density_g_per_cm3"),
        magnetic=str(data["magnetic"]),
        source=str(data["source"]).strip(),
        digest=hashlib.sha256(raw).hexdigest(),
    )


def _check_keys(path: Path, data: Any) -> None:
    if not isinstance(data, dict):
        raise PrototypeError(f"{path}: is not a mapping of keys; start from another file of data/prototypes")
    absent = sorted(REQUIRED_KEYS - data.keys())
    unknown = sorted(str(key) for key in data.keys() - REQUIRED_KEYS - OPTIONAL_KEYS)
    if absent or unknown:
        raise PrototypeError(
            f"{path}: keys absent: {', '.join(absent) or 'none'}; keys unknown: "
            f"{', '.join(unknown) or 'none'}; allowed are {', '.join(sorted(REQUIRED_KEYS | OPTIONAL_KEYS))}"
        )
    if data["mp_id"] != path.stem:
        raise PrototypeError(f"{path}: mp_id is {data['mp_id']!r}; rename the file or mend mp_id")


def _numbers(path: Path, name: str, values: list[Any]) -> list[float]:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise PrototypeError(f"{path}: {name} holds {value!r}; write a finite number")
    return [float(value) for value in values]


def _build(path: Path, data: dict[str, Any]) -> Structure:
    group = data["space_group"]
    if not isinstance(group, dict) or not isinstance(group.get("number"), int):
        raise PrototypeError(f"{path}: space_group must be {{number: 1..230, symbol: ...}}")
    box = data["lattice"]
    if not isinstance(box, dict) or set(box) != set(LATTICE_KEYS):
        raise PrototypeError(f"{path}: lattice must have exactly the keys {', '.join(LATTICE_KEYS)}")
    lattice = Lattice.from_parameters(*_numbers(path, "lattice", [box[key] for key in LATTICE_KEYS]))
    elements, positions = _sites(path, data["sites"])
    try:
        if data.get("full_cell", False):
            return Structure(lattice, elements, positions)
        symbol = sg_symbol_from_int_number(group["number"])
        return Structure.from_spacegroup(symbol, lattice, elements, positions, tol=1e-3)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise PrototypeError(
            f"{path}: no structure can be built ({reason}); mend sites or lattice"
        ) from error


def _sites(path: Path, sites: Any) -> tuple[list[str], list[list[float]]]:
    if not isinstance(sites, list) or not sites:
        raise PrototypeError(f"{path}: sites is empty; list at least one Wyckoff position")
    for site in sites:
        if not isinstance(site, dict) or set(site) != SITE_KEYS or len(site["xyz"]) != 3:
            raise PrototypeError(f"{path}: site {site!r} needs the keys element, wyckoff, xyz (3 numbers)")
    return [str(site["element"]) for site in sites], [_numbers(path, "xyz", site["xyz"]) for site in sites]


def _check_structure(path: Path, data: dict[str, Any], structure: Structure) -> None:
    built = structure.composition.reduced_formula
    if Composition(data["formula"]).reduced_formula != built:
        raise PrototypeError(f"{path}: formula is {data['formula']} but its sites give {built}; mend either")
    distances = structure.distance_matrix[~np.eye(len(structure), dtype=bool)]
    shortest = min([*structure.lattice.abc, *distances])
    if not shortest > SHORTEST_DISTANCE_ANG:
        raise PrototypeError(f"{path}: two atoms are {shortest:.3f} A apart; mend the sites or the lattice")
    found = SpacegroupAnalyzer(structure, symprec=SYMPREC_ANG).get_space_group_number()
    if found != data["space_group"]["number"]:
        raise PrototypeError(
            f"{path}: space_group is {data['space_group']['number']} but the structure has {found}; "
            "mend the number, the lattice or the positions"
        )
    wanted = sg_symbol_from_int_number(found)
    if str(data["space_group"].get("symbol")).replace(" ", "") != wanted:
        raise PrototypeError(f"{path}: space group {found} is {wanted}; mend space_group.symbol")
