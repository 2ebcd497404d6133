"""Labels by VASP: decks from the Materials Project's input set, run under custodian, results from vasprun.xml.

Decks are written without a licence: in the place of the potentials stand their names, in POTCAR.spec. VASP itself is
run where PESBENCH_VASP holds its command; a vasprun.xml that was computed elsewhere is taken from the deck's folder.
"""

from __future__ import annotations

import os
import shlex
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from pesbench.dft.result import STAGE, Label, kpoint_mesh
from pesbench.errors import DftError
from pesbench.failures import Failure

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray
    from pymatgen.io.vasp.outputs import Vasprun
    from pymatgen.io.vasp.sets import VaspInputSet

    from pesbench.dft.settings import DftSettings

COMMAND = "PESBENCH_VASP"
EDIFF_EV = 1e-6
KBAR_EV_PER_ANG3 = 1.0 / 1602.176634
# vasprun.xml rounds fractional coordinates to 8 digits.
SAME_PLACE_ANG = 1e-4


def input_set(atoms: Atoms, settings: DftSettings) -> VaspInputSet:
    """Return the Materials Project's static set with what force labels need.

    Its own EDIFF grows with the cell (0.0004 eV for 8 atoms) and its tetrahedra (ISMEAR -5) give wrong forces in a
    metal; a hot state has no symmetry, and its mesh is the one that every code here uses.
    """
    from pymatgen.io.ase import AseAtomsAdaptor
    from pymatgen.io.vasp.sets import MPStaticSet

    overrides = {
        "EDIFF": EDIFF_EV,
        "ISMEAR": 0,
        "SIGMA": settings.smearing_ev,
        "ENCUT": settings.cutoff_ev,
        "NELM": settings.max_scf_steps,
        "ISYM": 0,
        "LCHARG": False,
        "LORBIT": None,
    }
    return MPStaticSet(
        AseAtomsAdaptor.get_structure(atoms),
        user_incar_settings=overrides,
        user_kpoints_settings=_mesh(atoms, settings),
    )


def _mesh(atoms: Atoms, settings: DftSettings) -> Any:
    from pymatgen.io.vasp.inputs import Kpoints

    return Kpoints.gamma_automatic(kpoint_mesh(atoms, settings.kpoint_spacing_per_ang))


def write_deck(atoms: Atoms, settings: DftSettings, folder: Path) -> bool:
    """Write INCAR, KPOINTS, POSCAR, and POTCAR where its files are configured, else the list POTCAR.spec.

    Returns
    -------
    bool
        Whether VASP can run on it: whether there is a POTCAR.
    """
    deck = input_set(atoms, settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            deck.write_input(str(folder), potcar_spec=False)
        except (OSError, ValueError, RuntimeError):  # pymatgen's words for potentials that are not configured
            deck.write_input(str(folder), potcar_spec=True)
            return False
    return True


def label_vasp(atoms: Atoms, settings: DftSettings, folder: Path) -> Label:
    """Return the label of a structure from its folder's vasprun.xml, computed first where that is missing.

    Raises
    ------
    DftError
        When VASP is neither configured nor was run; the deck is written then.
    """
    output = folder / "vasprun.xml"
    if not _is_complete(output):
        ready = write_deck(atoms, settings, folder)
        command = os.environ.get(COMMAND)
        if command is None or not ready:
            lacks = (
                f"{COMMAND} is not set" if command is None else "there is no POTCAR (set PMG_VASP_PSP_DIR)"
            )
            raise DftError(
                f"{folder}: the deck is written, but {lacks}; run VASP there, or set it, and rerun"
            )
        _run(command, folder)
    return read_label(output, atoms)


def _is_complete(output: Path) -> bool:
    """Return whether a run was not cut off."""
    return output.is_file() and output.read_bytes().rstrip().endswith(b"</modeling>")


def _run(command: str, folder: Path) -> None:
    from custodian import Custodian
    from custodian.custodian import CustodianError
    from custodian.vasp.handlers import UnconvergedErrorHandler, VaspErrorHandler
    from custodian.vasp.jobs import VaspJob

    job = VaspJob(shlex.split(command), auto_npar=False, auto_gamma=False)
    handlers = [VaspErrorHandler(), UnconvergedErrorHandler()]
    try:
        Custodian(handlers, [job], max_errors=5, directory=str(folder), polling_time_step=1).run()
    except CustodianError as error:
        raise Failure(STAGE, f"custodian gave up: {' '.join(str(error).split())} ({folder})") from error


def read_label(output: Path, atoms: Atoms) -> Label:
    """Read one label from vasprun.xml.

    Raises
    ------
    Failure
        ``not_converged`` where the electrons were not; ``failed`` where the file is broken or of another structure.
    """
    from pymatgen.io.vasp.outputs import Vasprun

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run = Vasprun(str(output), parse_dos=False, parse_eigen=False, parse_potcar_file=False)
    except (OSError, SyntaxError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise Failure(
            STAGE, f"{output} cannot be read ({type(error).__name__}); delete it and rerun"
        ) from error
    if len(run.ionic_steps) != 1:
        raise Failure(STAGE, f"{output} has {len(run.ionic_steps)} ionic steps, a label has one (NSW = 0)")
    last = run.ionic_steps[-1]
    steps = last["electronic_steps"]
    if not run.converged_electronic:
        raise Failure(
            STAGE, f"electrons not converged after {len(steps)} steps ({output})", status="not_converged"
        )
    back = order_in(run, atoms, output)
    stress = (
        -np.asarray(last["stress"], dtype=float) * KBAR_EV_PER_ANG3
    )  # VASP's is positive under compression
    return Label(
        energy_ev=float(last["e_0_energy"]),
        free_energy_ev=float(last["e_fr_energy"]),
        forces_ev_per_ang=np.asarray(last["forces"], dtype=float)[back],
        stress_ev_per_ang3=((stress + stress.T) / 2).flat[[0, 4, 8, 5, 2, 1]],
        level_of_theory=level_of_theory(run),
        evidence=_evidence(run, steps),
    )


def order_in(run: Vasprun, atoms: Atoms, output: Path) -> NDArray[np.intp]:
    """Return where each atom stands in VASP's file, which is sorted by element; Failure where it is not there."""
    structure = run.structures[0]
    lengths = atoms.cell.lengths()
    if (
        len(structure) == len(atoms)
        and np.abs(structure.lattice.matrix - atoms.cell.array).max() < SAME_PLACE_ANG
    ):
        apart = atoms.get_scaled_positions(wrap=False)[:, None] - structure.frac_coords[None]
        distance = np.linalg.norm((apart - apart.round()) * lengths, axis=2)
        found = distance.argmin(axis=1)
        symbols = [site.specie.symbol for site in structure]
        same = [symbols[i] == symbol for i, symbol in zip(found, atoms.symbols, strict=True)]
        if distance.min(axis=1).max() < SAME_PLACE_ANG and all(same) and len(set(found)) == len(atoms):
            return found
    raise Failure(STAGE, f"{output} is of another structure; delete it and rerun")


def level_of_theory(run: Vasprun) -> str:
    """Return the level of theory that a run was really made with; without a GGA tag it is that of the potentials."""
    found = str(run.run_type).removesuffix("+vdW-no-correction")
    if all(symbol.startswith("PAW_PBE") for symbol in run.potcar_symbols):
        found = {"GGA": "PBE", "GGA+U": "PBE+U"}.get(found, found)
    return "PBE+U (MP)" if found == "PBE+U" else found


def _evidence(run: Vasprun, steps: list[dict[str, Any]]) -> dict[str, Any]:
    given = run.parameters
    last = abs(steps[-1]["e_fr_energy"] - steps[-2]["e_fr_energy"]) if len(steps) > 1 else None
    return {
        "code": f"vasp {run.vasp_version}",
        "cutoff_ev": float(given["ENMAX"]),
        "kpoint_mesh": [int(k) for k in run.kpoints.kpts[0]],
        "kpoint_mesh_type": run.kpoints.style.name.lower(),
        "smearing": f"ISMEAR {given['ISMEAR']}",
        "smearing_ev": float(given["SIGMA"]),
        "scf_steps": len(steps),
        "max_scf_steps": int(given["NELM"]),
        "ediff_ev": float(given["EDIFF"]),
        "last_energy_change_ev": last,
        "potentials": list(run.potcar_symbols),
    }
