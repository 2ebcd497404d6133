"""From the Materials Project: the slabs of its surfaces (crystalium), and the stable crystal of each element.

R. Tran et al., Sci. Data 3, 160080 (2016), for the surfaces; the key and the manners are those of `materials_project`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mp_api.client.routes.materials.summary import SummaryRester
from mp_api.client.routes.materials.surface_properties import SurfacePropertiesRester
from pymatgen.core import Structure

from pesbench.errors import SourceError
from pesbench.files import write_atomic
from pesbench.sources.label_readers import atoms_of
from pesbench.sources.materials_project import (
    MATERIAL,
    Quiet,
    database_version,
    make_client,
    one_line,
    plain_structure,
)

if TYPE_CHECKING:
    from ase import Atoms

ELEMENT_FIELDS = ["material_id", "formula_pretty", "energy_per_atom", "energy_above_hull", "structure"]
PAGE_SIZE = 500


class _Surfaces(Quiet, SurfacePropertiesRester):
    """The surfaces of a material."""


class _Summary(Quiet, SummaryRester):
    """The summary of a material."""


@dataclass(frozen=True)
class Surface:
    """One slab of the database with its energy.

    Attributes
    ----------
    energy_j_per_m2
        Surface energy, PBE, in J/m^2.
    """

    miller: tuple[int, ...]
    energy_j_per_m2: float
    reconstructed: bool
    slab: Atoms


def fetch_surfaces(material: str, output: Path) -> None:
    """Fetch every slab of one elemental crystal, and write them as JSON.

    Raises
    ------
    SourceError
        One line that names the material and the mend; it never holds the key.
    """
    if not MATERIAL.fullmatch(material):
        raise SourceError(f"{material}: is no Materials Project id; write it like mp-30")
    client = make_client(_Surfaces, material)
    with client.session, one_line(material, client.base_endpoint):
        found: list[Any] = client.search(material_ids=material, chunk_size=1)
        if not found or not found[0].get("surfaces"):
            raise SourceError(
                f"{material}: the Materials Project has no surfaces of it; crystalium has elements only"
            )
        surfaces = [_surface(entry) for entry in found[0]["surfaces"]]
        version = database_version(client)
    data = {
        "material_id": material,
        "database_version": version,
        "licence": "CC BY 4.0",
        "surfaces": surfaces,
    }
    write_atomic(output, json.dumps(data) + "\n")


def _surface(entry: dict[str, Any]) -> dict[str, Any]:
    """Return one slab in plain numbers; the database gives structures as CIF or as pymatgen's JSON."""
    given = entry["structure"]
    slab = Structure.from_str(given, fmt="cif") if isinstance(given, str) else plain_structure(given)
    return {
        "miller": [int(index) for index in entry["miller_index"]],
        "energy_j_per_m2": float(entry["surface_energy"]),
        "reconstructed": bool(entry["is_reconstructed"]),
        "structure": slab.as_dict(),
    }


def read_surfaces(path: Path) -> Iterator[Surface]:
    """Yield the slabs that `fetch_surfaces` wrote.

    Raises
    ------
    SourceError
        The file is not what it writes.
    """
    try:
        for entry in json.loads(path.read_text(encoding="utf-8"))["surfaces"]:
            yield Surface(
                miller=tuple(entry["miller"]),
                energy_j_per_m2=entry["energy_j_per_m2"],
                reconstructed=entry["reconstructed"],
                slab=atoms_of(entry["structure"], str(path)),
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path}: is no list of surfaces ({type(error).__name__}); fetch it again"
        ) from error


def fetch_elements(output: Path, elements: Sequence[str] = ()) -> None:
    """Fetch the most stable crystal of each element, and write them as JSON, by element.

    Parameters
    ----------
    elements
        Those that are wanted; none: all that the database has.

    Raises
    ------
    SourceError
        One line with the mend, or with the first element that the database has no stable crystal of.
    """
    client = make_client(_Summary, "elements")
    with client.session, one_line("elements", client.base_endpoint):
        found: list[Any] = client.search(
            num_elements=(1, 1), is_stable=True, fields=ELEMENT_FIELDS, chunk_size=PAGE_SIZE
        )
        best: dict[str, Any] = {}
        for document in sorted(found, key=lambda d: (d["energy_above_hull"], d["energy_per_atom"])):
            structure = plain_structure(document["structure"])
            entry = {
                "material_id": str(document["material_id"]),
                "energy_ev_per_atom": float(document["energy_per_atom"]),
                "structure": structure.as_dict(),
            }
            best.setdefault(structure.composition.elements[0].symbol, entry)
        version = database_version(client)
    missing = sorted(set(elements) - set(best))
    if missing:
        raise SourceError(f"{missing[0]}: the Materials Project has no stable crystal of it; leave it out")
    chosen = {element: best[element] for element in sorted(elements or best)}
    data = {"database_version": version, "licence": "CC BY 4.0", "elements": chosen}
    write_atomic(output, json.dumps(data) + "\n")
