"""The high-energy benchmark on sets whose DFT is EMT and whose model is a softened EMT: every number is known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from pesbench.benchmarks import high_energy
from pesbench.benchmarks.high_energy import KEPT, MANIFEST, Settings, errors, run, score, tables
from pesbench.engine.predictions import predict, read_predictions
from pesbench.errors import PesbenchError
from pesbench.failures import Failure
from pesbench.files import write_atomic
from pesbench.high_energy_plots import (
    compounds,
    corrected_figure,
    curve_figure,
    errors_figure,
    parity_figure,
    scales_figure,
)
from pesbench.models.calculator import Evaluation, PesCalculator
from pesbench.naming import chunk_records, kept_file
from pesbench.records import Record, bytes_digest
from pesbench.sources.frames import Frame
from pesbench.sources.label_sets import LABEL_SETS
from pesbench.sources.labelled import Provenance, write_labels

ROOT = Path(__file__).parents[2]
ELEMENTS = frozenset({"Cu", "Au", "Ni", "Al", "Ag"})


def emt(k: float, shift_ev: float = 0.0, elements: frozenset[str] = ELEMENTS) -> PesCalculator:
    """A model that is k times as steep as EMT, its energies shifted by so much an atom."""

    def evaluate(atoms: Atoms) -> Evaluation:
        atoms = atoms.copy()
        atoms.calc = EMT()
        stress = atoms.get_stress(voigt=False) if atoms.pbc.all() else None
        energy = k * atoms.get_potential_energy() + shift_ev * len(atoms)
        return Evaluation(energy, k * atoms.get_forces(), None if stress is None else k * stress)

    return PesCalculator("soft-emt", evaluate, elements)


def frame(symbol: str, seed: int, rattle: float = 0.12, level: str = "PBE") -> Frame:
    atoms = bulk(symbol, cubic=True) * (2, 1, 1)
    atoms.rattle(rattle, seed=seed)
    atoms.calc = EMT()
    energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    atoms.calc = None
    return Frame(f"{symbol}-{seed}", symbol, atoms, energy, forces, stress, level)


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A file of 12 frames of Cu and 8 of Ni."""
    path = tmp_path / "two.extxyz"
    frames = [frame("Cu", i) for i in range(12)] + [frame("Ni", i) for i in range(8)]
    write_labels(path, frames, Provenance("test", "two", "1", "2026-01-01", "none", "0"))
    return path


@pytest.fixture
def results(labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Record]]:
    """Records and kept files of two models on mlearn-Cu (12 frames) and mpf_tp (both materials)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")
    found: dict[str, list[Record]] = {}
    for model, k in (("chgnet-0.3.0", 0.8), ("sevennet-0", 0.9)):
        for name, part in (("mlearn-Cu", "Cu"), ("mpf_tp", "")):
            values = run(labels, {"part": part, "level_of_theory": "PBE"}, emt(k, 0.25), Settings())
            files = {f"{name}{suffix}": data for suffix, data in values.pop("files").items()}
            for kept, data in files.items():
                write_atomic(Path(kept_file(chunk_records("high_energy", model, "any"), kept)), data)
            digests = {kept: bytes_digest(data) for kept, data in files.items()}
            record = Record(name, "high_energy", model, "ok", {}, values=values, files=digests)
            found.setdefault(model, []).append(record)
    return found


# ------------------------------------------------------------------ one job


def test_a_softened_model_has_its_factor_as_slope(labels: Path) -> None:
    values = run(labels, None, emt(0.73), Settings())
    assert values["slope"] == pytest.approx(0.73, abs=1e-7)
    assert values["force_cmae_ev_per_ang"] == pytest.approx(0, abs=1e-7)
    assert (values["n_frames"], values["n_failed"], values["n_components"]) == (20, 0, 20 * 24)
    assert values["labels_level_of_theory"] == "PBE"


def test_the_kept_file_has_every_answer_beside_its_label(labels: Path, tmp_path: Path) -> None:
    data = run(labels, None, emt(0.5, 0.25), Settings())["files"][KEPT]
    assert data == run(labels, None, emt(0.5, 0.25), Settings())["files"][KEPT], "not the same bytes twice"
    (tmp_path / "kept.npz").write_bytes(data)
    found = read_predictions(tmp_path / "kept.npz")
    assert found.forces_ev_per_ang == pytest.approx(0.5 * found.forces_dft_ev_per_ang, abs=1e-6)
    assert found.energy_ev == pytest.approx(0.5 * found.energy_dft_ev + 0.25 * found.n_atoms, abs=1e-6)
    assert found.stress_ev_per_ang3 == pytest.approx(0.5 * found.stress_dft_ev_per_ang3, abs=1e-6)
    assert list(found.ids[[0, 19]]) == ["Cu-0", "Ni-7"] and list(found.n_atoms) == [8] * 20
    (tmp_path / "kept.npz").write_bytes(data[:1000])
    with pytest.raises(PesbenchError, match="no predictions to read"):
        read_predictions(tmp_path / "kept.npz")


@pytest.mark.parametrize(
    ("part", "ids"),
    [("Cu", {"Cu"}), ("Ni", {"Ni"}), ("", {"Cu", "Ni"}), ("0/2", {"Cu"}), ("1/2", {"Ni"}), ("5/6", set())],
)
def test_a_part_of_a_file_is_a_material_or_every_nth(
    labels: Path, tmp_path: Path, part: str, ids: set
) -> None:
    task = {"part": part, "level_of_theory": "PBE"}
    if not ids:
        with pytest.raises(Failure, match="holds no frame of part '5/6'"):
            run(labels, task, emt(1.0), Settings())
        return
    (tmp_path / "kept.npz").write_bytes(run(labels, task, emt(1.0), Settings())["files"][KEPT])
    assert set(read_predictions(tmp_path / "kept.npz").materials) == ids


def test_most_frames_are_spaced_over_the_set(labels: Path, tmp_path: Path) -> None:
    data = run(labels, None, emt(1.0), Settings(most_frames=3))["files"][KEPT]
    (tmp_path / "kept.npz").write_bytes(data)
    assert list(read_predictions(tmp_path / "kept.npz").ids) == ["Cu-0", "Cu-9", "Ni-7"]
    with pytest.raises(PesbenchError, match="most_frames is -1"):
        Settings(most_frames=-1)


def test_a_frame_that_the_model_refuses_costs_only_itself(labels: Path, tmp_path: Path) -> None:
    values = run(labels, None, emt(0.8, elements=frozenset({"Cu"})), Settings())
    assert (values["n_frames"], values["n_failed"]) == (20, 8)
    assert "does not know Ni" in values["first_failure"]
    assert values["slope"] == pytest.approx(0.8)
    with pytest.raises(Failure, match="no frame finished"):
        run(labels, None, emt(0.8, elements=frozenset({"Pt"})), Settings())


def test_labels_in_other_units_are_refused_by_name(labels: Path) -> None:
    labels.write_text(labels.read_text().replace("energy=", "forces_unit=Ha/Bohr energy=", 1))
    with pytest.raises(Failure, match=r"two\.extxyz, frame 0: forces_unit is Ha/Bohr"):
        run(labels, None, emt(1.0), Settings())


# ------------------------------------------------------------------ tables


def test_softening_by_set_compound_element_and_force(results: dict[str, list[Record]]) -> None:
    frame = tables(results, {"chgnet-0.3.0": "PBE (MP)", "sevennet-0": "PBE (MP)"}, 0)[
        "high_energy_softening"
    ]
    own = frame[frame["status"] == "ok"]
    assert own["slope"].to_numpy() == pytest.approx(
        np.where(own["model"] == "sevennet-0", 0.9, 0.8), abs=1e-6
    )
    assert own["cmae_ev_per_ang"].abs().max() < 1e-6
    mpf = own[(own["set"] == "mpf_tp") & (own["model"] == "sevennet-0")].set_index(["grouping", "group"])
    assert mpf.loc[("set", "all"), "n_frames"] == 20 and mpf.loc[("set", "all"), "n_components"] == 480
    assert mpf.loc[("compound", "Ni"), "n_frames"] == mpf.loc[("element", "Ni"), "n_frames"] == 8
    ranges = mpf.loc["force_ev_per_ang"]
    assert ranges["n_components"].sum() == 480 and len(ranges) >= 2
    # One material: nothing to break down by compound. Every listed set has a line, run or not.
    assert "compound" not in set(own[own["set"] == "mlearn-Cu"]["grouping"])
    missing = frame[frame["status"] == "not_run"]
    assert set(missing["set"]) == set(high_energy.costs(Path(MANIFEST))) - {"mlearn-Cu", "mpf_tp"}
    assert missing["slope"].isna().all() and (missing["n_frames"] == 0).all()
    assert set(own["level_of_theory"]) == {"PBE (MP)"} and set(own["labels_level_of_theory"]) == {"PBE"}


def test_errors_are_those_of_the_planted_model(results: dict[str, list[Record]]) -> None:
    frame = tables(results, {}, 0)["mattersim_mt_s3"].set_index(["set", "model"])
    line = frame.loc[("mpf_tp", "sevennet-0")]
    found = read_predictions(Path("results/high_energy/sevennet-0/files/mpf_tp.predictions.npz"))
    dft = found.forces_dft_ev_per_ang
    assert line["force_mae_ev_per_ang"] == pytest.approx(0.1 * np.abs(dft).mean(), abs=1e-6)
    assert line["force_vector_error_ev_per_ang"] == pytest.approx(
        0.1 * np.linalg.norm(dft, axis=1).mean(), abs=1e-6
    )
    apart = 0.25 - 0.1 * found.energy_dft_ev / found.n_atoms
    assert line["energy_mae_ev_per_atom"] == pytest.approx(np.abs(apart).mean())
    # A shift of each element is taken off, not what differs between its frames.
    assert line["energy_mae_shifted_ev_per_atom"] < 0.5 * line["energy_mae_ev_per_atom"]
    assert line["published_force_mae_ev_per_ang"] == 4.686
    tensor = found.stress_dft_ev_per_ang3[:, [0, 5, 4, 5, 1, 3, 4, 3, 2]]
    assert line["stress_mae_gpa"] == pytest.approx(0.1 * np.abs(tensor).mean() * 160.2176634)
    assert np.isnan(frame.loc[("random_tp", "sevennet-0"), "force_mae_ev_per_ang"])


def test_vector_error_weighs_frames_not_atoms() -> None:
    """Two frames, errors of 1 on one atom and of 4 on each of three: (1 + 4) / 2."""
    base = predict([frame("Cu", 0)], emt(1.0))
    forces = np.zeros((4, 3))
    found = dataclasses.replace(
        base,
        ids=np.array(["a", "b"]),
        n_atoms=np.array([1, 3]),
        forces_dft_ev_per_ang=forces,
        forces_ev_per_ang=np.array([[1.0, 0, 0], [0, 4, 0], [0, 0, 4], [4, 0, 0]]),
    )
    assert errors.vector_error(found) == pytest.approx(2.5)


def test_one_label_of_a_scaled_model_corrects_it_fully(results: dict[str, list[Record]]) -> None:
    frame = tables(results, {}, 0)["high_energy_correction"]
    own = frame[frame["model"] == "chgnet-0.3.0"]
    assert own["c"].to_numpy() == pytest.approx(1 / 0.8, abs=1e-5)
    assert own["force_mae_after_ev_per_ang"].abs().max() < 1e-5 < own["force_mae_before_ev_per_ang"].min()
    assert (own["share_better"] == 1).all()
    counts = own[own["set"] == "mlearn-Cu"].groupby("n_labels").size()
    assert list(counts.index) == [1, 2, 3, 5, 10] and (counts == 3 * 2).all()
    many = own[(own["set"] == "mpf_tp") & (own["choice"] == "random")].set_index("n_labels")["n_compounds"]
    assert set(many.loc[1]) == {2} and set(many.loc[10]) == {1}, "Ni has eight frames"


def test_errors_are_held_out(results: dict[str, list[Record]], monkeypatch: pytest.MonkeyPatch) -> None:
    """One frame is told wrong: where it is a label its own error must not count, where it is not it must."""
    from pesbench.benchmarks.high_energy import curves

    path = Path("results/high_energy/chgnet-0.3.0/files/mlearn-Cu.predictions.npz")
    found = read_predictions(path)
    worst = np.where(found.frame_of_atom == 4, 10.0, 1.0)[:, None]
    frames = curves.compounds_of(
        dataclasses.replace(found, forces_ev_per_ang=found.forces_ev_per_ang * worst)
    )[0]
    monkeypatch.setattr(curves, "_choose", lambda *_: {4})
    c = curves._row([frames], 1, "largest_forces", "least_squares", 0)
    y, x = (np.concatenate([frames[i][side] for i in range(12) if i != 4]) for side in (0, 1))
    assert c["c"] == pytest.approx(1 / 8)
    assert c["force_mae_after_ev_per_ang"] == pytest.approx(np.abs(y / 8 - x).mean())
    assert c["force_mae_before_ev_per_ang"] == pytest.approx(np.abs(y - x).mean())


def test_the_seed_alone_decides(results: dict[str, list[Record]]) -> None:
    one, two, other = (tables(results, {}, seed)["high_energy_correction"] for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert len(other) == len(one)


def test_nothing_run_gives_tables_without_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(ROOT / "data")
    frames = tables({"chgnet-0.3.0": []}, {"chgnet-0.3.0": "PBE"}, 0)
    assert tuple(frames) == high_energy.TABLES
    assert set(frames["high_energy_softening"]["status"]) == {"not_run"}
    assert frames["high_energy_correction"].empty and frames["high_energy_labels"].empty
    for figure in (
        parity_figure({}, []),
        scales_figure(frames["high_energy_softening"]),
        errors_figure(frames["high_energy_softening"]),
        corrected_figure({}),
        curve_figure(frames["high_energy_correction"]),
    ):
        assert any("has run yet" in text.get_text() for axis in figure.axes for text in axis.texts)
    assert all(frame.empty for frame in [tables({}, {}, 0)["high_energy_softening"]])


# ------------------------------------------------------------------ figures


def answers_of(results: dict[str, list[Record]]) -> dict[str, dict]:
    runs = score.read_runs(results, Path(MANIFEST))
    found: dict[str, dict] = {}
    for one in runs:
        if one.predictions is not None:
            found.setdefault(one.set, {})[one.model] = one.predictions
    return found


def test_parity_shows_slope_errors_and_counts(results: dict[str, list[Record]]) -> None:
    figure = parity_figure(answers_of(results), ["mlearn-Cu"])
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert len(figure.axes) == 2
    assert "slope 0.800" in texts[0] and "12 frames\nn = 288" in texts[0] and "cMAE 0.000" in texts[0]
    assert "eV/Å" in figure.get_supxlabel() and "slope 0.900" in texts[1]


def test_distributions_count_materials(results: dict[str, list[Record]]) -> None:
    frame = tables(results, {}, 0)["high_energy_softening"]
    rows = compounds(frame)
    assert len(rows) == 2 * 3 and set(rows["group"]) == {"Cu", "Ni", "all"}
    figure = scales_figure(frame, ["chgnet-0.3.0"])
    [axis] = figure.axes
    assert "3 materials, 100% below 1, median 0.80" in axis.get_title(loc="left")
    assert sum(patch.get_height() for patch in axis.patches) == 3


# ------------------------------------------------------------------ the manifest


def test_the_manifest_agrees_with_the_sets() -> None:
    lines = high_energy.read_manifest(ROOT / MANIFEST)
    for line in lines:
        assert line["file"] in LABEL_SETS
        assert line["level_of_theory"] == LABEL_SETS[line["file"]].level_of_theory
    for name in ("mlearn", "mpf_tp", "mpf_alkali_tp", "random_tp"):
        assert sum(int(line["n_frames"]) for line in lines if line["file"] == name) == LABEL_SETS[name].frames
    parts = [line["part"] for line in lines if line["file"] == "wbm_high_energy"]
    assert parts == [f"{k}/10" for k in range(10)]
    assert high_energy.sets(ROOT / MANIFEST)["mlearn"] == [
        f"mlearn-{e}" for e in ("Cu", "Ge", "Li", "Mo", "Ni", "Si")
    ]


def test_tables_for_print_name_both_levels_and_coverage(results: dict[str, list[Record]]) -> None:
    from pesbench.tables import write_tables

    frames = tables(results, {"chgnet-0.3.0": "PBE+U (MP)", "sevennet-0": "PBE"}, 0)
    write_tables(frames, Path("tables"))
    text = Path("tables/high_energy_softening.md").read_text()
    assert "| mlearn-Cu | chgnet-0.3.0 |     12 |        288 | 0.800 |" in text, text
    assert "chgnet-0.3.0: 2 of 19 sets, 0 frames failed in them; its level of theory: PBE+U (MP)." in text
    assert "Level of theory of the labels: PBE." in text
    text = Path("tables/mattersim_mt_s3.md").read_text()
    assert "4.686" in text and "0.321" in text, "no published value"
    assert r"\begin{longtable}" in Path("tables/mattersim_mt_s3.tex").read_text()
    assert not Path("tables/high_energy_labels.md").exists()


def test_the_curve_s_legend_names_every_model(results: dict[str, list[Record]]) -> None:
    """Also one that did not run on the first set."""
    table = tables(results, {}, 0)["high_energy_correction"]
    table = table[(table["set"] != "mlearn-Cu") | (table["model"] == "sevennet-0")]
    figure = curve_figure(table)
    [legend] = figure.legends
    told = {text.get_text() for text in legend.get_texts()}
    assert told == {f"{m}, {c}" for m in results for c in ("random frames", "frames of typical forces")}
    line = figure.axes[0].get_lines()[1]
    assert np.asarray(line.get_ydata(), dtype=float) == pytest.approx(0, abs=1e-4), "fully corrected"
