"""Structures from the Materials Project, written in the format of data/prototypes; asked for in batches, and kept."""

import contextlib
import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import yaml
from mp_api.client.core.client import BaseRester
from mp_api.client.core.exceptions import MPRestError
from mp_api.client.core.utils import load_json, validate_ids
from mp_api.client.routes.materials.summary import SummaryRester
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from pymatgen.symmetry.groups import sg_symbol_from_int_number
from requests import RequestException, Response, Session
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from pesbench.errors import PrototypeError, SourceError
from pesbench.files import write_atomic
from pesbench.sources.prototypes import LATTICE_KEYS, SYMPREC_ANG, load_prototype

Rester = TypeVar("Rester", bound=BaseRester)

KEY = re.compile(r"[A-Za-z0-9]{32}")
KEY_PAGE = "https://materialsproject.org/api"
MATERIAL = re.compile(r"(mp|mvc)-[1-9]\d*")
FIELDS = ["material_id", "structure", "ordering", "builder_meta"]
ORDERINGS = {"NM": "none", "FM": "FM", "AFM": "AFM", "FiM": "FiM"}
LICENCES = {"BY-C": "CC BY 4.0", "BY-NC": "CC BY-NC 4.0"}
TIMEOUT_SECONDS = 30
ATTEMPTS = 6
BACKOFF_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 120
#: Materials asked for in one request.
BATCH = 100
TRANSIENT = (429, 500, 502, 503, 504)


class Quiet:
    """Takes from a client's route its constructor's request, which knows no time-out and no retry."""

    _get_heartbeat_info: Any = staticmethod(lambda _: ("", []))


class _Summary(Quiet, SummaryRester):
    """The summary of a material."""


def fetch(
    material: str,
    output: Path,
    expected: Path | None = None,
    cache: Path | None = None,
    also: Sequence[str] = (),
) -> None:
    """Fetch one material and write it as a prototype file.

    One request for up to ``BATCH`` materials; a second one only where a document does not say which database version
    it is from. The environment gives the key (``MP_API_KEY``) and another address of the API (``MP_API_ENDPOINT``).

    Parameters
    ----------
    material
        Materials Project id, e.g. ``mp-30``.
    output
        File to write, ``<material>.yaml``: conventional standard cell, every atom listed.
    expected
        Structure file of the same material in whose axes and origin Miller indices and cuts are counted: the fetched
        structure is brought to them, or refused.
    cache, also
        Folder in which the documents are kept, and the ids that are asked for together with this one when it is not
        there; one process at a time asks, the others then find theirs.

    Raises
    ------
    SourceError
        One line that names the material and the mend; it never holds the key.
    """
    if not MATERIAL.fullmatch(material):
        raise SourceError(f"{material}: is no Materials Project id; write it like mp-30")
    document = _kept(material, cache, also) if cache else _ask([material])[material]
    with one_line(material, "what was kept"):
        data = _prototype(material, document, str(document["database_version"]), expected)
    text = yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=110)
    _check(material, text)
    write_atomic(output, text)


def _kept(material: str, cache: Path, also: Sequence[str]) -> dict[str, Any]:
    """Return a material's document from the folder in which they are kept; ask for it where it is not there."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = cache / f"{material}.json"
        if not file.is_file():
            others = [m for m in also if m != material and not (cache / f"{m}.json").is_file()]
            batch = [material, *(m for m in others if MATERIAL.fullmatch(m))][:BATCH]
            for name, found in _ask(batch).items():
                write_atomic(cache / f"{name}.json", json.dumps(found) + "\n")
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def _ask(materials: list[str]) -> dict[str, dict[str, Any]]:
    """Return the documents of some materials with their database version; the first of them has to be there."""
    material = materials[0]
    client = make_client(_Summary, material)
    with client.session, one_line(material, client.base_endpoint):
        documents = _documents(client, materials)
        version = ""
        for document in documents.values():
            known = (document.get("builder_meta") or {}).get("database_version")
            version = version if known else version or database_version(client)
            document["database_version"] = str(known or version)
        return documents


def make_client(route: type[Rester], material: str) -> Rester:
    """Return a client of one route with the key of the environment, time-outs and patient retries."""
    key = os.environ.get("MP_API_KEY", "").strip()
    if not key:
        raise SourceError(f"{material}: MP_API_KEY is not set; get a key at {KEY_PAGE} and export it")
    if not KEY.fullmatch(key):
        raise SourceError(
            f"{material}: MP_API_KEY is not 32 letters and digits; copy it again from {KEY_PAGE}"
        )
    client = route(
        api_key=key,
        endpoint=os.environ.get("MP_API_ENDPOINT"),
        use_document_model=False,
        mute_progress_bars=True,
        timeout=TIMEOUT_SECONDS,
    )
    _harden(client.session, material, client.base_endpoint)
    return client


def _harden(session: Session, material: str, endpoint: str) -> None:
    """Let a session retry what passes, and raise SourceError for every other answer than 200.

    A redirect is refused too: the key would travel on to the other address.
    """

    def refuse(response: Response, *_: Any, **__: Any) -> None:
        status = response.status_code
        if status in (401, 403):
            raise SourceError(
                f"{material}: {endpoint} refused the key in MP_API_KEY (HTTP {status}); "
                f"copy it again from {KEY_PAGE}"
            )
        if status in TRANSIENT:
            raise SourceError(f"{material}: {endpoint} answered HTTP {status} {ATTEMPTS} times; rerun later")
        if status != 200:
            raise SourceError(
                f"{material}: {endpoint} answered HTTP {status}; check MP_API_ENDPOINT and the network"
            )

    retry = Retry(
        total=ATTEMPTS - 1,
        backoff_factor=BACKOFF_SECONDS,
        backoff_jitter=BACKOFF_SECONDS,
        retry_after_max=LONGEST_WAIT_SECONDS,
        status_forcelist=TRANSIENT,
        raise_on_status=False,
    )
    session.hooks["response"].append(refuse)
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))


@contextlib.contextmanager
def one_line(material: str, endpoint: str) -> Iterator[None]:
    """Turn the errors of the client, of the network and of a strange answer into SourceError."""
    try:
        yield
    except (MPRestError, RequestException) as error:
        cause = error.__context__ if isinstance(error, MPRestError) else error
        raise SourceError(
            f"{material}: no answer from {endpoint} ({type(cause).__name__}); check the network and rerun"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SourceError(
            f"{material}: the answer of {endpoint} is not what the API gives ({type(error).__name__}); "
            "a proxy or login page may stand between, check MP_API_ENDPOINT and rerun"
        ) from error


def _documents(client: SummaryRester, materials: list[str]) -> dict[str, dict[str, Any]]:
    """Return the summary documents of those materials that there are; the first has to be there."""
    found: list[Any] = client.search(material_ids=materials, fields=FIELDS, chunk_size=len(materials))
    documents = {str(validate_ids([document["material_id"]])[0]): dict(document) for document in found}
    if not documents or (materials[0] not in documents and set(documents) <= set(materials)):
        raise SourceError(
            f"{materials[0]}: the Materials Project has no such material; check the id on its web site"
        )
    if not set(documents) <= set(materials):
        raise ValueError("a document is of another material")
    return documents


def database_version(client: BaseRester) -> str:
    """Return the version of the database that is asked."""
    answer = client.session.get(f"{client.base_endpoint}heartbeat", timeout=TIMEOUT_SECONDS)
    return str(load_json(answer.text)["db_version"])


def plain_structure(data: dict[str, Any]) -> Structure:
    """Return a structure from its JSON, less the properties of its sites, which may name code to be imported."""
    keys = ("species", "abc", "xyz", "label")
    sites = [{key: site[key] for key in keys if key in site} for site in data["sites"]]
    return Structure.from_dict({"lattice": {"matrix": data["lattice"]["matrix"]}, "sites": sites})


def _prototype(
    material: str, document: dict[str, Any], database_version: str, expected: Path | None
) -> dict[str, Any]:
    """Return the content of the prototype file."""
    structure = plain_structure(document["structure"])
    cell = SpacegroupAnalyzer(structure, symprec=SYMPREC_ANG).get_conventional_standard_structure()
    if expected is not None and expected.exists():
        cell = _in_setting_of(load_prototype(expected).structure, cell, material)
    analyzer = SpacegroupAnalyzer(cell, symprec=SYMPREC_ANG)
    symmetrized, number = analyzer.get_symmetrized_structure(), analyzer.get_space_group_number()
    licence = LICENCES[(document.get("builder_meta") or {}).get("license") or "BY-C"]
    lattice = zip(LATTICE_KEYS, cell.lattice.parameters, strict=True)
    return {
        "mp_id": material,
        "formula": cell.composition.reduced_formula,
        "space_group": {"number": number, "symbol": sg_symbol_from_int_number(number)},
        # The standard cell of pymatgen is not always the one that the space group's symbol stands for.
        "full_cell": True,
        "lattice": {name: round(float(value), 6) for name, value in lattice},
        "sites": [
            {
                "element": site.specie.symbol,
                "wyckoff": wyckoff,
                "xyz": [_fraction(x) for x in site.frac_coords],
            }
            for sites, wyckoff in zip(symmetrized.equivalent_sites, symmetrized.wyckoff_symbols, strict=True)
            for site in sites
        ],
        "magnetic": ORDERINGS.get(str(document.get("ordering")), "unknown"),
        "source": (
            f"Materials Project, database version {database_version}, {material}, {licence}, "
            f"fetched with mp-api {version('mp-api')}; conventional standard cell by pymatgen "
            f"{version('pymatgen')} (symprec {SYMPREC_ANG} A)"
        ),
    }


def _fraction(coordinate: float) -> float:
    """Return a fractional coordinate in [0, 1), rounded; never -0 and never 0.99999999 for 0."""
    return round(float(coordinate) % 1.0, 8) % 1.0


def _in_setting_of(wanted: Structure, cell: Structure, material: str) -> Structure:
    """Return ``cell`` with the axes and the origin of ``wanted``, in which Miller indices and cuts are counted."""
    matcher = StructureMatcher(primitive_cell=False, scale=False, attempt_supercell=False)
    aligned = matcher.get_s2_like_s1(wanted, cell)
    if aligned is None or not _same_axes(wanted, aligned):
        raise SourceError(
            f"{material}: the Materials Project gives another conventional cell than data/prototypes/{material}.yaml, "
            "in which the paper's Miller indices count; use sources.structures: prototypes for it"
        )
    return Structure(aligned.lattice, aligned.species, aligned.frac_coords)


def _same_axes(one: Structure, other: Structure) -> bool:
    """Return whether two cells have, within 6 % and 3 degrees, the same axes."""
    lengths = zip(one.lattice.abc, other.lattice.abc, strict=True)
    angles = zip(one.lattice.angles, other.lattice.angles, strict=True)
    return all(abs(a / b - 1.0) < 0.06 for a, b in lengths) and all(abs(a - b) < 3.0 for a, b in angles)


def _check(material: str, text: str) -> None:
    """Read the file-to-be as the benchmarks will."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{material}.yaml"
        path.write_text(text, encoding="utf-8")
        try:
            load_prototype(path)
        except PrototypeError as error:
            raise SourceError(f"{material}: the fetched structure contradicts itself: {error}") from error
