"""A check of a user's own material: verdicts on planted softness, advice, caveats, bad input, the page."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from pesbench.benchmarks.high_energy.curves import correction_table
from pesbench.benchmarks.high_energy.score import Run, softening_table
from pesbench.check import caveats, unlabelled
from pesbench.check.page import sentence, verdict_of
from pesbench.check.proof import prove
from pesbench.check.request import Request, load_request, prepare
from pesbench.check.score import Answer, as_json, save_corrections, score
from pesbench.check.states import gather_labelled, labelling_notes
from pesbench.check.structure import read_structure
from pesbench.check.unlabelled_page import commands
from pesbench.check.verdict import Interval, Verdict, held_out, judge, widened, word_of
from pesbench.correction import load
from pesbench.dft.settings import DftSettings
from pesbench.engine.predictions import Predictions
from pesbench.errors import PesbenchError
from pesbench.models.registry import load_registry
from pesbench.records import Record, write_records

ROOT = Path(__file__).parents[2]
REGISTRY = load_registry(ROOT / "data/models.yaml")
ENTRIES = {"emt": REGISTRY.get("emt")}
CONFIGURED = ["chgnet-0.3.0"]


def planted(
    slope: float, frames: int = 30, noise: float = 0.02, level: str = "PBE", power: float = 0.0
) -> Predictions:
    """Answers of a model whose forces are slope x |F|^power times the labels', with noise; sizes differ by frame."""
    rng = np.random.default_rng(7)
    atoms, sizes = 20, np.linspace(0.2, 3.0, frames)
    dft = np.concatenate([size * rng.normal(size=(atoms, 3)) for size in sizes])
    length = np.linalg.norm(dft, axis=1, keepdims=True)
    model = slope * length**power * dft + noise * rng.normal(size=dft.shape)
    none = np.full((frames, 6), np.nan)
    return Predictions(
        ids=np.array([f"f{i}" for i in range(frames)]),
        materials=np.array(["mine"] * frames),
        levels=np.array([level] * frames),
        n_atoms=np.full(frames, atoms),
        energy_ev=np.zeros(frames),
        energy_dft_ev=np.zeros(frames),
        stress_ev_per_ang3=none,
        stress_dft_ev_per_ang3=none,
        numbers=np.full(frames * atoms, 14),
        forces_ev_per_ang=model,
        forces_dft_ev_per_ang=dft,
        failed_ids=np.array([], dtype=str),
        failures=np.array([], dtype=str),
    )


def request(**other: object) -> Request:
    given = {
        "name": "mine",
        "structure": "/far/away/mine.cif",
        "labels": "/far/away/frames.extxyz",
        "mode": "labels",
        "formula": "Si",
        "elements": ("Si",),
        "n_atoms": 8,
        "volume_ang3_per_atom": 20.0,
        "n_frames": 30,
        "odd_frames": 0,
        "level_of_theory": "PBE",
        "models": ("emt",),
        "sha256": {},
    }
    return Request(**{**given, **other})  # type: ignore[arg-type]


def verdict(found: Predictions, doubts: tuple[str, ...] = ()) -> Verdict:
    runs = [Run("emt", "mine", len(found.ids), None, found)]
    tables = softening_table(runs, {}, 0), correction_table(runs, {}, 0)
    return judge("emt", found, "", *tables, list(doubts), 0)


# ------------------------------------------------------------------ verdicts


@pytest.mark.parametrize(("slope", "word"), [(0.8, "soft"), (1.0, "fine"), (0.97, "fine"), (1.2, "stiff")])
def test_planted_softness_is_told_with_its_interval(slope: float, word: str) -> None:
    found = verdict(planted(slope))
    assert found.word == word
    assert found.slope.low < slope < found.slope.high and found.slope.high - found.slope.low < 0.05
    assert (found.n_frames, found.n_components) == (30, 1800)


def test_a_soft_model_is_mended_by_one_over_its_slope() -> None:
    found = verdict(planted(0.8))
    assert found.advice.word == "helps" and found.advice.n_labels >= 1
    # What is left is the noise, times c, over what was there: 0.2 |F| mean and noise.
    assert found.advice.ratio.high < 0.2
    assert found.advice.one_typical == pytest.approx(found.advice.ratio.value, rel=0.1)


def test_a_model_that_is_right_has_nothing_to_mend() -> None:
    advice = verdict(planted(1.0)).advice
    assert advice.word == "does not help" and "nothing to scale" in advice.reason


def test_softness_that_depends_on_the_force_is_not_mended_by_a_number() -> None:
    """Soft where forces are small, stiff where they are large, as CHGNet on silicon."""
    found = verdict(planted(0.55, power=0.35))
    assert found.uneven and found.uneven[0][1] < 0.7 and found.uneven[1][1] > 0.9
    assert found.uneven[0][0] == "0-0.5" and found.uneven[1][0] == ">5"
    assert found.advice.word in ("does not help", "hardly", "helps")
    even = verdict(planted(0.8))
    assert even.uneven == () and even.advice.ratio.value < found.advice.ratio.value


def test_scatter_is_no_softness() -> None:
    found = verdict(planted(0.8, noise=3.0))
    assert found.word == "cannot say" and "do not follow" in found.reason


@pytest.mark.parametrize("frames", [1, 2])
def test_one_or_two_frames_cannot_tell(frames: int) -> None:
    found = verdict(planted(0.8, frames=frames))
    assert found.word == "cannot say" and f"{frames} frame" in found.reason
    assert found.advice.word == "cannot say"


def test_doubtful_labels_forbid_a_verdict() -> None:
    found = verdict(planted(0.8), ("slope 0.4, in eV/Bohr?",))
    assert found.word == found.advice.word == "cannot say" and "eV/Bohr" in found.reason


def test_few_frames_widen_an_interval_as_student_s_t_does() -> None:
    many, few = widened(0.8, 0.7, 0.9, 1000), widened(0.8, 0.7, 0.9, 3)
    assert many.low == pytest.approx(0.7, abs=1e-3)
    assert few.high - few.low == pytest.approx(0.2 * 4.3027 / 1.95996 * math.sqrt(1.5), rel=1e-3)
    assert math.isnan(widened(0.8, 0.7, 0.9, 1).low)


@pytest.mark.parametrize(
    ("interval", "word"),
    [
        ((0.90, 0.85, 0.95), "soft"),
        ((0.90, 0.79, 1.01), "cannot say"),
        ((0.96, 0.91, 0.99), "fine"),
        ((0.96, 0.80, 1.12), "cannot say"),
        ((1.10, 1.02, 1.18), "stiff"),
        ((0.90, math.nan, math.nan), "cannot say"),
    ],
)
def test_words_need_a_slope_and_an_interval(interval: tuple[float, float, float], word: str) -> None:
    assert word_of(Interval(*interval)) == word


def test_held_out_error_is_not_that_of_the_fit() -> None:
    """Frames whose own factors differ widely: a c fitted on others does harm where one fitted on all would not."""
    found = planted(1.0, frames=4)
    factors = np.repeat([0.2, 1.0, 1.0, 5.0], 20)[:, None]
    harmed = held_out(
        Predictions(**{**found.__dict__, "forces_ev_per_ang": factors * found.forces_dft_ev_per_ang}), 0
    )
    assert harmed.high > 1 and harmed.high > 2 * harmed.low


# ------------------------------------------------------------------ the score as a whole


def scored(found: Predictions, **other: object):
    asked = request(**other)
    runs = [Run("emt", "mine", 30, None, found)]
    tables = softening_table(runs, {}, 0), correction_table(runs, {}, 0)
    answers = [Answer("emt", found, "")]
    volumes = np.linspace(18.0, 22.0, 30)
    return asked, answers, score(asked, answers, tables, ENTRIES, volumes, [], 0)


def test_labels_in_ev_per_bohr_are_told_and_forbid_the_verdict() -> None:
    """Forces of the labels times 0.529: the model looks stiff by 1.89 x 0.8."""
    found = planted(0.8)
    wrong = Predictions(**{**found.__dict__, "forces_dft_ev_per_ang": 0.529177 * found.forces_dft_ev_per_ang})
    _, _, (result, findings) = scored(wrong)
    assert [f.kind for f in findings][:1] == ["unit"]
    assert result.verdicts[0].word == "cannot say" and not result.corrections
    assert any("eV/Bohr" in told for told in result.caveats)


def test_a_kept_result_gives_the_same_sentence_again(tmp_path: Path) -> None:
    asked, answers, (result, _) = scored(planted(0.8))
    kept = json.loads(as_json(result, asked))
    again = verdict_of(kept["verdicts"][0])
    assert again == result.verdicts[0]
    told = sentence(again, "Si")
    assert told.startswith("emt is SOFT on Si: its forces are 0.80 (")
    save_corrections(result, answers, asked, tmp_path / "corrected", ROOT / "scripts")
    correction = load(tmp_path / "corrected/emt.json")
    assert correction.c == pytest.approx(1.25, abs=0.01) and correction.n_labels == 30
    assert (correction.model, correction.level_of_theory) == ("emt", "PBE")


def test_a_model_that_fails_alone_is_named_and_all_failing_is_an_error() -> None:
    asked = request(models=("emt", "chgnet-0.3.0"))
    found = planted(0.8)
    runs = [Run("emt", "mine", 30, None, found)]
    tables = softening_table(runs, {}, 0), correction_table(runs, {}, 0)
    answers = [Answer("emt", found, ""), Answer("chgnet-0.3.0", None, "out of its mind")]
    entries = {**ENTRIES, "chgnet-0.3.0": REGISTRY.get("chgnet-0.3.0")}
    result, _ = score(asked, answers, tables, entries, np.ones(30), [], 0)
    assert [v.word for v in result.verdicts] == ["soft", "cannot say"]
    assert result.verdicts[1].reason == "out of its mind"
    with pytest.raises(PesbenchError, match="no model finished any frame; emt: broken"):
        score(asked, [Answer("emt", None, "broken")], tables, entries, np.ones(30), [], 0)


# ------------------------------------------------------------------ what not to trust


@pytest.mark.parametrize(
    ("labels", "model", "words"),
    [
        ("PBE", "PBE and PBE+U (Materials Project)", ""),
        ("PBE (GPAW)", "PBE and PBE+U (Materials Project)", ""),
        ("PBEsol", "PBE and PBE+U (Materials Project)", "difference of the two functionals"),
        ("r2SCAN", "PBE and PBE+U (OMat24)", "difference of the two functionals"),
        ("r2SCAN (VASP)", "r2SCAN (Materials Project)", ""),
        ("my favourite", "PBE and PBE+U (OMat24)", "not known here"),
        ("PBE", "none (EMT)", "not trained on DFT"),
    ],
)
def test_functionals_that_differ_are_told(labels: str, model: str, words: str) -> None:
    told = caveats.level_warning(labels, model, "m")
    assert (words in told) if words else told == ""


def test_a_hubbard_u_is_told_for_oxides_only() -> None:
    models = {"chgnet-0.3.0": REGISTRY.get("chgnet-0.3.0")}
    assert "without +U" in caveats.hubbard_warning(("Ni", "O"), "PBE", models)
    assert "with +U" in caveats.hubbard_warning(("Ni", "O"), "PBE+U (MP)", models)
    assert caveats.hubbard_warning(("Ni", "Al"), "PBE", models) == ""
    assert caveats.hubbard_warning(("Mg", "O"), "PBE", models) == ""


def test_states_near_rest_without_strain_are_told() -> None:
    found = planted(0.8, frames=5)
    small = Predictions(**{**found.__dict__, "forces_dft_ev_per_ang": 0.01 * found.forces_dft_ev_per_ang})
    told = " ".join(caveats.states_told(small, request(n_frames=50), np.full(5, 20.0)))
    for part in ("5 frames", "near rest", "same volume", "5 of 50 frames were taken"):
        assert part in told
    told = " ".join(caveats.states_told(planted(0.8), request(), np.array([18.0, 22.0])))
    assert "near rest" not in told and "same volume" not in told


# ------------------------------------------------------------------ bad input


CIF = """data_x
_cell_length_a 4.2
_cell_length_b 4.2
_cell_length_c 4.2
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Li1 Li 0 0 0 {}
O1 O 0.5 0.5 0.5 1.0
"""


def told(call, *arguments) -> str:
    with pytest.raises(PesbenchError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_partly_occupied_sites_are_named(tmp_path: Path) -> None:
    path = tmp_path / "disordered.cif"
    path.write_text(CIF.format(0.5))
    message = told(read_structure, path)
    assert "1 of 2 sites" in message and "Li" in message and "0.5" in message and "ordered" in message
    path.write_text(CIF.format(1.0))
    assert read_structure(path).get_chemical_formula() == "LiO"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("broken.cif", "data_x\n_cell_length_a ?\n", "cannot be read as a structure"),
        ("POSCAR", "nonsense\n1.0\n", "cannot be read as a structure"),
        ("molecule.xyz", "1\n\nH 0 0 0\n", "no cell of three axes"),
        ("x.extxyz", '1\nLattice="3 0 0 0 3 0 0 0 3" pbc="T T F"\nH 0 0 0\n', "not periodic in three"),
        ("y.extxyz", '2\nLattice="3 0 0 0 3 0 0 0 3" pbc="T T T"\nH 0 0 0\nH 0 0 0.2\n', "0.20 Å apart"),
        ("notes.docx", "hello", "cannot be read as a structure"),
    ],
)
def test_a_wrong_structure_is_told_in_one_line(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    message = told(read_structure, path)
    assert words in message and str(path) in message


def labelled(path: Path, *systems: Atoms, forces: bool = True, **info: object) -> Path:
    """Write frames with labels of 0.1 eV/A."""
    frames = []
    for number, atoms in enumerate(systems):
        atoms = atoms.copy()
        atoms.rattle(0.01, seed=number)
        atoms.info = dict(info)
        values = {"forces": np.full((len(atoms), 3), 0.1)} if forces else {}
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0, **values)
        frames.append(atoms)
    write(path, frames, format="extxyz")
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty workplace, and a folder with a space in its name for the user's files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my files").mkdir()
    return tmp_path / "my files"


def ask(
    structure: object = "", labels: object = "", dft: str = "", level: str = "PBE", models: str = ""
) -> Path:
    return prepare(str(structure or ""), str(labels or ""), dft, level, models, CONFIGURED, REGISTRY)


def test_a_request_is_kept_and_asking_again_changes_nothing(here: Path) -> None:
    copper = bulk("Cu", cubic=True)
    write(here / "my copper.cif", copper)
    frames = labelled(here / "frames.extxyz", copper, copper)
    run = ask(here / "my copper.cif", frames)
    assert json.loads(run.read_text()) == {"models": CONFIGURED, "check": {"name": "my-copper"}}
    kept = load_request("my-copper")
    assert (kept.mode, kept.n_frames, kept.level_of_theory, kept.formula) == ("labels", 2, "PBE", "Cu")
    assert kept.structure == str(here / "my copper.cif") and len(kept.sha256) == 2
    files = {
        p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in run.parent.iterdir() if "provenance" not in p.name
    }
    assert ask(here / "my copper.cif", frames) == run
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in files} == files


def test_two_files_of_one_name_do_not_meet(here: Path) -> None:
    for folder, element in (("a", "Cu"), ("b", "Al")):
        (here / folder).mkdir()
        write(here / folder / "bulk.cif", bulk(element, cubic=True))
    one, other = (ask(here / folder / "bulk.cif") for folder in ("a", "b"))
    assert one != other and ask(here / "a/bulk.cif") == one and ask(here / "b/bulk.cif") == other
    assert load_request(other.parents[1].name).formula == "Al"


def test_labels_alone_are_enough(here: Path) -> None:
    run = ask(labels=labelled(here / "frames.extxyz", bulk("Cu", cubic=True)))
    assert load_request(run.parents[1].name).formula == "Cu"


def test_bad_labels_are_told_with_the_mend(here: Path) -> None:
    copper, gold = bulk("Cu", cubic=True), bulk("Au", cubic=True)
    write(here / "cu.cif", copper)
    good = labelled(here / "good.extxyz", copper, copper)
    assert "LEVEL=PBE" in told(ask, here / "cu.cif", good, "", "")
    assert "no energy and forces" in told(ask, "", labelled(here / "none.extxyz", copper, forces=False))
    message = told(ask, here / "cu.cif", labelled(here / "other.extxyz", copper, gold))
    assert "is Au" in message and "is Cu" in message and "1 of 2 frames" in message
    mixed = [labelled(here / f"{level}.extxyz", copper, level_of_theory=level) for level in ("PBE", "PBEsol")]
    both = here / "both.extxyz"
    both.write_text("".join(path.read_text() for path in mixed))
    assert "mixed" in told(ask, "", both)
    assert "no such file" in told(ask, here / "absent.cif")
    assert "leave DFT out" in told(ask, "", good, "gpaw")


def test_a_wrong_wish_is_told(here: Path) -> None:
    write(here / "cu.cif", bulk("Cu", cubic=True))
    assert "STRUCTURE=my.cif" in told(ask)
    assert "must be gpaw or vasp" in told(ask, here / "cu.cif", "", "qe")
    write(here / "nio.cif", bulk("NiO", "rocksalt", a=4.17))
    assert "Ni with O or F has a Hubbard U" in told(ask, here / "nio.cif", "", "gpaw")
    assert ask(here / "nio.cif").is_file()
    assert "did you mean 'chgnet-0.3.0'?" in told(ask, here / "cu.cif", "", "", "", "chgnet-0.3")
    assert "nobody has pinned" in told(ask, here / "cu.cif", "", "", "", "orb-v2")
    polonium = bulk("Po", "sc", a=3.4)
    write(here / "po.cif", polonium)
    assert "Po" in told(ask, here / "po.cif") and "random" in told(ask, here / "po.cif")


def test_a_folder_of_vasp_runs_is_read(here: Path) -> None:
    import ase.test

    source = next(Path(ase.test.__file__).parent.rglob("vasprun_dfpt.xml"), None)
    if source is None:
        pytest.skip("this ASE comes without its test data")
    for name in ("one", "two"):
        (here / "runs" / name).mkdir(parents=True)
        shutil.copy(source, here / "runs" / name / "vasprun.xml")
    run = ask(labels=here / "runs", level="")
    found = load_request(run.parents[1].name)
    assert found.level_of_theory == "PBE" and found.n_frames >= 2
    (here / "empty").mkdir()
    assert "no vasprun.xml" in told(ask, "", here / "empty")


# ------------------------------------------------------------------ without labels


def test_lost_states_and_how_labels_were_converged_are_told(tmp_path: Path) -> None:
    evidence = {
        "code": "gpaw",
        "cutoff_ev": 600.0,
        "kpoint_mesh": [4, 4, 4],
        "smearing_ev": 0.05,
        "scf_steps": 10,
    }
    digests = {"settings": "0"}
    write_records(
        tmp_path / "labels.jsonl",
        [
            Record("a-00", "labels", "gpaw", "ok", digests, values={"evidence": evidence}),
            Record(
                "a-01", "labels", "gpaw", "not_converged", digests, stage="dft", message="after 100 steps"
            ),
        ],
    )
    lost = Record("a", "sampling", "chgnet-0.3.0", "failed", digests, stage="md", message="exploded: 9 K")
    write_records(tmp_path / "states.jsonl", [lost])
    notes = labelling_notes(request(mode="gpaw"), [tmp_path / "states.jsonl", tmp_path / "labels.jsonl"])
    assert notes[0] == "No states of chgnet-0.3.0: exploded: 9 K."
    assert notes[1] == "1 of 2 frames got no label from gpaw; a-01: after 100 steps."
    assert "GPAW labels: cutoff 600.0 eV, mesh 4x4x4" in notes[2] and len(notes) == 3


def test_no_label_at_all_is_an_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "chunks").mkdir()
    (tmp_path / "rattled.extxyz").write_text("")
    refused = Record(
        "a-00", "labels", "gpaw", "failed", {"settings": "0"}, stage="dft", message="no electrons"
    )
    write_records(tmp_path / "chunks/rattled.jsonl", [refused])
    with pytest.raises(PesbenchError, match="mine: no frame got a label; a-00: no electrons"):
        gather_labelled([tmp_path / "rattled.extxyz"], tmp_path / "out.extxyz", "mine")
    assert not (tmp_path / "out.extxyz").exists()


def test_slopes_of_the_same_elements_are_found() -> None:
    table = pd.read_csv(ROOT / "data/slopes_by_element.csv", comment="#")
    found = unlabelled.neighbours(["Si"], table)
    slopes = {(line["set"], line["model"]): line["slope"] for line in found}
    # Deng's own number for mlearn's silicon, and a row whose forces do not follow DFT's left out.
    assert slopes["mlearn-Si", "chgnet-0.3.0"] == pytest.approx(0.822, abs=0.005)
    assert ("mpf_tp", "sevennet-0") not in slopes and {line["group"] for line in found} == {"Si"}


def test_the_states_to_label_are_the_typical_one_and_those_in_dispute() -> None:
    one, other = planted(0.8), planted(0.8)
    apart = one.forces_ev_per_ang.copy()
    apart[20 * 11 : 20 * 12] *= 1.5  # frame f11
    other = Predictions(**{**other.__dict__, "forces_ev_per_ang": apart})
    choices = unlabelled.choose({"a": one, "b": other})
    assert len(choices) == unlabelled.WANTED and choices[1].frame == "f11"
    assert choices[0].why.startswith("typical") and choices[1].spread_ev_per_ang > 0.1
    table = unlabelled.pairs_table({"a": one, "b": other})
    assert len(table) == 1 and 0.9 < table["slope"][0] < 1.0
    single = unlabelled.choose({"a": one})
    assert len({c.frame for c in single}) == len(single) and math.isnan(single[0].spread_ev_per_ang)
    assert max(c.rms_ev_per_ang for c in single) > 5 * min(c.rms_ev_per_ang for c in single)


def test_gpaw_is_not_offered_where_it_would_mix_levels_of_theory(tmp_path: Path) -> None:
    oxide, plain = request(mode="none", elements=("Ni", "O")), request(mode="none", elements=("Mg", "O"))
    assert "gpaw" not in commands(oxide).lower() and "LABELS=" in commands(oxide)
    assert "DFT=gpaw" in commands(plain)
    choices = [unlabelled.Choice("a", "", 8, 1.0, 0.1)]
    for name, offered in (("NiO", False), ("MgO", True)):
        frames = {"a": bulk(name, "rocksalt", a=4.2, cubic=True)}
        assert unlabelled.write_to_label(tmp_path / name, frames, choices, DftSettings(), name) == []
        assert (tmp_path / name / "label_with_gpaw.py").exists() is offered
        assert (tmp_path / name / "vasp/a/POSCAR").exists()
    # The Materials Project's own U and moment are in the deck.
    incar = (tmp_path / "NiO/vasp/a/INCAR").read_text()
    assert "LDAUU" in incar and "6.2" in incar and "MAGMOM" in incar


def test_models_without_a_common_frame_are_told() -> None:
    found = planted(1.0, frames=4)
    left, right = found.take(np.array([0, 1])), found.take(np.array([2, 3]))
    with pytest.raises(PesbenchError, match="no frame in common"):
        unlabelled.common([Answer("a", left, ""), Answer("b", right, "")])
    shared = unlabelled.common([Answer("a", left, ""), Answer("b", found, ""), Answer("c", None, "failed")])
    assert list(shared) == ["a", "b"] and list(shared["b"].ids) == list(shared["a"].ids) == ["f0", "f1"]


# ------------------------------------------------------------------ the lines that load a correction


WRONG = """
whole = atoms.calc.calculate
def wrong(*given, **named):
    whole(*given, **named)
    atoms.calc.results["forces"] = 0 * atoms.positions
atoms.calc.calculate, atoms.calc.c = wrong, 2.0
"""


def test_the_lines_are_run_as_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answers, (result, _) = scored(planted(0.8))
    save_corrections(result, answers, asked, tmp_path / "corrected", ROOT / "scripts")
    lines = tmp_path / "corrected/emt.py"
    assert len(lines.read_text().splitlines()) == 3
    write(tmp_path / "cu.extxyz", bulk("Cu", cubic=True))
    monkeypatch.chdir(tmp_path)  # from any folder
    prove(lines, tmp_path / "cu.extxyz", tmp_path / "proof.json")
    proof = json.loads((tmp_path / "proof.json").read_text())
    assert (
        proof["ran"]
        and proof["c"] == pytest.approx(1.25, abs=0.01)
        and proof["largest_force_ev_per_ang"] > 0.1
    )
    lines.write_text(lines.read_text() + WRONG)
    with pytest.raises(PesbenchError, match="are not c = 2"):
        prove(lines, tmp_path / "cu.extxyz", tmp_path / "proof.json")
    prove(tmp_path / "absent.py", tmp_path / "cu.extxyz", tmp_path / "none.json")
    assert json.loads((tmp_path / "none.json").read_text()) == {"ran": False}
