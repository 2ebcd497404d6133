"""One material: its file, its relaxation with the space group kept, its forces, what is kept of its cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import spglib
from phonopy import Phonopy

from pesbench.engine.phonons import displaced_forces, to_ase
from pesbench.engine.relax import relax_crystal
from pesbench.failures import Failure, stage
from pesbench.sources.phonon_files import PhononFile, read_phonon_file

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from phonopy.structure.atoms import PhonopyAtoms

    from pesbench.benchmarks.phonons.settings import Settings
    from pesbench.engine.relax import CrystalRelaxation

CELLS = ("supercell_matrix", "primitive_matrix")


def read(structure: Path, task: Mapping[str, Any]) -> PhononFile:
    """Return the file with the cells that the manifest asks for, or by a rule."""
    cells: dict[str, Any] = {name: np.array(task[name]) for name in CELLS if name in task}
    return replace(read_phonon_file(structure), **cells)


def read_on_file(structure: Path) -> PhononFile:
    """Return a database's file, with the cells that its own forces are of."""
    if not structure.exists():
        raise Failure("structure", f"{structure}: the database has no such material, or it was not fetched")
    return read_phonon_file(structure)


def relax_kept(file: PhononFile, calculator: Calculator, settings: Settings) -> CrystalRelaxation:
    """Relax with the space group kept, as Loew et al. do."""
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


def forces(
    file: PhononFile,
    relaxed: Atoms,
    calculator: Calculator,
    settings: Settings,
    symprec_ang: float = 1e-5,
    along_axes: bool = True,
    known: Phonopy | None = None,
) -> Phonopy:
    """Return the model's forces on the displaced supercells of a relaxed unit cell."""
    return displaced_forces(
        relaxed,
        file.supercell_matrix,
        file.primitive_matrix,
        calculator,
        displacement_ang=settings.displacement_ang,
        symprec=symprec_ang,
        along_axes=along_axes,
        known=known,
    )


def on_file(file: PhononFile) -> Phonopy:
    """Return the displacements and forces that the file holds."""
    if file.dataset is None:
        raise Failure("forces", "the file has no forces; a reference needs the database's archive")
    phonon = Phonopy(file.unitcell, file.supercell_matrix, file.primitive_matrix)
    phonon.dataset = file.dataset  # type: ignore[assignment]
    phonon.nac_params = file.nac_params  # type: ignore[assignment]
    return phonon


def cell_values(file: PhononFile, phonon: Phonopy, relaxation: CrystalRelaxation | None) -> dict[str, Any]:
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
    basis = (cell.cell, cell.scaled_positions, cell.numbers)
    found = spglib.get_symmetry_dataset(basis, symprec=symprec_ang)  # type: ignore[arg-type]
    return 0 if found is None else int(found.number)
