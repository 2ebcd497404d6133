"""Which frames are trained on, where energies count from, and what is said of who is better; no network is trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ase import Atoms

from pesbench.benchmarks.fine_tuning import Settings, parse, run_id
from pesbench.benchmarks.fine_tuning.frames import energy_reference, referred, split
from pesbench.benchmarks.fine_tuning.score import tables
from pesbench.config import resolve
from pesbench.engine.predictions import Predictions, collect, to_bytes
from pesbench.errors import ConfigError
from pesbench.failures import Failure
from pesbench.fine_tuning_layout import fine_tuning_layout
from pesbench.fine_tuning_plots import Run, figures
from pesbench.naming import chunk_records, kept_file, single_record
from pesbench.records import Record
from pesbench.sources.frames import Frame

MODEL, SET = "chgnet-0.3.0", "mlearn-Si"
CONFIG = {"models": [MODEL], "benchmarks": {"high_energy": {"default_materials": []}}}


def frames_of(count: int, test: int = 0, seed: int = 0) -> list[Frame]:
    """Cells of two elements with forces of many sizes; the first ``test`` of them are held out."""
    generator, found = np.random.default_rng(seed), []
    for i in range(count):
        atoms = Atoms(
            "Li4Si2" if i % 2 else "Li2Si4",
            positions=generator.uniform(0, 5, (6, 3)),
            cell=[5, 5, 5],
            pbc=True,
        )
        forces = generator.normal(0, 0.2 + 0.1 * i, (6, 3))
        found.append(
            Frame(f"f{i}", "Li", atoms, -10.0 - i, forces, None, "PBE", "test" if i < test else "train")
        )
    return found


def forces_of(frames: list[Frame]) -> list[Any]:
    return [f.forces_ev_per_ang for f in frames]


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_test_frames_are_never_trained_on_and_more_labels_hold_the_fewer(seed: int) -> None:
    frames = frames_of(60, test=10)
    chosen = {n: split(frames, forces_of(frames), n, seed, 0.1) for n in (1, 2, 10, 50)}
    ids = {n: [f.id for f in s.labels] for n, s in chosen.items()}
    held = {f.id for f in frames[:10]}
    for count, found in chosen.items():
        assert len(set(ids[count])) == count
        assert {f.id for f in found.test} == held and not held & set(ids[count])
        assert count == 1 or not {f.id for f in found.train} & {f.id for f in found.valid}
    assert len(chosen[10].valid) == 1 and len(chosen[50].valid) == 5 and len(chosen[2].valid) == 1
    assert set(ids[1]) < set(ids[2]) < set(ids[10]) < set(ids[50])
    assert split(frames, forces_of(frames), 10, seed, 0.1) == chosen[10]


def test_the_first_label_has_typical_forces_and_each_seed_another() -> None:
    frames = frames_of(60, test=10)
    sizes = {f.id: float((f.forces_ev_per_ang**2).mean()) ** 0.5 for f in frames[10:]}
    whole = float(np.sqrt(np.mean([s**2 for s in sizes.values()])))
    nearest = sorted(sizes, key=lambda name: abs(sizes[name] - whole))
    first = [split(frames, forces_of(frames), 10, seed, 0.1).train[0].id for seed in range(3)]
    assert first == nearest[:3]
    others = [{f.id for f in split(frames, forces_of(frames), 10, seed, 0.1).labels} for seed in range(3)]
    assert others[0] != others[1] != others[2]


@pytest.mark.parametrize(("count", "seed"), [(51, 0), (1, 50)])
def test_more_labels_than_there_are_is_a_failure(count: int, seed: int) -> None:
    frames = frames_of(60, test=10)
    with pytest.raises(Failure, match="the set has 50 training frames"):
        split(frames, forces_of(frames), count, seed, 0.1)


def test_a_set_without_a_split_is_refused() -> None:
    frames = [replace(f, split="") for f in frames_of(20)]
    with pytest.raises(Failure, match="no split into train and test"):
        split(frames, forces_of(frames), 1, 0, 0.1)


def test_the_energy_of_each_element_is_found_again() -> None:
    frames = frames_of(10)
    model = np.array(
        [
            f.energy_ev - 1.5 * (f.atoms.numbers == 3).sum() + 4.0 * (f.atoms.numbers == 14).sum()
            for f in frames
        ]
    )
    reference = energy_reference(frames, model)
    assert reference == pytest.approx({3: 1.5, 14: -4.0})
    assert [referred(f, reference) for f in frames] == pytest.approx(model)


def test_one_label_is_referred_exactly() -> None:
    [frame] = frames_of(1)
    assert referred(frame, energy_reference([frame], np.array([7.0]))) == pytest.approx(7.0)


def test_epochs_are_bounded_by_frame_passes_alone() -> None:
    settings = Settings(epochs=100, most_frame_passes=180)
    assert [settings.epochs_for(n) for n in (1, 9, 90, 900)] == [100, 20, 2, 2]
    assert Settings(epochs=100, most_frame_passes=0).epochs_for(900) == 100
    assert Settings(epochs=1, most_frame_passes=10).epochs_for(900) == 1


def test_a_run_s_name_is_read_again() -> None:
    name = run_id("last_layer", 10, "my-set_2", 3)
    assert parse(name) == {"part": "last_layer", "count": 10, "set": "my-set_2", "seed": 3}


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"epoch": 3}, "unknown key 'epoch', did you mean 'epochs'?"),
        ({"epochs": 0}, "epochs is 0, must be from 1 to 100000 epochs"),
        ({"final_learning_rate": 1.0}, "final_learning_rate is 1.0, must be from 0.0 to 0.001"),
        ({"parts": ["readuot"]}, "fine_tuning.parts is 'readuot', did you mean 'readout'?"),
        ({"seeds": [1, 2]}, "seeds is [1, 2], must be lines 'labels: runs', such as 10: 3"),
        ({"seeds": {"ten": 1}}, "fine_tuning: seeds is 'ten', must be a whole number from 1"),
        ({"validation_share": 0.9}, "validation_share is 0.9, must be from 0.01 to 0.5"),
        ([1], "fine_tuning must be a section of 'name: value' lines"),
    ],
)
def test_a_wrong_setting_is_named(section: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve({**CONFIG, "fine_tuning": section})
    assert words in str(caught.value) and "config.yaml" in str(caught.value)


def test_settings_of_the_command_line_come_as_text() -> None:
    found = resolve(
        {
            **CONFIG,
            "fine_tuning": {"models": "a,b", "parts": "all", "seeds": {"10": "2", 10: 3}, "epochs": "7"},
        }
    )["fine_tuning"]
    assert found["models"] == ["a", "b"] and found["parts"] == ["all"] and found["seeds"] == {10: 2}
    assert found["settings"]["epochs"] == 7


# --- the tables, from planted answers: a model that is 0.6 times DFT with noise, and better ones


def answers(
    frames: list[Frame], steep: float, noise: float, seed: int, shift_ev_per_atom: float = 0.0
) -> Predictions:
    generator = np.random.default_rng(seed)
    done = []
    for f in frames:
        forces = steep * f.forces_ev_per_ang + generator.normal(0, noise, f.forces_ev_per_ang.shape)
        done.append((f, f.energy_ev + shift_ev_per_atom * len(f.atoms), forces, np.full(6, np.nan)))
    return collect(done)


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Record]]:
    """Runs of one model: ten labels help, one label from scratch does harm, one run exploded."""
    monkeypatch.chdir(tmp_path)
    published = Path(__file__).parents[2] / "data/published/focassio2024_t1_rmse.csv"
    monkeypatch.setattr("pesbench.benchmarks.fine_tuning.score.PUBLISHED", published)
    frames = frames_of(90, test=30)
    record = single_record("high_energy", MODEL, SET)
    write(kept_file(record, f"{SET}.predictions.npz"), to_bytes(answers(frames, 0.6, 0.05, 1, 0.7)))
    chosen = split(frames, forces_of(frames), 10, 0, 0.1)
    plan = {"all-10": (0.97, 0.05), "scratch-10": (0.1, 1.0), "readout-1": (0.9, 0.05)}
    records = [_record(f"{part}-{SET}-0", frames, how, part.endswith("-1")) for part, how in plan.items()]
    assert chosen.train
    failed = Record(
        f"last_layer-10-{SET}-0", "fine_tuning", MODEL, "failed", {}, "training", "exploded: in epoch 3"
    )
    return {MODEL: [*records, failed]}


def write(path: str, data: bytes) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(data)


def _record(name: str, frames: list[Frame], how: tuple[float, float], one: bool) -> Record:
    chosen = split(frames, forces_of(frames), 1 if one else 10, 0, 0.1)
    path = chunk_records("fine_tuning", MODEL, name)
    write(kept_file(path, f"{name}.predictions.npz"), to_bytes(answers(chosen.test, *how, 3, -0.5)))
    values = {
        "train_ids": [f.id for f in chosen.train],
        "valid_ids": [f.id for f in chosen.valid],
        "labels_level_of_theory": "PBE",
        "energy_reference_ev": {"Li": 0.5, "Si": 0.5},
        "history": [{"valid_force_mae_ev_per_ang": 1.0}] * 4,
        "best_epoch": 3,
        "trained_parameters": 65,
        "parameters": 412525,
        "train_seconds": 12.0,
        "plan": {"device": "cpu"},
    }
    return Record(name, "fine_tuning", MODEL, "ok", {}, values=values)


def test_the_same_frames_are_scored_for_every_method(planted: dict[str, list[Record]]) -> None:
    found = tables(planted, {MODEL: "PBE and PBE+U"}, 0)["fine_tuning"].set_index(["method", "n_labels"])
    assert set(found["n_frames"]) == {30, 0} and found.loc[("pretrained", 0), "n_components"] == 540
    assert found.loc[("pretrained", 0), "slope"] == pytest.approx(0.6, abs=0.01)
    assert found.loc[("correction", 1), "slope"] == pytest.approx(1.0, abs=0.04)
    assert found.loc[("correction", 1), "c"] == pytest.approx(1 / 0.6, abs=0.06)
    for method in ("pretrained", "all", "readout"):
        line = found.xs(method, level="method").iloc[0]
        assert (
            line["force_mae_low_ev_per_ang"]
            < line["force_mae_ev_per_ang"]
            < line["force_mae_high_ev_per_ang"]
        )
        assert line["slope_low"] < line["slope"] < line["slope_high"]
        assert line["energy_mae_ev_per_atom"] == pytest.approx(0.0, abs=1e-9), "both count from one zero"
    assert set(found["level_of_theory"]) == {"PBE and PBE+U"} and set(found["labels_level_of_theory"]) == {
        "PBE"
    }


def test_the_one_label_correction_needs_no_run_of_one_label(planted: dict[str, list[Record]]) -> None:
    with_it = tables(planted, {MODEL: "PBE"}, 0)["fine_tuning"].query(
        "method == 'correction' and n_labels == 1"
    )
    fewer = {MODEL: [r for r in planted[MODEL] if not r.id.startswith("readout-1-")]}
    without = tables(fewer, {MODEL: "PBE"}, 0)["fine_tuning"].query(
        "method == 'correction' and n_labels == 1"
    )
    assert len(with_it) == len(without) == 1 and with_it["c"].iloc[0] == without["c"].iloc[0]


def test_a_run_that_exploded_is_a_line_and_the_rest_goes_on(planted: dict[str, list[Record]]) -> None:
    made = tables(planted, {MODEL: "PBE"}, 0)
    lost = made["fine_tuning"].query("method == 'last_layer'").iloc[0]
    assert (
        lost["status"] == "failed" and "exploded" in lost["message"] and pd.isna(lost["force_mae_ev_per_ang"])
    )
    layout = fine_tuning_layout(made["fine_tuning"])
    cells = {row[3]: row for row in layout.rows}
    assert cells["last layer"][4:7] == ("1", "1", "") and cells["all weights"][5] == "0"
    assert "PBE" in layout.notes[-1]


def test_the_verdict_has_the_sign_and_the_interval_of_what_was_planted(
    planted: dict[str, list[Record]],
) -> None:
    found = tables(planted, {MODEL: "PBE"}, 0)["fine_tuning_verdict"].set_index(["better", "worse"])
    chain = [("correction, 1 label", "pretrained"), ("all, 10 labels", "correction, 1 label")]
    for pair in chain:
        line = found.loc[pair]
        assert line["verdict"] == "holds" and line["difference_high_ev_per_ang"] < 0
        assert line["difference_ev_per_ang"] == pytest.approx(
            line["mae_better_ev_per_ang"] - line["mae_worse_ev_per_ang"]
        )
    assert found.loc[("scratch, 10 labels", "pretrained"), "verdict"] == "does not hold"


def test_costs_and_the_paper_s_table_stand_beside_ours(planted: dict[str, list[Record]]) -> None:
    made = tables(planted, {MODEL: "PBE"}, 0)
    costs = made["fine_tuning_costs"].set_index("method")
    assert costs.loc["all", "seconds_per_epoch"] == 3.0 and costs.loc[
        "all", "seconds_per_frame"
    ] == pytest.approx(12 / 36)
    table = made["focassio2024_t1_fine_tuning"]
    published = table[table["source"] == "published"].set_index("model")
    assert published.loc["MACE [FT]", "bulk_energy_rmse_ev_per_atom"] == 0.0464
    ours = table[table["source"] == "ours"]
    assert (
        ours["bulk_energy_rmse_ev_per_atom"].isna().all()
        and ours["note"].str.contains("not been fetched").all()
    )


def test_every_figure_is_drawn_and_says_what_differs(planted: dict[str, list[Record]]) -> None:
    made = tables(planted, {MODEL: "PBE"}, 0)
    frames = frames_of(90, test=30)
    run = Run(
        SET, MODEL, "readout", 1, 0, answers(frames[:30], 0.9, 0.05, 1), answers(frames[30:31], 0.9, 0.05, 1)
    )
    drawn = figures(made["fine_tuning"], made["fine_tuning_costs"], [run])
    third = drawn["deng2025_sfig3"]
    words = " ".join(text.get_text() for axis in third.axes for text in axis.texts)
    assert "held out: MAE" in words and "slope 0.899" in words and words.count("not run") == 2
    assert "mp-973966" in third.get_supxlabel() and "Zuo" in third.get_supxlabel()
    lines = {line.get_label(): line for line in drawn["fine_tuning_curves"].axes[0].lines}
    level = made["fine_tuning"].query("method == 'pretrained'")["force_mae_ev_per_ang"].iloc[0]
    assert lines["as published"].get_ydata()[0] == level
    assert (
        figures(made["fine_tuning"].iloc[:0], made["fine_tuning_costs"], [])["deng2025_sfig4"].axes[0].texts
    )
