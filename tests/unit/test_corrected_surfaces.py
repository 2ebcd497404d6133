"""Surface energies corrected with one label a material: labels are EMT's, models EMT times a known factor."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from pesbench.corrected_plots import corrected_figure
from pesbench.corrected_surfaces import (
    OWN,
    BulkLabels,
    candidates,
    corrected_table,
    factors,
    metrics_table,
    per_material,
)
from pesbench.engine.predictions import Predictions, collect
from pesbench.sources.frames import Frame

MODEL = "chgnet-0.3.0"


def hot(symbol: str, seed: int) -> Atoms:
    atoms = bulk(symbol, cubic=True) * (2, 1, 1)
    atoms.rattle(0.12, seed=seed)
    return atoms


def answers(symbol: str, material: str, soft: list[float], seed: int = 0, noise: float = 0.0) -> Predictions:
    """Return frames of which the model gives each so many times what EMT gives."""
    generator, done = np.random.default_rng(seed), []
    for number, k in enumerate(soft):
        atoms = hot(symbol, seed + number)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
        frame = Frame(f"{material}-{number:02d}", material, atoms, energy, forces, None, "PBE (GPAW)")
        own = k * forces + noise * generator.normal(size=forces.shape)
        done.append((frame, k * energy, own, np.full(6, np.nan)))
    return collect(done)


def labelled(symbol: str, material: str, soft: list[float], **more: float) -> BulkLabels:
    return BulkLabels(MODEL, material, OWN, f"{material}.extxyz", answers(symbol, material, soft, **more))  # type: ignore[arg-type]


def surface(row: int, mp_id: str, formula: str, gamma: float, dft: float, status: str = "ok") -> dict:
    line = {"row": row, "mp_id": mp_id, "formula": formula, "miller": "[1, 1, 1]", "termination": "t1"}
    return line | {"model": MODEL, "gamma_ev_per_ang2": gamma, "dft_ev_per_ang2": dft, "status": status}


@pytest.fixture
def surfaces() -> pd.DataFrame:
    """Copper, soft by 0.8 in its surfaces as in its bulk; gold, whose surfaces are right though its bulk is soft."""
    copper = [surface(row, "mp-30", "Cu", 0.8 * dft, dft) for row, dft in ((1, 0.08), (2, 0.10), (3, 0.12))]
    gold = [surface(4, "mp-81", "Au", 0.05, 0.05)]
    return pd.DataFrame([*copper, *gold, surface(5, "mp-30", "Cu", 0.01, 0.1, "failed")])


@pytest.fixture
def labels() -> list[BulkLabels]:
    return [labelled("Cu", "mp-30", [0.8]), labelled("Au", "mp-81", [0.5])]


def test_a_soft_model_is_mended_and_a_right_one_is_spoilt(
    surfaces: pd.DataFrame, labels: list[BulkLabels]
) -> None:
    table = corrected_table(surfaces, labels)
    assert list(table["row"]) == [1, 2, 3] * 2 + [4] * 2, "each finished surface once a method"
    copper, gold = table[table["formula"] == "Cu"], table[table["formula"] == "Au"]
    assert copper["gamma_corrected_ev_per_ang2"].to_numpy() == pytest.approx(
        copper["dft_ev_per_ang2"], abs=1e-6
    )
    assert gold["gamma_corrected_ev_per_ang2"].to_numpy() == pytest.approx(0.1, abs=1e-6)
    metrics = metrics_table(table, labels, 0).set_index(["method", "mp_id"])
    for method in ("least_squares", "slope"):
        assert metrics.loc[(method, "mp-30"), "mae_before_ev_per_ang2"] == pytest.approx(0.02, abs=1e-6)
        assert metrics.loc[(method, "mp-30"), "mae_after_ev_per_ang2"] == pytest.approx(0.0, abs=1e-6)
        assert metrics.loc[(method, "mp-81"), "mae_change_ev_per_ang2"] == pytest.approx(0.05, abs=1e-6)
        whole = metrics.loc[(method, "all")]
        assert whole["mae_before_ev_per_ang2"] == pytest.approx(0.06 / 4, abs=1e-6)
        assert whole["mae_after_ev_per_ang2"] == pytest.approx(0.05 / 4, abs=1e-6)
        assert (whole["n_surfaces"], whole["n_materials"], whole["share_improved"]) == (4, 2, 0.75)


def test_every_row_says_which_label_of_which_theory_it_is_from(
    surfaces: pd.DataFrame, labels: list[BulkLabels]
) -> None:
    table = corrected_table(surfaces, labels).set_index("row")
    assert set(table.loc[1, "label"]) == {"mp-30-00"} and set(table.loc[4, "label"]) == {"mp-81-00"}
    assert set(table.loc[4, "labels_source"]) == {"mp-81.extxyz"}
    assert set(table["labels_level_of_theory"]) == {"PBE (GPAW)"} and set(table["collection"]) == {OWN}


def test_whole_materials_are_drawn_for_the_interval_of_all(
    surfaces: pd.DataFrame, labels: list[BulkLabels]
) -> None:
    """Of two materials one is drawn twice in a quarter of the cases: both errors are in the 95 % interval."""
    metrics = metrics_table(corrected_table(surfaces, labels), labels, 0)
    whole = metrics[(metrics["mp_id"] == "all") & (metrics["method"] == "slope")].iloc[0]
    assert whole["mae_before_low_ev_per_ang2"] == pytest.approx(0.0, abs=1e-6)
    assert whole["mae_before_high_ev_per_ang2"] == pytest.approx(0.02, abs=1e-6)
    one = metrics[metrics["mp_id"] == "mp-81"].iloc[0]
    assert np.isnan(one["mae_after_low_ev_per_ang2"]), "a single surface has no interval"


def test_a_random_label_is_a_gamble_between_the_labels(surfaces: pd.DataFrame) -> None:
    labels = [labelled("Cu", "mp-30", [0.8, 0.4])]
    metrics = metrics_table(corrected_table(surfaces, labels), labels, 0)
    line = metrics[(metrics["mp_id"] == "mp-30") & (metrics["method"] == "slope")].iloc[0]
    assert line["n_labels_tried"] == 2
    assert line["mae_random_low_ev_per_ang2"] == pytest.approx(0.0, abs=1e-6)
    assert line["mae_random_high_ev_per_ang2"] == pytest.approx(0.1, abs=1e-6), "c of 2.5 doubles them"


def test_controls_are_the_others_c_and_the_best_there_is(
    surfaces: pd.DataFrame, labels: list[BulkLabels]
) -> None:
    """Copper's c is 1.25 and gold's 2; gold's surfaces need none."""
    metrics = metrics_table(corrected_table(surfaces, labels), labels, 0)
    whole = metrics[(metrics["mp_id"] == "all") & (metrics["method"] == "slope")].iloc[0]
    swapped = [2 * 0.8 * dft - dft for dft in (0.08, 0.10, 0.12)] + [1.25 * 0.05 - 0.05]
    assert whole["mae_others_c_ev_per_ang2"] == pytest.approx(np.mean(swapped), abs=1e-6)
    assert whole["mae_best_c_ev_per_ang2"] == pytest.approx(0.0, abs=1e-9)
    one = metrics[metrics["mp_id"] == "mp-30"].iloc[0]
    assert np.isnan(one["mae_others_c_ev_per_ang2"])


def test_no_factor_beats_the_best(labels: list[BulkLabels]) -> None:
    generator = np.random.default_rng(3)
    dft = generator.uniform(0.02, 0.2, size=6)
    rows = [
        surface(n, "mp-30", "Cu", d * k, d)
        for n, (d, k) in enumerate(zip(dft, generator.uniform(0.4, 1.2, 6), strict=True))
    ]
    table = corrected_table(pd.DataFrame(rows), labels)
    best = metrics_table(table, labels, 0).iloc[0]["mae_best_c_ev_per_ang2"]
    gamma = np.array([row["gamma_ev_per_ang2"] for row in rows])
    tried = [np.abs(c * gamma - dft).mean() for c in np.linspace(0.5, 3.0, 2501)]
    assert best <= min(tried) + 1e-12 and best == pytest.approx(min(tried), abs=1e-4)


def test_the_interval_of_c_grows_with_the_noise_of_the_label() -> None:
    widths = []
    for noise in (0.0, 0.05, 0.4):
        found = factors(answers("Cu", "mp-30", [0.8], noise=noise), "slope")
        assert float(found["c_low"]) <= float(found["c"]) <= float(found["c_high"])
        widths.append(float(found["c_high"]) - float(found["c_low"]))
    assert widths[0] == pytest.approx(0, abs=1e-6) and widths[0] < widths[1] < widths[2]


def test_a_frame_near_rest_is_no_choice() -> None:
    found = answers("Cu", "mp-30", [0.8, 0.8, 0.8])
    forces = found.forces_ev_per_ang.copy()
    forces[:8] *= 0.1
    quiet = Predictions(**{**found.__dict__, "forces_ev_per_ang": forces})
    assert len(candidates(found, "slope")) == 3 and len(candidates(quiet, "slope")) == 2


def test_a_label_of_one_crystal_is_not_for_another_of_that_formula() -> None:
    rows = pd.DataFrame([surface(1, "mp-30", "Cu", 0.05, 0.08), surface(2, "mp-998", "Cu", 0.05, 0.08)])
    by_id = corrected_table(rows, [labelled("Cu", "mp-30", [0.8])])
    assert set(by_id["row"]) == {1}
    by_formula = corrected_table(rows, [labelled("Cu", "Cu", [0.8])])
    assert set(by_formula["row"]) == {1, 2}, "a set that names the element alone"


def test_a_model_is_corrected_with_its_own_answers(surfaces: pd.DataFrame, labels: list[BulkLabels]) -> None:
    other = surfaces.assign(model="sevennet-0")
    assert set(corrected_table(pd.concat([surfaces, other]), labels)["model"]) == {MODEL}


def test_answers_are_cut_by_material() -> None:
    both = [answers("Cu", "mp-30", [0.8, 0.7]), answers("Au", "mp-81", [0.5])]
    arrays = {
        name: np.concatenate([getattr(part, name) for part in both])
        for name in Predictions.__dataclass_fields__
    }
    cut = per_material(MODEL, Predictions(**arrays), OWN, {"mp-30": "a", "mp-81": "b"})
    assert [(one.material, one.source, len(one.predictions.ids)) for one in cut] == [
        ("mp-30", "a", 2),
        ("mp-81", "b", 1),
    ]
    assert cut[1].predictions.forces_ev_per_ang == pytest.approx(both[1].forces_ev_per_ang)


def test_the_figure_tells_errors_counts_and_materials(
    surfaces: pd.DataFrame, labels: list[BulkLabels]
) -> None:
    table = corrected_table(surfaces, labels)
    left, right = corrected_figure(table, metrics_table(table, labels, 0)).axes
    assert "4 surfaces of 2 materials" in left.get_title() and "PBE (GPAW)" in left.get_title()
    told = [text.get_text() for text in left.get_legend().get_texts()]
    assert told[0].startswith("pretrained, MAE 0.0150 (") and told[1].startswith("one label, MAE 0.0125 (")
    assert told[2] == "mean $c$ of the others instead, MAE 0.0481"
    assert "eV/Å" in left.get_xlabel() and "eV/Å" in right.get_xlabel()
    names = [text.get_text() for text in right.get_yticklabels()]
    assert names == ["Au ($n$ = 1, $c$ = 2.00)", "Cu ($n$ = 3, $c$ = 1.25)"]


def test_without_labels_the_tables_are_empty_and_the_figure_says_so(surfaces: pd.DataFrame) -> None:
    table = corrected_table(surfaces, [])
    metrics = metrics_table(table, [], 0)
    assert table.empty and metrics.empty
    [text] = corrected_figure(table, metrics).axes[0].texts
    assert text.get_text() == "no material has both surfaces and labels"
