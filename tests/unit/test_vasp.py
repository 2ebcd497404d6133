"""VASP's decks, and labels from vasprun.xml; no licence is needed for either.

The vasprun.xml files are written by this test in VASP's own layout, with numbers that tell every atom apart.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from pesbench.dft.label import label
from pesbench.dft.result import kpoint_mesh
from pesbench.dft.settings import DftSettings
from pesbench.dft.vasp import read_label, write_deck
from pesbench.errors import DftError
from pesbench.failures import Failure

SETTINGS = DftSettings(code="vasp", cutoff_ev=520.0, kpoint_spacing_per_ang=0.5, max_scf_steps=60)
STRESS_KBAR = np.array([[10.0, 1.0, 2.0], [1.0, 20.0, 3.0], [2.0, 3.0, 30.0]])


def interleaved() -> Atoms:
    """Rock salt MgO whose atoms are not sorted by element, none where another could be."""
    atoms = bulk("MgO", "rocksalt", a=4.25, cubic=True)
    atoms.rattle(0.1, seed=1)
    assert atoms.get_chemical_symbols() != sorted(atoms.get_chemical_symbols())
    return atoms


def vasprun(atoms: Atoms, steps: int, nelm: int = 60, hubbard: bool = False, ionic: int = 1) -> str:
    """Return a vasprun.xml of the structure sorted by element, as VASP has it; force x: 0.01 x number in ``atoms``."""
    order = sorted(range(len(atoms)), key=lambda i: (atoms.symbols[i] != "Mg", i))
    basis = "".join(f"<v>{x:.8f} {y:.8f} {z:.8f}</v>" for x, y, z in atoms.cell.array)
    places = atoms.get_scaled_positions()[order]
    positions = "".join(f"<v>{x:.8f} {y:.8f} {z:.8f}</v>" for x, y, z in places)
    volume = f'<i name="volume">{atoms.get_volume():.6f}</i>'
    crystal = f'<crystal><varray name="basis">{basis}</varray>{volume}</crystal>'
    crystal = crystal.replace("</crystal>", f'<varray name="rec_basis">{basis}</varray></crystal>')
    structure = f'<structure{{}}>{crystal}<varray name="positions">{positions}</varray></structure>'
    energies = "".join(
        f'<i name="{name}">{value}</i>'
        for name, value in (("e_fr_energy", -47.5), ("e_wo_entrp", -47.3), ("e_0_energy", -47.4))
    )
    electronic = f"<scstep><energy>{energies}</energy></scstep>" * steps
    forces = "".join(f"<v>{0.01 * i:.8f} 0.0 0.0</v>" for i in order)
    stress = "".join(f"<v>{a} {b} {c}</v>" for a, b, c in STRESS_KBAR)
    calculation = (
        f"<calculation>{electronic}{structure.format('')}"
        f'<varray name="forces">{forces}</varray><varray name="stress">{stress}</varray>'
        f"<energy>{energies}</energy></calculation>"
    )
    names = "".join(
        f"<rc><c>{atoms.symbols[i]}</c><c>{1 + (atoms.symbols[i] == 'O')}</c></rc>" for i in order
    )
    kinds = "".join(
        f"<rc><c>{list(atoms.symbols).count(s)}</c><c>{s}</c><c>{mass}</c>"
        f"<c>6.0</c><c>  PAW_PBE {potcar} 06Sep2000 </c></rc>"
        for s, mass, potcar in (("Mg", 24.305, "Mg_pv"), ("O", 15.999, "O"))
    )
    parameters = (
        ("string", "ALGO", "Fast"), ("int", "NELM", nelm), ("", "EDIFF", 1e-6), ("", "ENMAX", 520.0),
        ("int", "ISMEAR", 0),
        ("", "SIGMA", 0.05), ("int", "NSW", 0), ("int", "IBRION", -1), ("int", "ISPIN", 1), ("string", "GGA", "PE"),
        ("string", "METAGGA", "--"), ("logical", "LDAU", "T" if hubbard else "F"), ("int", "IVDW", 0),
        ("logical", "LHFCALC", "F"), ("", "AEXX", 0.0), ("", "HFSCREEN", 0.0), ("logical", "LUSE_VDW", "F"),
        ("int", "NELMIN", 2),
    )  # fmt: skip
    items = "".join(
        f'<i type="{kind}" name="{name}">{value}</i>' if kind else f'<i name="{name}">{value}</i>'
        for kind, name, value in parameters
    )
    mesh = (
        '<kpoints><generation param="Gamma"><v type="int" name="divisions">3 3 3</v><v name="usershift">0 0 0</v>'
        '<v name="genvec1">1 0 0</v><v name="genvec2">0 1 0</v><v name="genvec3">0 0 1</v>'
        '<v name="shift">0 0 0</v></generation>'
        '<varray name="kpointlist"><v>0 0 0</v></varray><varray name="weights"><v>1.0</v></varray></kpoints>'
    )
    table = '<array name="{}"><dimension dim="1">ion</dimension><set>{}</set></array>'
    hubbard_u = (
        '<v name="LDAUU">3.0 0.0</v><v name="LDAUJ">0.0 0.0</v><v name="LDAUL">2 -1</v>' if hubbard else ""
    )
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n'
        '<generator><i name="program" type="string">vasp </i><i name="version" type="string">6.4.2  </i></generator>'
        f"<incar>{items}{hubbard_u}</incar>{mesh}<parameters>{items}{hubbard_u}</parameters>"
        f"<atominfo><atoms>{len(atoms)}</atoms><types>2</types>{table.format('atoms', names)}"
        f"{table.format('atomtypes', kinds)}</atominfo>"
        + structure.format(' name="initialpos"') + calculation * ionic + structure.format(' name="finalpos"')
        + "\n</modeling>\n"
    )  # fmt: skip


def tag(incar: Path, name: str) -> str:
    """Return one tag of an INCAR."""
    [line] = [line for line in incar.read_text().splitlines() if line.split("=")[0].strip() == name]
    return line.split("=")[1].strip()


def test_the_deck_has_what_forces_need_and_no_potentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PMG_VASP_PSP_DIR", raising=False)
    atoms = interleaved()
    assert write_deck(atoms, SETTINGS, tmp_path) is False
    assert sorted(path.name for path in tmp_path.iterdir()) == ["INCAR", "KPOINTS", "POSCAR", "POTCAR.spec"]
    wanted = {"EDIFF": 1e-6, "ENCUT": 520.0, "ISMEAR": 0, "SIGMA": 0.05, "ISYM": 0, "NSW": 0, "NELM": 60}
    assert {name: float(tag(tmp_path / "INCAR", name)) for name in wanted} == wanted
    assert (tmp_path / "KPOINTS").read_text().splitlines()[2:4] == ["Gamma", "3 3 3"]
    assert (tmp_path / "POTCAR.spec").read_text().split() == ["Mg_pv", "O"]


def test_the_deck_keeps_the_hubbard_u_of_the_materials_project(tmp_path: Path) -> None:
    write_deck(bulk("NiO", "rocksalt", a=4.2, cubic=True), SETTINGS, tmp_path)
    assert "6.2" in tag(tmp_path / "INCAR", "LDAUU")


@pytest.mark.parametrize("spacing", [0.2, 0.35, 0.5, 5.0])
def test_the_mesh_is_no_coarser_than_asked_and_no_finer_than_needed(spacing: float) -> None:
    atoms = bulk("Al", "fcc", a=4.05) * (1, 2, 3)
    lengths = 2 * math.pi * np.linalg.norm(np.linalg.inv(atoms.cell.array).T, axis=1)
    for length, divisions in zip(lengths, kpoint_mesh(atoms, spacing), strict=True):
        assert length / divisions <= spacing * (1 + 1e-9)
        assert divisions == 1 or length / (divisions - 1) > spacing


def test_a_label_is_in_the_order_and_the_units_of_the_structure(tmp_path: Path) -> None:
    atoms = interleaved()
    (tmp_path / "vasprun.xml").write_text(vasprun(atoms, steps=14))
    found = read_label(tmp_path / "vasprun.xml", atoms)
    assert found.forces_ev_per_ang[:, 0] == pytest.approx(0.01 * np.arange(8))
    assert (found.energy_ev, found.free_energy_ev) == (-47.4, -47.5)
    # 10 kbar is 1 GPa; VASP's stress is positive where the cell wants to grow.
    assert found.stress_ev_per_ang3 == pytest.approx(
        -np.array([1, 2, 3, 0.3, 0.2, 0.1]) / 160.2176634, rel=1e-6
    )
    assert found.level_of_theory == "PBE"
    assert found.evidence["scf_steps"] == 14 and found.evidence["cutoff_ev"] == 520.0
    assert found.evidence["kpoint_mesh"] == [3, 3, 3] and found.evidence["smearing"] == "ISMEAR 0"


def test_unconverged_electrons_are_refused(tmp_path: Path) -> None:
    atoms = interleaved()
    (tmp_path / "vasprun.xml").write_text(vasprun(atoms, steps=60))
    with pytest.raises(Failure, match="not converged after 60 steps") as caught:
        read_label(tmp_path / "vasprun.xml", atoms)
    assert caught.value.status == "not_converged"


def test_a_hubbard_u_shows_in_the_level_of_theory(tmp_path: Path) -> None:
    atoms = interleaved()
    (tmp_path / "vasprun.xml").write_text(vasprun(atoms, steps=5, hubbard=True))
    assert read_label(tmp_path / "vasprun.xml", atoms).level_of_theory == "PBE+U (MP)"


@pytest.mark.parametrize("change", ["moved", "swapped", "strained", "relaxed", "cut off"])
def test_what_is_not_this_structure_s_label_is_refused(tmp_path: Path, change: str) -> None:
    atoms = interleaved()
    text = vasprun(atoms, steps=5, ionic=2 if change == "relaxed" else 1)
    (tmp_path / "vasprun.xml").write_text(text[: len(text) // 2] if change == "cut off" else text)
    if change == "moved":
        atoms.positions[3, 1] += 0.01
    if change == "swapped":
        atoms.symbols[0], atoms.symbols[1] = "O", "Mg"
    if change == "strained":
        atoms.set_cell(atoms.cell.array * 1.001, scale_atoms=True)
    with pytest.raises(Failure, match=r"vasprun\.xml"):
        read_label(tmp_path / "vasprun.xml", atoms)


def test_without_vasp_the_deck_is_written_and_the_message_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PESBENCH_VASP", raising=False)
    with pytest.raises(DftError, match="the deck is written, but PESBENCH_VASP is not set"):
        label(interleaved(), SETTINGS, tmp_path / "run")
    assert (tmp_path / "run" / "INCAR").is_file()
    (tmp_path / "run" / "vasprun.xml").write_text(vasprun(interleaved(), steps=9))
    assert label(interleaved(), SETTINGS, tmp_path / "run").evidence["scf_steps"] == 9


def test_vasp_runs_under_custodian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in VASP's place: custodian starts it in the deck's folder, and its output is taken."""
    pytest.importorskip("custodian", reason="custodian is in the environment vasp")
    atoms, folder = interleaved(), tmp_path / "run"
    (tmp_path / "result.xml").write_text(vasprun(atoms, steps=11))
    program = tmp_path / "program.py"
    program.write_text(
        "import shutil, pathlib\nassert pathlib.Path('INCAR').is_file() and pathlib.Path('POTCAR').is_file()\n"
        f"shutil.copy({str(tmp_path / 'result.xml')!r}, 'vasprun.xml')\nprint('done')\n"
    )
    monkeypatch.setenv("PESBENCH_VASP", f"{sys.executable} {program}")

    def deck(atoms: Atoms, settings: DftSettings, folder: Path) -> bool:
        write_deck(atoms, settings, folder)
        (folder / "POTCAR").write_text("in the place of the licensed file\n")
        return True

    monkeypatch.setattr("pesbench.dft.vasp.write_deck", deck)
    before = os.getcwd()
    assert label(atoms, SETTINGS, folder).evidence["scf_steps"] == 11
    assert os.getcwd() == before and "done" in (folder / "vasp.out").read_text()
