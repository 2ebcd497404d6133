"""The relaxation of Deng et al.: without symmetry, so that it leaves saddle points."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import spglib

from pesbench.benchmarks.phonons.crystal import forces, space_group
from pesbench.benchmarks.phonons.settings import SADDLE_THZ
from pesbench.engine.harmonic import extremes_on_path, softest_in_unit_cell_thz
from pesbench.engine.phonons import to_ase, to_phonopy
from pesbench.engine.relax import relax
from pesbench.failures import Failure, stage

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from phonopy import Phonopy

    from pesbench.benchmarks.phonons.settings import Settings
    from pesbench.engine.phonons import BandPath
    from pesbench.engine.relax import CrystalRelaxation
    from pesbench.sources.phonon_files import PhononFile

EV_PER_ANG3_PER_GPA = 1 / 160.21766208
#: Models whose published relaxations used ASE's older filter.
BY_EXP_FILTER = ("m3gnet-matgl-pes", "m3gnet-matgl-direct")
#: A free relaxation ends in the symmetric crystal, where that is no saddle point, when it has its space group within
#: this distance (atomate2's tolerance), its energy, and its volume.
SAME_CRYSTAL_ANG = 1e-4
SAME_ENERGY_EV_PER_ATOM = 1e-4
SAME_VOLUME = 0.002


def free_relaxation(
    file: PhononFile,
    path: BandPath,
    calculator: Calculator,
    settings: Settings,
    kept: tuple[CrystalRelaxation, Phonopy] | None = None,
) -> dict[str, Any]:
    """Return the largest frequency as Deng et al. got it: relaxed without symmetry, which leaves saddle points.

    ``kept`` is the relaxation with the space group kept and its phonons, with force constants, where it converged.

    The paper does not name the filter by which the cell relaxes; it seems to be that of each model's own package.
    Rows of M3GNet whose relaxation ends at the limit of steps come out with ASE's ExpCellFilter, and with no other that
    was tried (Ba(CuS)2: 8.3751 THz, printed 8.3752; 8.66 at the minimum). CHGNet leaves saddle points as published with
    FrechetCellFilter (TiCoSb 5.089 THz from PhononDB's file, 5.12 from the shipped prototype, printed 5.088; 4.71 with
    the other). Rounding has its say there, and at cusps: with the graph rounded in positions instead, TiCoSb's two
    values changed places, and MgO's prototype ended at 16.306 THz instead of 16.278 (printed 16.279).

    Where the symmetric crystal is a saddle point that the unit cell can leave, rounding noise drives the relaxation
    out of it, which takes a tight goal. So does a cusp of CHGNet, where no frequency is imaginary: SrO2 moves off it on
    the last steps (21.22 THz, not 20.72), K2PdCl4 too (8.384, not 8.48). Another crystal has none to leave, and with
    the filter that creeps arriving at the symmetric one is enough. The last geometry counts where its forces are below
    ``fmax_ev_per_ang``, whether or not the goal was met. Where it is the symmetric crystal again, which is no saddle
    point, that one is taken without the noise; one that did not converge stands as it was left. Displacements are
    phonopy's default set, as the paper's: in CHGNet another set of directions changes some maxima by more than 1 %.
    """
    symmetric, phonon = kept or (None, None)
    softest_thz = None if phonon is None else softest_in_unit_cell_thz(phonon)
    saddle = softest_thz is None or softest_thz < SADDLE_THZ
    creeps = getattr(calculator, "model_name", "") in BY_EXP_FILTER

    def at_rest(atoms: Atoms) -> bool:
        fmax = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
        left = max(fmax, _cell_force(float(np.abs(atoms.get_stress()).max()), atoms))
        return left <= settings.fmax_ev_per_ang and _same_crystal(
            atoms, atoms.get_potential_energy(), symmetric
        )

    try:
        with stage("free relaxation"):
            relaxed = relax(
                to_ase(file.unitcell),
                calculator,
                fmax_ev_per_ang=settings.free_goal_ev_per_ang,
                max_steps=settings.max_steps,
                relax_cell=True,
                keep_symmetry=False,
                cell_filter="Exp" if creeps else "Frechet",
                arrived=at_rest if creeps and not saddle else None,
            )
            cell_force = _cell_force(relaxed.max_stress_gpa * EV_PER_ANG3_PER_GPA, relaxed.atoms)
            met = bool(max(relaxed.fmax_ev_per_ang, cell_force) <= settings.fmax_ev_per_ang)
            same = met and not saddle and _same_crystal(relaxed.atoms, relaxed.energy_ev, symmetric)
            group = space_group(to_phonopy(relaxed.atoms), SAME_CRYSTAL_ANG)
            if symmetric is not None and same:
                displaced = _displaced(file, symmetric.atoms, calculator, settings, phonon)
            elif group == space_group(file.unitcell):
                displaced = _displaced(file, relaxed.atoms, calculator, settings)
            else:
                displaced = _displaced(_all_primitive(file), relaxed.atoms, calculator, settings)
                path = path.on(file.primitive_matrix)
            extremes = extremes_on_path(displaced, path)
    except Failure as failure:
        return {"status": failure.status, "message": f"{failure.stage}: {failure.message}"}
    volume_ang3 = relaxed.atoms.get_volume() / len(relaxed.atoms)
    told = f"fmax {relaxed.fmax_ev_per_ang:.4f} eV/A, stress {relaxed.max_stress_gpa:.3f} GPa"
    return {
        "status": "ok" if met else "not_converged",
        "message": "" if met else f"free relaxation: {told} after {relaxed.steps} steps",
        **extremes,
        "same_as_symmetric": same,
        "softest_in_unit_cell_thz": softest_thz,
        "space_group": group,
        "volume_ang3_per_atom": volume_ang3,
        "energy_ev_per_atom": relaxed.energy_ev / len(relaxed.atoms),
        "steps": relaxed.steps,
        "evaluations": relaxed.evaluations,
        "fmax_ev_per_ang": relaxed.fmax_ev_per_ang,
        "max_stress_gpa": relaxed.max_stress_gpa,
        "goal_met": relaxed.converged,
    }


def _displaced(
    file: PhononFile, atoms: Atoms, calculator: Calculator, settings: Settings, known: Phonopy | None = None
) -> Phonopy:
    """Return the forces on phonopy's default displacements, symmetry being what noise leaves of it."""

    def within(symprec_ang: float) -> Phonopy:
        return forces(file, atoms, calculator, settings, symprec_ang, along_axes=False, known=known)

    try:
        return within(SAME_CRYSTAL_ANG)
    except spglib.SpglibError:  # no cell is reduced whose noise is as large as the tolerance (CdI2 in M3GNet)
        return within(SAME_CRYSTAL_ANG / 10)


def _all_primitive(file: PhononFile) -> PhononFile:
    """Return a file whose unit cell is its primitive cell, as broken symmetry may have made it."""
    return replace(file, primitive_matrix=np.eye(3))


def _cell_force(stress_ev_per_ang3: float, atoms: Atoms) -> float:
    """Return the generalized force on the cell (eV): a component of the stress times the volume of an atom."""
    return stress_ev_per_ang3 * atoms.get_volume() / len(atoms)


def _same_crystal(atoms: Atoms, energy_ev: float, symmetric: CrystalRelaxation | None) -> bool:
    """Return whether a crystal is the symmetric one, where there is one: its space group, energy and volume."""
    if symmetric is None:
        return False
    energies = abs(energy_ev - symmetric.energy_ev) / len(atoms) < SAME_ENERGY_EV_PER_ATOM
    volumes = abs(atoms.get_volume() / symmetric.atoms.get_volume() - 1) < SAME_VOLUME
    groups = {space_group(to_phonopy(one), SAME_CRYSTAL_ANG) for one in (atoms, symmetric.atoms)}
    return bool(energies and volumes and len(groups) == 1)
