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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pesbench.config import number, whole_number
from pesbench.failures import Failure, stage

if TYPE_CHECKING:
    import pandas as pd
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    from pesbench.engine.phonons import BandPath
    from pesbench.engine.relax import CrystalRelaxation, Relaxation
    from pesbench.records import Record
    from pesbench.sources.phonon_files import PhononFile

PROTOCOL = 1
MANIFEST = "data/manifests/phonons.csv"
PUBLISHED = "data/published/deng2025_s3_phonons.csv"
#: Forces on file that are run beside the models, and their levels of theory.
REFERENCES = {"phonondb-2018": "PBEsol"}
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

EV_PER_ANG3_PER_GPA = 1 / 160.21766208
#: A crystal with a frequency below this is a saddle point: imaginary by more than noise.
SADDLE_THZ = -0.05
CELLS = ("supercell_matrix", "primitive_matrix")
#: A free relaxation ends in the symmetric crystal when it has its space group within this distance (atomate2's
#: tolerance), its energy, and its volume.
SAME_CRYSTAL_ANG = 1e-4
SAME_ENERGY_EV_PER_ATOM = 1e-4
SAME_VOLUME = 0.002


@dataclass(frozen=True)
class Settings:
    """Protocol of one run.

    Attributes
    ----------
    displacement_ang
        Length of an atom's displacement (PhononDB, Deng, Loew: 0.01).
    fmax_ev_per_ang
        Largest force, and largest generalized force of the cell, at which a relaxation counts as converged
        (Loew: 0.005).
    goal_ev_per_ang
        What the relaxation with the space group kept goes on for: tight enough for both papers.
    free_relaxation
        Whether the materials of Deng's table are relaxed once more as the paper did, without symmetry. It takes most
        of the time; without it the table has the values with the space group kept, and says so.
    free_goal_ev_per_ang
        What the relaxation without symmetry goes on for (Deng, by atomate2's default: 1e-5).
    max_steps
        Optimizer steps after which a relaxation is recorded as not converged.
    mesh
        Points along each reciprocal axis of the mesh for density of states and thermodynamics (Loew: 20).
    temperature_kelvin
        Temperature of entropy, free energy and heat capacity (Loew: 300).
    """

    displacement_ang: float = 0.01
    fmax_ev_per_ang: float = 0.005
    goal_ev_per_ang: float = 0.0001
    free_relaxation: bool = True
    free_goal_ev_per_ang: float = 0.00001
    max_steps: int = 500
    mesh: int = 20
    temperature_kelvin: float = 300.0

    def __post_init__(self) -> None:
        where = "benchmarks.phonons"
        number(self.displacement_ang, f"{where}.displacement_ang", 1e-4, 0.2, "angstrom")
        number(self.fmax_ev_per_ang, f"{where}.fmax_ev_per_ang", 1e-6, 0.1, "eV/angstrom")
        number(self.goal_ev_per_ang, f"{where}.goal_ev_per_ang", 1e-6, 0.1, "eV/angstrom")
        number(self.free_goal_ev_per_ang, f"{where}.free_goal_ev_per_ang", 1e-6, 0.1, "eV/angstrom")
        if not isinstance(self.free_relaxation, bool):
            raise ValueError(f"free_relaxation is {self.free_relaxation!r}, must be true or false")
        whole_number(self.max_steps, f"{where}.max_steps", 1, 100_000, "steps")
        whole_number(self.mesh, f"{where}.mesh", 1, 100, "points")
        number(self.temperature_kelvin, f"{where}.temperature_kelvin", 1, 5000, "K")


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
        Values of the record, and under ``files`` the phonopy file and the band structure to keep.

    Raises
    ------
    pesbench.failures.Failure
        When a stage fails, or the relaxation does not converge.
    """
    from pesbench.engine.harmonic import harmonic
    from pesbench.engine.phonons import band_path, save

    with stage("structure"):
        file = _read(structure, task or {})
        path = band_path(file.unitcell, file.primitive_matrix)
    relaxation = None if calculator is None else _relax(file, calculator, settings)
    with stage("forces"):
        if calculator is None or relaxation is None:
            phonon = _on_file(file)
        else:
            phonon = _forces(file, relaxation.atoms, calculator, settings)
    with stage("phonons"):
        found = harmonic(phonon, path, (settings.mesh,) * 3, settings.temperature_kelvin)
    bands = json.dumps(_rounded(found.bands), separators=(",", ":"))
    free = None
    if (
        calculator is not None
        and relaxation is not None
        and settings.free_relaxation
        and task
        and task["free"]
    ):
        free = _free(file, path, calculator, settings, relaxation, found.values)
    return {
        **_cell_values(file, phonon, relaxation),
        **found.values,
        "free": free,
        "files": {
            ".yaml.xz": save(phonon),
            ".bands.json.xz": lzma.compress(bands.encode()),
        },
    }


def _read(structure: Path, task: Mapping[str, Any]) -> PhononFile:
    """Return the file with the cells that the manifest asks for, or by a rule."""
    import numpy as np

    from pesbench.sources.phonon_files import read_phonon_file

    cells: dict[str, Any] = {name: np.array(task[name]) for name in CELLS if name in task}
    return replace(read_phonon_file(structure), **cells)


def _relax(file: PhononFile, calculator: Calculator, settings: Settings) -> CrystalRelaxation:
    """Relax with the space group kept, as Loew et al. do."""
    from pesbench.engine.phonons import to_ase
    from pesbench.engine.relax import relax_crystal

    with stage("relaxation"):
        relaxation = relax_crystal(
            to_ase(file.unitcell),
            calculator,
            fmax_ev_per_ang=settings.fmax_ev_per_ang,
            goal_ev_per_ang=settings.goal_ev_per_ang,
            max_steps=settings.max_steps,
        )
    if not relaxation.converged:
        fmax = relaxation.generalized_fmax_ev_per_ang
        raise Failure("relaxation", f"fmax {fmax:.4f} eV/A after {relaxation.steps} steps", "not_converged")
    return relaxation


def _forces(
    file: PhononFile,
    relaxed: Atoms,
    calculator: Calculator,
    settings: Settings,
    symprec_ang: float = 1e-5,
    along_axes: bool = True,
) -> Phonopy:
    from pesbench.engine.phonons import displaced_forces

    return displaced_forces(
        relaxed,
        file.supercell_matrix,
        file.primitive_matrix,
        calculator,
        displacement_ang=settings.displacement_ang,
        symprec=symprec_ang,
        along_axes=along_axes,
    )


def _free(
    file: PhononFile,
    path: BandPath,
    calculator: Calculator,
    settings: Settings,
    symmetric: CrystalRelaxation,
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the largest frequency as Deng et al. got it: relaxed without symmetry, which leaves saddle points.

    Where the symmetric crystal is a saddle point of the model, rounding noise drives the relaxation out of it, which
    takes a tight goal; a crystal with real frequencies has none to leave, and the goal is the symmetric one's. The
    last geometry counts where its forces are below ``fmax_ev_per_ang``, whether or not the goal was met. Where it is
    the symmetric crystal again, that one is taken without the noise. Displacements are phonopy's default set.
    """
    from pesbench.engine.harmonic import extremes_on_path
    from pesbench.engine.phonons import to_ase, to_phonopy
    from pesbench.engine.relax import relax

    along = values["path"]
    saddle = min(along["min_frequency_thz"], values["commensurate"]["min_frequency_thz"]) < SADDLE_THZ
    try:
        with stage("free relaxation"):
            relaxed = relax(
                to_ase(file.unitcell),
                calculator,
                fmax_ev_per_ang=settings.free_goal_ev_per_ang if saddle else settings.goal_ev_per_ang,
                max_steps=settings.max_steps,
                relax_cell=True,
                keep_symmetry=False,
            )
            same = _same_crystal(relaxed, symmetric)
            cell, atoms = (file, symmetric.atoms) if same else (_all_primitive(file), relaxed.atoms)
            phonon = _forces(cell, atoms, calculator, settings, SAME_CRYSTAL_ANG, along_axes=False)
            extremes = extremes_on_path(phonon, path if same else path.on(file.primitive_matrix))
    except Failure as failure:
        return {"status": failure.status, "message": f"{failure.stage}: {failure.message}"}
    volume_ang3 = relaxed.atoms.get_volume() / len(relaxed.atoms)
    cell_force = relaxed.max_stress_gpa * EV_PER_ANG3_PER_GPA * volume_ang3
    met = max(relaxed.fmax_ev_per_ang, cell_force) <= settings.fmax_ev_per_ang
    told = f"fmax {relaxed.fmax_ev_per_ang:.4f} eV/A, stress {relaxed.max_stress_gpa:.3f} GPa"
    return {
        "status": "ok" if met else "not_converged",
        "message": "" if met else f"free relaxation: {told} after {relaxed.steps} steps",
        **extremes,
        "same_as_symmetric": same,
        "space_group": space_group(to_phonopy(relaxed.atoms), SAME_CRYSTAL_ANG),
        "volume_ang3_per_atom": volume_ang3,
        "energy_ev_per_atom": relaxed.energy_ev / len(relaxed.atoms),
        "steps": relaxed.steps,
        "evaluations": relaxed.evaluations,
        "fmax_ev_per_ang": relaxed.fmax_ev_per_ang,
        "max_stress_gpa": relaxed.max_stress_gpa,
        "goal_met": relaxed.converged,
    }


def _all_primitive(file: PhononFile) -> PhononFile:
    """Return a file whose unit cell is its primitive cell, as broken symmetry may have made it."""
    import numpy as np

    return replace(file, primitive_matrix=np.eye(3))


def _same_crystal(free: Relaxation, symmetric: CrystalRelaxation) -> bool:
    """Return whether a free relaxation ended at the symmetric crystal: its space group, energy and volume."""
    from pesbench.engine.phonons import to_phonopy

    n_atoms = len(free.atoms)
    energies = abs(free.energy_ev - symmetric.energy_ev) / n_atoms < SAME_ENERGY_EV_PER_ATOM
    volumes = abs(free.atoms.get_volume() / symmetric.atoms.get_volume() - 1) < SAME_VOLUME
    groups = {space_group(to_phonopy(one.atoms), SAME_CRYSTAL_ANG) for one in (free, symmetric)}
    return energies and volumes and len(groups) == 1


def _on_file(file: PhononFile) -> Phonopy:
    """Return the displacements and forces that the file holds."""
    from phonopy import Phonopy

    if file.dataset is None:
        raise Failure("forces", "the file has no forces; a reference needs the database's archive")
    phonon = Phonopy(file.unitcell, file.supercell_matrix, file.primitive_matrix)
    phonon.dataset = file.dataset  # type: ignore[assignment]
    phonon.nac_params = file.nac_params  # type: ignore[assignment]
    return phonon


def _cell_values(file: PhononFile, phonon: Phonopy, relaxation: CrystalRelaxation | None) -> dict[str, Any]:
    """Return what is kept of the cell: symmetry at the start and at the end, energy, volume, relaxation."""
    n_atoms = len(phonon.unitcell)
    energy_ev = file.energy_ev if relaxation is None else relaxation.energy_ev
    values: dict[str, Any] = {
        "space_group_start": space_group(file.unitcell),
        "space_group": space_group(phonon.unitcell),
        "energy_ev_per_atom": None if energy_ev is None else energy_ev / n_atoms,
        "volume_ang3_per_atom": float(phonon.unitcell.volume) / n_atoms,
        "relaxation": None,
    }
    if relaxation is not None:
        values["relaxation"] = {
            "steps": relaxation.steps,
            "evaluations": relaxation.evaluations,
            "fmax_ev_per_ang": relaxation.generalized_fmax_ev_per_ang,
            "max_stress_gpa": relaxation.max_stress_gpa,
            "lengths_ang": [float(x) for x in relaxation.atoms.cell.lengths()],
            "angles_deg": [float(x) for x in relaxation.atoms.cell.angles()],
        }
    return values


def space_group(cell: PhonopyAtoms, symprec_ang: float = 1e-3) -> int:
    """Return the number of a cell's space group; 0 where none is found."""
    import spglib

    basis = (cell.cell, cell.scaled_positions, cell.numbers)
    found = spglib.get_symmetry_dataset(basis, symprec=symprec_ang)  # type: ignore[arg-type]
    return 0 if found is None else int(found.number)


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
    explanations = {line["mp_id"]: line["explanation"] for line in read_manifest(Path(MANIFEST))}
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
