"""Labelled frames: every kind that is read, every defect that is named, units and signs, and the published sets."""

import gzip
import json
import os
import pickle
import random
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import ase
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.db import connect
from ase.io import write
from pymatgen.io.ase import AseAtomsAdaptor

from pesbench.sources.archives import ArchiveError
from pesbench.sources.frames import KBAR_EV_PER_ANG3, Frame, LabelError, stress_of_vasp, voigt
from pesbench.sources.interface import Provenance
from pesbench.sources.label_checks import check_frames
from pesbench.sources.label_sets import LABEL_SETS, convert, read_wbm_states
from pesbench.sources.labelled import read_labels, read_provenance, write_labels

VASP = Path(ase.__file__).parent / "test" / "testdata" / "vasp"
MIRROR = os.environ.get("PESBENCH_MIRROR")
PROVENANCE = Provenance("a user", "cu", "1", "2026-11-21", "CC BY 4.0", "0" * 64)
needs_mirror = pytest.mark.skipif(not MIRROR, reason="PESBENCH_MIRROR does not name a folder with the sets")


def hot_copper(seed: int) -> Atoms:
    """Return sheared and rattled copper with EMT's energy, forces and stress."""
    atoms = bulk("Cu", cubic=True)
    rng = np.random.default_rng(seed)
    atoms.set_cell(atoms.cell @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3))), scale_atoms=True)
    atoms.rattle(0.1, rng=rng)
    atoms.calc = EMT()
    atoms.get_forces(), atoms.get_stress()
    return atoms


def frames_of(path: Path) -> list[Frame]:
    write(path, [hot_copper(seed) for seed in range(4)], format="extxyz")
    return read_labels(path, "EMT")


@pytest.fixture
def frames(tmp_path: Path) -> list[Frame]:
    return frames_of(tmp_path / "cu.xyz")


def test_an_extxyz_file_gives_what_the_calculator_gave(tmp_path):
    frames = frames_of(tmp_path / "cu.xyz")
    for seed, frame in enumerate(frames):
        atoms = hot_copper(seed)
        assert frame.energy_ev == pytest.approx(atoms.get_potential_energy(), abs=1e-7)
        np.testing.assert_allclose(frame.forces_ev_per_ang, atoms.get_forces(), atol=1e-7)
        np.testing.assert_allclose(frame.stress_ev_per_ang3, atoms.get_stress(), atol=1e-7)
        assert (frame.material, frame.level_of_theory, frame.atoms.calc) == ("Cu", "EMT", None)


def test_the_projects_own_format_keeps_everything(tmp_path, frames):
    frames = [replace(f, id=f"state-{n}", material="mp-30", split="test") for n, f in enumerate(frames)]
    frames[2] = replace(frames[2], stress_ev_per_ang3=None)
    path = tmp_path / "kept.extxyz"
    write_labels(path, frames, PROVENANCE)
    again = read_labels(path)
    for one, other in zip(frames, again, strict=True):
        assert (one.id, one.material, one.level_of_theory, one.split) == (
            other.id,
            other.material,
            other.level_of_theory,
            other.split,
        )
        assert other.energy_ev == one.energy_ev
        np.testing.assert_allclose(other.forces_ev_per_ang, one.forces_ev_per_ang, atol=1e-8)
        np.testing.assert_allclose(other.atoms.positions, one.atoms.positions, atol=1e-8)
    assert again[2].stress_ev_per_ang3 is None and again[1].stress_ev_per_ang3 is not None
    assert read_provenance(path) == PROVENANCE


def as_vasp(stress: np.ndarray) -> np.ndarray:
    """Return ASE's stress as VASP prints it: kbar, compression positive, xx yy zz xy yz zx."""
    return -stress[[0, 1, 2, 5, 3, 4]] / KBAR_EV_PER_ANG3


def json_record(seed: int, **more: object) -> dict:
    atoms = hot_copper(seed)
    structure = AseAtomsAdaptor.get_structure(atoms).as_dict()
    labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces().tolist()}
    return {"structure": structure, **labels, **more}


def test_every_kind_of_file_gives_the_same_frames(tmp_path, frames):
    database = connect(tmp_path / "cu.db")
    for seed in range(4):
        database.write(hot_copper(seed))
    records = [json_record(n, stress_kbar=as_vasp(hot_copper(n).get_stress()).tolist()) for n in range(4)]
    (tmp_path / "cu.json").write_text(json.dumps(records))
    (tmp_path / "cu.json.gz").write_bytes(gzip.compress(json.dumps(records).encode()))
    before = (tmp_path / "cu.db").read_bytes()
    for name in ("cu.db", "cu.json", "cu.json.gz"):
        other = read_labels(tmp_path / name, "EMT")
        for one, two in zip(frames, other, strict=True):
            assert two.energy_ev == pytest.approx(one.energy_ev, abs=1e-7)
            np.testing.assert_allclose(two.forces_ev_per_ang, one.forces_ev_per_ang, atol=1e-7)
            np.testing.assert_allclose(two.stress_ev_per_ang3, one.stress_ev_per_ang3, atol=1e-7)
            np.testing.assert_allclose(two.atoms.cell.array, one.atoms.cell.array, atol=1e-7)
            np.testing.assert_allclose(
                two.atoms.get_scaled_positions() % 1, one.atoms.get_scaled_positions() % 1, atol=1e-7
            )
    assert (tmp_path / "cu.db").read_bytes() == before, "reading changed the user's database"


def test_training_files_prefix_is_understood(tmp_path):
    atoms = hot_copper(0)
    bare = atoms.copy()
    bare.info["REF_energy"], bare.arrays["REF_forces"] = atoms.get_potential_energy(), atoms.get_forces()
    write(tmp_path / "mace.xyz", bare, format="extxyz")
    (frame,) = read_labels(tmp_path / "mace.xyz", "PBE")
    np.testing.assert_allclose(frame.forces_ev_per_ang, atoms.get_forces(), atol=1e-7)


def test_vasp_stress_has_the_other_sign_unit_and_order():
    stress = hot_copper(1).get_stress()
    np.testing.assert_allclose(stress_of_vasp(as_vasp(stress), "x"), stress, atol=1e-12)
    tensor = (
        -np.array([[stress[i] for i in row] for row in ((0, 5, 4), (5, 1, 3), (4, 3, 2))]) / KBAR_EV_PER_ANG3
    )
    np.testing.assert_allclose(stress_of_vasp(tensor, "x"), stress, atol=1e-12)
    with pytest.raises(LabelError, match="not symmetric"):
        voigt([[0, 1, 0], [0, 0, 0], [0, 0, 0]], "x")
    with pytest.raises(LabelError, match=r"shape \(5,\)"):
        voigt([1, 2, 3, 4, 5], "x")


def test_vaspruns_and_outcars_of_ase_are_read_as_ase_reads_them():
    for name, form, level in (
        ("vasprun_dfpt.xml", "vasp-xml", "PBE"),
        ("vasprun_pstress.xml", "vasp-xml", "LDA"),
        ("OUTCAR_example_1", "vasp-out", "PBE"),
    ):
        expected = ase.io.read(VASP / name, format=form)
        frame = read_labels(VASP / name)[-1]
        assert frame.level_of_theory == level
        assert frame.energy_ev == pytest.approx(expected.get_potential_energy(), abs=1e-6)
        np.testing.assert_allclose(
            frame.forces_ev_per_ang, expected.get_forces(apply_constraint=False), atol=1e-6
        )
        np.testing.assert_allclose(frame.stress_ev_per_ang3, expected.get_stress(), atol=1e-6)


def test_an_unconverged_calculation_gives_no_label(tmp_path):
    with pytest.raises(LabelError, match=r"frame 0: the electrons did not converge"):
        read_labels(VASP / "convergence_OUTCAR_y_n")
    text = (VASP / "vasprun_dfpt.xml").read_text()
    steps = text.count("<scstep>")
    assert steps > 3
    (tmp_path / "vasprun.xml").write_text(text.replace('name="NELM">   100', f'name="NELM">   {steps}'))
    with pytest.raises(LabelError, match=rf"did not converge in NELM = {steps}"):
        read_labels(tmp_path / "vasprun.xml")


@pytest.mark.parametrize(("name", "size"), [("vasprun_dfpt.xml", 0.6), ("OUTCAR_example_1", 0.5)])
def test_a_file_that_is_cut_off_is_named(tmp_path, name, size):
    raw = (VASP / name).read_bytes()
    (tmp_path / name).write_bytes(raw[: int(size * len(raw))])
    with pytest.raises(LabelError, match=rf"{name}.*cut off"):
        read_labels(tmp_path / name)


def test_another_functional_than_the_stated_one_is_refused():
    for stated in ("PBEsol", "r2SCAN", "PBE+U"):
        with pytest.raises(LabelError, match=f"calculated with PBE, not with the stated {re.escape(stated)}"):
            read_labels(VASP / "vasprun_dfpt.xml", stated)
    assert read_labels(VASP / "vasprun_dfpt.xml", "PBE (mine)")[0].level_of_theory == "PBE (mine)"


def spoiled(frames: list[Frame]) -> dict[str, tuple[list[Frame], str]]:
    """Return sets with one defect each, and what the message must say."""
    a, b, c, d = frames
    nan = a.forces_ev_per_ang.copy()
    nan[2, 1] = np.nan
    near = b.atoms.copy()
    near.positions[1] = near.positions[0] + [0.05, 0, 0]
    flat = b.atoms.copy()
    flat.cell[2] = flat.cell[0]
    return {
        "nan": ([b, replace(a, forces_ev_per_ang=nan)], r"frame 1 \(cu-0\): the force on atom 2 holds NaN"),
        "energy": ([a, b, replace(c, energy_ev=float("inf"))], r"frame 2 \(cu-2\): the energy is inf"),
        "shape": ([replace(a, forces_ev_per_ang=a.forces_ev_per_ang[:2])], r"shape \(2, 3\) for 4 atoms"),
        "unit": ([replace(a, forces_ev_per_ang=1e4 * a.forces_ev_per_ang)], r"are they in eV/A\?"),
        "level": (
            [a, b, replace(c, level_of_theory="PBEsol"), d],
            "mixed or missing .EMT from frame 0, PBEsol from frame 2",
        ),
        "none stated": ([a, replace(b, level_of_theory="")], "none stated from frame 1"),
        "repeat": ([a, b, replace(a, id="copy")], "frames 0 and 2 are one structure with the same labels"),
        "contradiction": (
            [a, b, replace(a, id="copy", energy_ev=a.energy_ev + 1)],
            "frames 0 and 2 are one structure with DIFFERENT labels",
        ),
        "id": ([a, replace(b, id=a.id)], "frames 0 and 1 have the same id cu-0"),
        "near": ([replace(b, atoms=near)], "two atoms are 0.050 A apart"),
        "flat": ([replace(b, atoms=flat)], "the cell has no volume"),
        "stress": ([replace(a, stress_ev_per_ang3=np.full(6, np.nan))], "the stress holds NaN"),
        "empty": ([], "holds no frame"),
    }


DEFECTS = (
    "nan", "energy", "shape", "unit", "level", "none stated", "repeat", "contradiction", "id", "near", "flat",
    "stress", "empty",
)  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_named_with_file_and_frame(frames, defect):
    check_frames(frames, Path("good.xyz"))
    bad, message = spoiled(frames)[defect]
    with pytest.raises(LabelError, match=message) as caught:
        check_frames(bad, Path("set.xyz"))
    assert str(caught.value).startswith("set.xyz: ") and "\n" not in str(caught.value)


def test_many_defects_are_one_short_message(frames):
    bad = [replace(frames[0], id=str(n), energy_ev=float("nan")) for n in range(500)]
    with pytest.raises(LabelError, match="and 991 more") as caught:
        check_frames(bad, Path("set.xyz"))
    assert len(str(caught.value)) < 1000


def test_repeats_of_a_published_set_pass_but_contradictions_do_not(frames):
    a, b, *_ = frames
    check_frames([a, b, replace(a, id="copy")], Path("x"), repeats_allowed=True)
    with pytest.raises(LabelError, match="DIFFERENT"):
        check_frames([a, replace(a, id="copy", energy_ev=0.0)], Path("x"), repeats_allowed=True)


def test_two_copies_of_an_atom_and_an_image_too_near_are_found(frames):
    twice = frames[0].atoms.copy()
    twice.positions[3] = twice.positions[0]
    with pytest.raises(LabelError, match=r"0\.000 A apart"):
        check_frames([replace(frames[0], atoms=twice)], Path("x"))
    edge = frames[0].atoms.copy()
    edge.positions[0], edge.positions[1] = [0.02, 0, 0], edge.cell[0] - [0.08, 0, 0]
    with pytest.raises(LabelError, match=r"0\.100 A apart"):
        check_frames([replace(frames[0], atoms=edge)], Path("x"))


def test_what_a_user_gets_wrong_is_one_line(tmp_path):
    bare = bulk("Cu", cubic=True)
    write(tmp_path / "bare.xyz", bare, format="extxyz")
    with pytest.raises(LabelError, match=r"frame 0: has no energy and forces.*rename"):
        read_labels(tmp_path / "bare.xyz", "PBE")
    atoms = hot_copper(0)
    write(tmp_path / "level.xyz", atoms, format="extxyz")
    with pytest.raises(LabelError, match="does not say its level of theory"):
        read_labels(tmp_path / "level.xyz")
    atoms.info["forces_unit"] = "eV/Bohr"
    write(tmp_path / "unit.xyz", atoms, format="extxyz")
    with pytest.raises(LabelError, match="forces_unit is eV/Bohr; convert it to eV/A"):
        read_labels(tmp_path / "unit.xyz", "PBE")
    (tmp_path / "s.json").write_text(json.dumps([json_record(0, stress=[0] * 6)]))
    with pytest.raises(LabelError, match="stress has no unit"):
        read_labels(tmp_path / "s.json", "PBE")
    with pytest.raises(LabelError, match="no such file"):
        read_labels(tmp_path / "absent.xyz", "PBE")
    (tmp_path / "a.pkl").write_bytes(b"")
    with pytest.raises(LabelError, match="of no known kind"):
        read_labels(tmp_path / "a.pkl", "PBE")


def test_an_extxyz_cut_anywhere_is_one_line_or_fewer_whole_frames(tmp_path, frames):
    raw = (tmp_path / "cu.xyz").read_bytes()
    rng = random.Random(0)
    for cut in [rng.randrange(1, len(raw)) for _ in range(60)]:
        (tmp_path / "cut.xyz").write_bytes(raw[:cut])
        try:
            kept = read_labels(tmp_path / "cut.xyz", "EMT")
        except (LabelError, ArchiveError) as error:
            assert "cut.xyz" in str(error) and "\n" not in str(error)
        else:
            for one, two in zip(frames, kept, strict=False):
                np.testing.assert_allclose(two.atoms.positions[:-1], one.atoms.positions[:-1], atol=1e-6)


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("exploded",))


def test_nothing_in_a_file_is_executed_or_imported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = json_record(0)
    record["structure"]["sites"][0]["properties"] = {"x": {"@module": "os", "@callable": "mkdir"}}
    record["structure"]["@module"] = "antigravity_is_not_imported"
    (tmp_path / "a.json").write_text(json.dumps([record]))
    assert len(read_labels(tmp_path / "a.json", "EMT")) == 1
    for name in ("b.json", "b.xyz", "b.db", "vasprun.xml", "OUTCAR"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
        with pytest.raises((LabelError, ArchiveError)):
            read_labels(tmp_path / name, "PBE")
    assert not (tmp_path / "exploded").exists()


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("pesbench.sources.labelled.MOST_BYTES", 10_000)
    (tmp_path / "bomb.xyz.gz").write_bytes(gzip.compress(b"0" * 20_000))
    with pytest.raises(ArchiveError, match="holds more than 10000 bytes"):
        read_labels(tmp_path / "bomb.xyz.gz", "PBE")


def wbm_file(path: Path, per_atom: bool = False) -> None:
    """Write states as Deng's figshare file has them (keys seen in public scripts that read it)."""
    data: dict[str, dict] = {}
    for seed in range(6):
        atoms = hot_copper(seed)
        energy = -15.0 / 4 / 4 if per_atom else -15.0
        structure = AseAtomsAdaptor.get_structure(atoms).as_dict()
        state = {"structure": structure, "vasp_e": energy, "vasp_f": atoms.get_forces().tolist()}
        state["vasp_s"] = as_vasp(atoms.get_stress()).tolist()
        data.setdefault(f"wbm-1-{seed // 2}", {})[f"wbm-1-{seed // 2}-{seed % 2}"] = state
    path.write_text(json.dumps(data))


def test_high_energy_states_of_wbm(tmp_path):
    wbm_file(tmp_path / "states.json")
    frames = list(read_wbm_states(tmp_path / "states.json"))
    assert Counter(frame.material for frame in frames) == {"wbm-1-0": 2, "wbm-1-1": 2, "wbm-1-2": 2}
    np.testing.assert_allclose(frames[3].stress_ev_per_ang3, hot_copper(3).get_stress(), atol=1e-9)
    assert frames[3].energy_ev == -15.0
    wbm_file(tmp_path / "states.json", per_atom=True)
    with pytest.raises(LabelError, match=r"energies are per atom \(median 0.234 eV"):
        list(read_wbm_states(tmp_path / "states.json"))


EXPECTED = {
    # name: (frames, materials, lowest and highest energy in eV/atom, largest force component in eV/A)
    "mlearn": (1566, 6, -10.850, -1.706, 13.99),
    "mpf_tp": (1069, 214, -11.277, 11.547, 26.70),
    "mpf_alkali_tp": (460, 86, -7.651, 3.048, 17.22),
    "random_tp": (693, 147, -7.385, 9.949, 19.70),
    "water": (10, 1, -156.332, -156.186, 21.57),
}


@needs_mirror
@pytest.mark.parametrize("name", EXPECTED)
def test_a_published_set_is_what_it_says(name):
    entry = LABEL_SETS[name]
    frames = convert(entry, Path(MIRROR) / entry.mirror)
    energies = [frame.energy_ev / len(frame.atoms) for frame in frames]
    forces = [np.abs(frame.forces_ev_per_ang).max() for frame in frames]
    found = (len(frames), len({f.material for f in frames}), min(energies), max(energies), max(forces))
    assert found == pytest.approx(EXPECTED[name], abs=0.01)
    assert {frame.level_of_theory for frame in frames} == {entry.level_of_theory}
    drift = max(np.abs(frame.forces_ev_per_ang.sum(axis=0)).max() for frame in frames)
    assert drift < (0.7 if name == "water" else 0.2)


@needs_mirror
def test_mlearn_has_1402_frames_to_train_on_and_its_stress_is_ours():
    frames = convert(LABEL_SETS["mlearn"], Path(MIRROR) / LABEL_SETS["mlearn"].mirror)
    assert Counter(frame.split for frame in frames) == {"train": 1402, "test": 164}
    for element in (
        "Cu",
        "Ni",
    ):  # those that EMT is made for; its shear stresses tell one component from another
        hot = [f for f in frames if f.material == element and np.abs(f.stress_ev_per_ang3[3:]).max() > 0.01]
        ours = np.array([frame.stress_ev_per_ang3 for frame in hot])
        emt = np.array([stress_of_emt(frame.atoms) for frame in hot])
        for component in range(6):
            correlation = [np.corrcoef(ours[:, component], emt[:, other])[0, 1] for other in range(6)]
            assert int(np.argmax(correlation)) == component
            assert correlation[component] > 0.99


def stress_of_emt(atoms: Atoms) -> np.ndarray:
    copy = atoms.copy()
    copy.calc = EMT()
    return copy.get_stress()


@needs_mirror
def test_a_mirror_with_a_broken_set_is_named(tmp_path):
    entry = LABEL_SETS["random_tp"]
    shutil.copy(Path(MIRROR) / entry.mirror, tmp_path / "random-TP.xyz")
    with open(tmp_path / "random-TP.xyz", "r+b") as handle:
        handle.truncate(700_000)
    with pytest.raises(LabelError, match=r"random-TP\.xyz"):
        convert(entry, tmp_path / "random-TP.xyz")


def test_xml_that_unfolds_without_end_is_refused(tmp_path):
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    text = (VASP / "vasprun_dfpt.xml").read_text()
    text = text.replace("<modeling>", f'<!DOCTYPE m [<!ENTITY l0 "lol">{entities}]>\n<modeling>', 1)
    (tmp_path / "vasprun.xml").write_text(text.replace('name="SYSTEM">', 'name="SYSTEM">&l11;', 1))
    with pytest.raises(LabelError, match=r"vasprun\.xml: is cut off or no vasprun"):
        read_labels(tmp_path / "vasprun.xml")
