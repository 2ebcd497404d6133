"""Surface energies of Deng et al. (2025): Fig. 2a and Supplementary Table I, 147 surfaces of 29 materials.

The bulk is relaxed with the model (cell and positions). From it symmetric, stoichiometric slabs are cut, whose in-plane
lattice stays at the relaxed bulk's; their ions are relaxed. With the slab's energy E_slab, its area A and its number of
atoms n, and the bulk's energy an atom e_bulk (Eq. 2 of the paper, which means n atoms of bulk by E_bulk)::

    gamma = (E_slab - n e_bulk) / (2 A)
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pesbench.config import number, whole_number
from pesbench.failures import Failure, stage
from pesbench.naming import merged_records
from pesbench.published import PAPER_MODELS, explain, read_explanations

if TYPE_CHECKING:
    import pandas as pd
    from ase.calculators.calculator import Calculator
    from pymatgen.core import Structure

    from pesbench.engine.relax import Relaxation
    from pesbench.records import Record

PROTOCOL = 1
MANIFEST = "data/manifests/deng2025_s1.csv"
PUBLISHED = "data/published/deng2025_s1_surfaces.csv"
TABLES = ("deng2025_s1_surfaces", "deng2025_s1_metrics", "deng2025_s1_terminations")
#: A row whose value differs by more than this share from the published one carries an explanation.
EXPLAIN_BEYOND = 0.02
FIGURES = ("deng2025_fig2a", "deng2025_fig2a_reproduction")
#: Data sets of forces on file that are run beside the models, and their levels of theory: none for surfaces.
REFERENCES: dict[str, str] = {}


@dataclass(frozen=True)
class Settings:
    """Protocol of one run; the defaults are the paper's (Methods, "Materials modeling tasks").

    Attributes
    ----------
    min_slab_ang, min_vacuum_ang
        Least thickness of slab and vacuum.
    fmax_ev_per_ang
        Largest force at which a relaxation counts as converged, for bulk and slab.
    max_steps
        Optimizer steps after which a relaxation is recorded as not converged.
    optimizer
        ``FIRE``, ``BFGS`` or ``LBFGS`` of ASE.
    """

    # ASSUME: the paper says "at least 10 angstrom", but its CHGNet values are those of 12 (to 0.004 %).
    min_slab_ang: float = 12.0
    min_vacuum_ang: float = 10.0
    fmax_ev_per_ang: float = 0.05
    max_steps: int = 500
    optimizer: str = "FIRE"

    def __post_init__(self) -> None:
        where = "benchmarks.surfaces"
        number(self.min_slab_ang, f"{where}.min_slab_ang", 3, 100, "angstrom")
        number(self.min_vacuum_ang, f"{where}.min_vacuum_ang", 5, 100, "angstrom")
        number(self.fmax_ev_per_ang, f"{where}.fmax_ev_per_ang", 1e-5, 1, "eV/angstrom")
        whole_number(self.max_steps, f"{where}.max_steps", 1, 100_000, "steps")
        if self.optimizer not in ("FIRE", "BFGS", "LBFGS"):
            raise ValueError(f"optimizer is '{self.optimizer}', must be FIRE, BFGS or LBFGS")


def read_manifest(path: Path) -> list[dict[str, str]]:
    """Return the manifest: every termination to compute, and which row of the published table it stands for, if any."""
    with open(path, encoding="utf-8") as handle:
        return list(csv.DictReader(line for line in handle if not line.startswith("#")))


def costs(path: Path) -> dict[str, float]:
    """Return the cost of each material: atoms of each slab, squared, for larger slabs take more steps as well."""
    total: dict[str, float] = {}
    for line in read_manifest(path):
        total[line["mp_id"]] = total.get(line["mp_id"], 0.0) + float(line["slab_atoms"]) ** 2
    return total


def sets(path: Path) -> dict[str, list[str]]:
    """Return the named lists of materials that config.yaml may ask for: all of the paper's."""
    return {"deng2025_s1": sorted({line["mp_id"] for line in read_manifest(path)})}


def tasks(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the slabs to cut from each material: Miller index, name of the termination, height of the cut."""
    slabs: dict[str, list[dict[str, Any]]] = {}
    for line in read_manifest(path):
        slab = {
            "miller": json.loads(line["miller"]),
            "termination": line["termination"],
            "shift": float(line["shift"]),
        }
        slabs.setdefault(line["mp_id"], []).append(slab)
    return slabs


def run(
    structure: Path, slabs: list[dict[str, Any]] | None, calculator: Calculator, settings: Settings
) -> dict[str, Any]:
    """Compute every listed slab of one material.

    A slab that fails or does not converge is kept as such beside the others; the material's ``status`` is the worst.

    Parameters
    ----------
    structure
        Structure file (conventional cell, the one that the manifest's cuts refer to).
    slabs
        From `tasks`.

    Returns
    -------
    dict
        ``status``, ``message``, ``bulk`` and ``surfaces``: see ``_bulk_values`` and ``_surface``.

    Raises
    ------
    pesbench.failures.Failure
        When the structure file is wrong, or the bulk fails or does not converge: then there is nothing to refer to.
    """
    from pymatgen.io.ase import AseAtomsAdaptor

    from pesbench.engine.relax import relax
    from pesbench.sources.prototypes import load_prototype

    if not slabs:
        raise Failure("manifest", f"{MANIFEST} lists no slab of it; add its lines")
    with stage("structure"):
        prototype = load_prototype(structure)
    with stage("bulk relaxation"):
        atoms = AseAtomsAdaptor.get_atoms(prototype.structure, msonable=False)
        bulk = relax(atoms, calculator, relax_cell=True, **_threshold(settings))
    if not bulk.converged:
        raise Failure("bulk relaxation", _unconverged(bulk), "not_converged")
    relaxed = AseAtomsAdaptor.get_structure(bulk.atoms)
    surfaces = [_surface(relaxed, bulk, slab, calculator, settings) for slab in slabs]
    counts = Counter(surface["status"] for surface in surfaces)
    status = next((s for s in ("failed", "not_converged") if counts[s]), "ok")
    message = "" if status == "ok" else f"{counts[status]} of {len(surfaces)} surfaces"
    return {"status": status, "message": message, "bulk": _bulk_values(bulk), "surfaces": surfaces}


def _threshold(settings: Settings) -> dict[str, Any]:
    return {
        "fmax_ev_per_ang": settings.fmax_ev_per_ang,
        "max_steps": settings.max_steps,
        "optimizer": settings.optimizer,
    }


def _unconverged(relaxation: Relaxation) -> str:
    return f"fmax {relaxation.fmax_ev_per_ang:.3f} eV/A after {relaxation.steps} steps"


def _bulk_values(bulk: Relaxation) -> dict[str, Any]:
    """Return what is kept of the relaxed bulk."""
    return {
        "energy_ev_per_atom": bulk.energy_ev / len(bulk.atoms),
        "n_atoms": len(bulk.atoms),
        "lengths_ang": [float(x) for x in bulk.atoms.cell.lengths()],
        "angles_deg": [float(x) for x in bulk.atoms.cell.angles()],
        "fmax_ev_per_ang": bulk.fmax_ev_per_ang,
        "max_stress_gpa": bulk.max_stress_gpa,
        "steps": bulk.steps,
    }


def _surface(
    relaxed: Structure, bulk: Relaxation, slab: dict[str, Any], calculator: Calculator, settings: Settings
) -> dict[str, Any]:
    """Cut, relax and score one slab; its failure is kept in its own entry."""
    try:
        with stage("slab"):
            return slab | _slab_values(relaxed, bulk, slab, calculator, settings)
    except Failure as failure:
        return slab | {"status": failure.status, "message": failure.message}


def _slab_values(
    relaxed: Structure, bulk: Relaxation, which: dict[str, Any], calculator: Calculator, settings: Settings
) -> dict[str, Any]:
    from pymatgen.io.ase import AseAtomsAdaptor

    from pesbench.engine.relax import relax
    from pesbench.engine.slabs import area_ang2, cut, thickness_ang

    slab = cut(
        relaxed, tuple(which["miller"]), which["shift"], settings.min_slab_ang, settings.min_vacuum_ang
    )
    atoms = AseAtomsAdaptor.get_atoms(slab, msonable=False)
    end = relax(atoms, calculator, **_threshold(settings))
    area = area_ang2(slab)
    gamma = surface_energy(end.energy_ev, len(slab), bulk.energy_ev / len(bulk.atoms), area)
    return {
        "status": "ok" if end.converged else "not_converged",
        "message": "" if end.converged else _unconverged(end),
        "gamma_ev_per_ang2": gamma,
        "area_ang2": area,
        "n_atoms": len(slab),
        "thickness_ang": thickness_ang(slab),
        "steps": end.steps,
        "fmax_ev_per_ang": end.fmax_ev_per_ang,
    }


def surface_energy(slab_ev: float, n_atoms: int, bulk_ev_per_atom: float, area_ang2: float) -> float:
    """Return (E_slab - n e_bulk) / (2 A) in eV/angstrom^2; the slab has two faces."""
    return (slab_ev - n_atoms * bulk_ev_per_atom) / (2.0 * area_ang2)


def tables(records: dict[str, list[Record]], levels: dict[str, str], seed: int) -> dict[str, pd.DataFrame]:
    """Return every table of this benchmark by name (``TABLES``); see `score`, `terminations_table`."""
    from pesbench.metrics import error_table

    manifest, published = Path(MANIFEST), Path(PUBLISHED)
    scored = score(records, levels, manifest, published)
    errors = error_table(
        scored, "gamma_ev_per_ang2", "published_ev_per_ang2", "dft_ev_per_ang2", "ev_per_ang2", seed
    )
    frames = (scored, errors, terminations_table(records, manifest))
    return dict(zip(TABLES, frames, strict=True))


def score(
    records: dict[str, list[Record]], levels: dict[str, str], manifest: Path, published: Path
) -> pd.DataFrame:
    """Set each model's surface energies beside the published ones: one row a published surface and model.

    Parameters
    ----------
    records
        Merged records of each model; a model or material without any is ``not_run``.
    levels
        Level of theory of each model's training data.

    Returns
    -------
    pandas.DataFrame
        All 147 published rows for each model, energies in eV/angstrom^2.
    """
    import pandas as pd

    frame = pd.read_csv(published, comment="#").set_index("row")
    entries = _published_rows(manifest)
    explanations, rows = read_explanations("deng2025_s1"), []
    for model in sorted(records):
        of_model = {record.id: record for record in records[model]}
        for entry in entries:
            given, record = frame.loc[int(entry["row"])], of_model.get(entry["mp_id"])
            reason = explain(explanations, entry["row"], model)
            rows.append(_scored_row(entry, given, model, record, levels[model], reason))
    return pd.DataFrame(rows)


def _published_rows(manifest: Path) -> list[dict[str, str]]:
    """Return the manifest's lines that stand for a published row, in the paper's order, with their candidates."""
    lines = read_manifest(manifest)
    candidates = Counter((line["mp_id"], line["miller"]) for line in lines)
    rows = [
        line | {"candidates": str(candidates[line["mp_id"], line["miller"]])} for line in lines if line["row"]
    ]
    return sorted(rows, key=lambda line: int(line["row"]))


def _scored_row(
    entry: dict[str, str], given: pd.Series, model: str, record: Record | None, level: str, reason: str
) -> dict[str, Any]:
    """Return one line of the tidy table."""
    column = f"{PAPER_MODELS[model][0]}_ev_per_ang2" if model in PAPER_MODELS else ""
    published = float(given[column]) if column else float("nan")
    cuts = _cuts(entry, record)
    surface = cuts.pop(entry["termination"], None)
    gamma = float(surface.get("gamma_ev_per_ang2", "nan")) if surface else float("nan")
    status, message = _status(surface, record, entry)
    difference = gamma / published - 1.0
    if not abs(difference) > EXPLAIN_BEYOND:
        reason = ""
    elif not reason and status == "ok":
        reason = "unexplained"
    return {
        "row": int(entry["row"]),
        "mp_id": entry["mp_id"],
        "formula": entry["formula"],
        "miller": entry["miller"],
        "termination": entry["termination"],
        "model": model,
        "gamma_ev_per_ang2": gamma,
        "published_ev_per_ang2": published,
        "dft_ev_per_ang2": float(given["dft_ev_per_ang2"]),
        "status": status,
        "relative_difference": difference,
        "candidates": int(entry["candidates"]),
        "explanation": "; ".join(part for part in (message, reason, _others(cuts)) if part),
        "level_of_theory": level,
        "settings_digest": record.digests["settings"] if record else "",
        "checkpoint_sha256": record.digests["checkpoint"] if record else "",
        "record": f"{merged_records('surfaces', model)}#{entry['mp_id']}" if record else "",
    }


def _cuts(entry: dict[str, str], record: Record | None) -> dict[str, dict[str, Any]]:
    """Return what a record has at a row's Miller index, by termination."""
    surfaces = record.values.get("surfaces", []) if record else []
    miller = json.loads(entry["miller"])
    return {surface["termination"]: surface for surface in surfaces if surface["miller"] == miller}


def _others(cuts: dict[str, dict[str, Any]]) -> str:
    """Name the terminations at the same Miller index that do not stand for this row, with their energies."""
    told = [
        f"{label} {cut.get('gamma_ev_per_ang2', float('nan')):.4f}" for label, cut in sorted(cuts.items())
    ]
    return f"other terminations (eV/A^2): {', '.join(told)}" if told else ""


def _status(surface: dict[str, Any] | None, record: Record | None, entry: dict[str, str]) -> tuple[str, str]:
    """Return a row's status and what its record says about it."""
    if record is None:
        return "not_run", ""
    if surface is not None:
        return str(surface["status"]), str(surface["message"])
    if record.values:
        return "failed", f"no termination {entry['termination']} at {entry['miller']} in the record"
    return record.status, f"{record.stage}: {record.message}"


def terminations_table(records: dict[str, list[Record]], manifest: Path) -> pd.DataFrame:
    """List every termination that was computed, with the published row it stands for, if any."""
    import pandas as pd

    row_of = {
        (line["mp_id"], tuple(json.loads(line["miller"])), line["termination"]): line["row"]
        for line in read_manifest(manifest)
    }
    columns = [
        "status",
        "gamma_ev_per_ang2",
        "area_ang2",
        "n_atoms",
        "thickness_ang",
        "steps",
        "fmax_ev_per_ang",
    ]
    rows = [
        {
            "mp_id": record.id,
            "miller": json.dumps(surface["miller"]),
            "termination": surface["termination"],
            "shift": round(surface["shift"], 4),
            "model": model,
            "published_row": row_of.get((record.id, tuple(surface["miller"]), surface["termination"]), ""),
            **{name: surface.get(name) for name in columns},
            "message": surface["message"],
        }
        for model in sorted(records)
        for record in records[model]
        for surface in record.values.get("surfaces", [])
    ]
    names = ["mp_id", "miller", "termination", "shift", "model", "published_row", *columns, "message"]
    return pd.DataFrame(rows, columns=names)
