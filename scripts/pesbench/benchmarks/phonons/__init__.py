"""Harmonic phonons: Deng et al. (2025), Fig. 4 and Supplementary Table III; Loew et al. (2024), Tables I-IV.

The crystal is relaxed with the model (cell and positions, space group kept). Atoms of the reference's supercell are
displaced by phonopy's symmetry-reduced set; the model's forces give the force constants, symmetrized, and these the
frequencies on a band path that is fixed for each material (and so shared by all models and the DFT), at the q-points
commensurate with the supercell, on a mesh, and the thermodynamics of the mesh. A database's own forces go the same way.
"""

from __future__ import annotations

import csv
import json
import lzma
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pesbench.benchmarks.phonons.settings import Settings
from pesbench.failures import Failure, stage
from pesbench.published import read_explanations

if TYPE_CHECKING:
    import pandas as pd
    from ase.calculators.calculator import Calculator

from pesbench.records import Record

PROTOCOL = 2
MANIFEST = "data/manifests/phonons.csv"
PUBLISHED = "data/published/deng2025_s3_phonons.csv"
#: Forces on file that are run beside the models, and their levels of theory; the first one's cells are the models'.
REFERENCES = {
    "phonondb-2018": "PBEsol",
    "mdr": "PBEsol",
    "alexandria-pbe": "PBE",
    "alexandria-pbesol": "PBEsol",
}
TABLES = (
    "deng2025_s3_phonons",
    "deng2025_s3_metrics",
    "phonons_stability",
    "loew2024_t1",
    "loew2024_t2",
    "loew2024_t3",
    "loew2024_t4",
    "mattersim_mt_s4",
)
FIGURES = (
    "deng2025_fig4a",
    "deng2025_fig4b",
    "deng2025_s3_reproduction",
    "loew2024_fig1",
    "loew2024_fig2",
    "loew2024_fig3",
    "loew2024_fig4",
    "loew2024_fig5",
)


def read_manifest(path: Path) -> list[dict[str, str]]:
    """Return the manifest: one line a material, with the supercell and the primitive cell that its reference has."""
    with open(path, encoding="utf-8") as handle:
        return list(csv.DictReader(line for line in handle if not line.startswith("#")))


def costs(path: Path) -> dict[str, float]:
    """Return the cost of each material: atoms that the model sees in the displaced supercells."""
    return {
        line["mp_id"]: float(line["n_atoms_supercell"]) * float(line["n_displacements"])
        for line in read_manifest(path)
    }


def sets(path: Path) -> dict[str, list[str]]:
    """Return the papers' lists of materials, by the names that config.yaml may ask for."""
    found: dict[str, list[str]] = {}
    for line in read_manifest(path):
        for name in line["sets"].split():
            found.setdefault(name, []).append(line["mp_id"])
    return found


def tasks(path: Path) -> dict[str, dict[str, Any]]:
    """Return each material's supercell and primitive cell, as matrices on its unit cell, and whether Deng's is due."""
    return {
        line["mp_id"]: {
            "supercell_matrix": json.loads(line["supercell_matrix"]),
            "primitive_matrix": json.loads(line["primitive_matrix"]),
            "free": "deng2025_s3" in line["sets"].split(),
        }
        for line in read_manifest(path)
    }


def run(
    structure: Path, task: Mapping[str, Any] | None, calculator: Calculator | None, settings: Settings
) -> dict[str, Any]:
    """Compute the phonons of one material, with a model's forces or, without a calculator, with those on file.

    Parameters
    ----------
    structure
        Archive, phonopy file, prototype or structure file of `pesbench.sources.phonon_files`.
    task
        From `tasks`; None for a material of one's own, whose supercell follows a rule.

    Returns
    -------
    dict
        Values of the record, and under ``files`` the phonopy file and the band structure to keep. Where the relaxation
        with the space group kept fails: its status and message, and of Deng's materials the one without symmetry.

    Raises
    ------
    pesbench.failures.Failure
        When a stage fails, or the relaxation does not converge.
    """
    from pesbench.benchmarks.phonons.crystal import (
        cell_values,
        forces,
        on_file,
        read,
        read_on_file,
        relax_kept,
    )
    from pesbench.benchmarks.phonons.free import free_relaxation
    from pesbench.engine.harmonic import harmonic
    from pesbench.engine.phonons import band_path, save

    task = task or {}
    with stage("structure"):
        file = read_on_file(structure) if calculator is None else read(structure, task)
        path = band_path(file.unitcell, file.primitive_matrix)
    due = settings.free_relaxation and bool(task.get("free"))
    relaxation = None
    if calculator is not None:
        try:
            relaxation = relax_kept(file, calculator, settings)
        except Failure as failure:
            if not due:
                raise
            alone = free_relaxation(file, path, calculator, settings)
            return {"status": failure.status, "message": str(failure), "free": alone}
    with stage("forces"):
        if calculator is None or relaxation is None:
            phonon = on_file(file)
        else:
            phonon = forces(file, relaxation.atoms, calculator, settings)
    with stage("phonons"):
        found = harmonic(phonon, path, (settings.mesh,) * 3, settings.temperature_kelvin)
    free = None
    if calculator is not None and relaxation is not None and due:
        free = free_relaxation(file, path, calculator, settings, (relaxation, phonon))
    bands = json.dumps(_rounded(found.bands), separators=(",", ":"))
    return {
        **cell_values(file, phonon, relaxation),
        **found.values,
        "free": free,
        "files": {".yaml.xz": save(phonon), ".bands.json.xz": lzma.compress(bands.encode())},
    }


def _rounded(value: Any) -> Any:
    """Return nested numbers with four decimals: what a figure needs."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    if isinstance(value, dict):
        return {key: _rounded(v) for key, v in value.items()}
    return value


def tables(
    records: Mapping[str, list[Record]], levels: Mapping[str, str], seed: int
) -> dict[str, pd.DataFrame]:
    """Return every table of `TABLES` from the records of models and of references, all in ``records`` by name."""
    import pandas as pd

    from pesbench.benchmarks.phonons import deng, loew, mattersim, stability
    from pesbench.models.registry import load_registry

    def published(name: str) -> pd.DataFrame:
        return pd.read_csv(f"data/published/{name}.csv", comment="#")

    models = {name: found for name, found in records.items() if name not in REFERENCES}
    references = {name: found for name, found in records.items() if name in REFERENCES}
    explanations = read_explanations("deng2025_s3")
    registry = load_registry(Path("data/models.yaml")).models
    tidy = deng.table(models, references, levels, explanations, published("deng2025_s3_phonons"))
    counted = stability.table(models, references, levels)
    relaxed = loew.relaxation_table(models, references, levels, published("loew2024_t1_relaxation"), seed)
    frames = (
        tidy,
        deng.metrics_table(tidy, levels, seed),
        counted,
        relaxed,
        loew.phonon_table(models, references, levels, published("loew2024_t2_phonons"), seed),
        loew.stability_table(counted, levels, published("loew2024_t3_stability")),
        loew.models_table({name: registry[name] for name in models}, published("loew2024_t4_models")),
        mattersim.table(models, references, levels, published("mattersim_mt_s4_phonons"), seed),
    )
    return dict(zip(TABLES, frames, strict=True))


__all__ = ["Settings", "costs", "run", "sets", "tables", "tasks"]
