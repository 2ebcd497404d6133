"""Verdicts of stability: spectra made by hand that tell every definition from every other, and the confusion matrix."""

from itertools import combinations
from typing import Any

import pandas as pd
import pytest

from pesbench.benchmarks.phonons.stability import DEFINITIONS, KELVIN_PER_THZ, table, verdicts
from pesbench.records import Record


def spectrum(gamma: list[float], beyond: float | None = 1.0, path: float | None = None) -> dict[str, Any]:
    """Return what a record keeps of a spectrum; the band path goes through the commensurate points."""
    lowest = min([*gamma, *([] if beyond is None else [beyond])])
    return {
        "commensurate": {
            "gamma_thz": sorted(gamma),
            "min_beyond_gamma_thz": beyond,
            "min_frequency_thz": lowest,
        },
        "path": {"min_frequency_thz": lowest if path is None else path},
    }


REAL = [0.0, 0.0, 0.0, 3.0, 5.0, 9.0]
SOFT_ACOUSTIC = [-0.9, 0.0, 0.0, 3.0, 5.0, 9.0]  # -43 K
SOFT_OPTICAL = [-0.5, 0.0, 0.0, 0.0, 5.0, 9.0]  # -24 K, and three acoustic modes at zero
ORDER = ("loew_text", "loew_code", "commensurate_0.01", "commensurate_1e-5", "band_path", "gamma_only")
#: Spectrum -> verdicts in ORDER.
TRUTH = {
    "real": (spectrum(REAL), "111111"),
    "soft acoustic": (spectrum(SOFT_ACOUSTIC), "100000"),
    "soft optical at Gamma": (spectrum(SOFT_OPTICAL), "010000"),
    "softest at the zone boundary": (spectrum(REAL, -2.0), "000001"),
    "hardly soft at the boundary": (spectrum(REAL, -0.005), "001011"),
    "soft at the boundary within 0.05": (spectrum(REAL, -0.03), "000011"),
    "noise at the boundary": (spectrum(REAL, -5e-6), "001111"),
    "soft between the points": (spectrum(REAL, 1.0, -0.3), "111101"),
    "acoustic sum rule broken by 0.02": (spectrum([-0.02, *REAL[1:]]), "110010"),
    "acoustic sum rule broken by 0.001": (spectrum([-0.001, *REAL[1:]]), "111011"),
}


@pytest.mark.parametrize("name", TRUTH)
def test_verdicts_of_spectra_made_by_hand(name: str) -> None:
    values, expected = TRUTH[name]
    assert verdicts(values) == {d: e == "1" for d, e in zip(ORDER, expected, strict=True)}


@pytest.mark.parametrize("pair", [*combinations(range(6), 2)])
def test_some_spectrum_tells_every_two_definitions_apart(pair: tuple[int, int]) -> None:
    assert tuple(DEFINITIONS) == ORDER
    assert any(verdicts(v)[ORDER[pair[0]]] != verdicts(v)[ORDER[pair[1]]] for v, _ in TRUTH.values())


def test_kelvin_per_terahertz_is_planck_over_boltzmann() -> None:
    """47.9924 K/THz, as the paper's unit has it."""
    assert pytest.approx(47.9924, abs=5e-5) == KELVIN_PER_THZ


@pytest.mark.parametrize(("definition", "threshold_kelvin"), [("loew_text", 50.0), ("loew_code", 35.0)])
def test_thresholds_at_gamma_are_in_kelvin(definition: str, threshold_kelvin: float) -> None:
    """A mode 0.1 K inside the threshold is allowed, one 0.1 K outside is not."""
    for shift_kelvin, stable in ((0.1, True), (-0.1, False)):
        lowest_thz = (-threshold_kelvin + shift_kelvin) / 47.9924
        assert verdicts(spectrum([lowest_thz, *REAL[1:]]))[definition] is stable


def test_only_three_modes_at_gamma_are_excused() -> None:
    four_soft = spectrum([-0.1, -0.1, -0.1, -0.1, 5.0, 9.0])
    assert not verdicts(four_soft)["loew_text"] and not verdicts(four_soft)["loew_code"]
    assert verdicts(spectrum([-0.1, -0.1, -0.1, 3.0, 5.0, 9.0]))["loew_text"]


@pytest.mark.parametrize("noise_thz", [2e-7, -2e-7])
def test_rounding_noise_of_acoustic_modes_decides_nothing(noise_thz: float) -> None:
    """Also where a soft optical mode pushes an acoustic one out of the script's first three."""
    assert verdicts(spectrum([-0.5, noise_thz, noise_thz, noise_thz, 5.0, 9.0]))["loew_code"]
    assert all(verdicts(spectrum([noise_thz] * 3 + REAL[3:])).values())


def test_a_supercell_of_one_cell_has_gamma_alone() -> None:
    assert all(verdicts(spectrum(REAL, None)).values())
    assert not any(verdicts(spectrum([-2.0, *REAL], None)).values())


def record(material: str, values: dict[str, Any], status: str = "ok") -> Record:
    return Record(material, "phonons", "x", status, {"settings": "s", "checkpoint": "c"}, values=values)


STABLE, UNSTABLE, BETWEEN = TRUTH["real"][0], TRUTH["soft acoustic"][0], TRUTH["soft between the points"][0]
BOUNDARY = TRUTH["softest at the zone boundary"][0]
REFERENCE = [
    *(record(f"s{i}", STABLE) for i in range(4)),
    *(record(f"u{i}", BOUNDARY) for i in range(2)),
]
#: Right on s0, s1 (but not between the points) and u0; wrong on s2 and u1; s3 failed.
MODEL = [
    record("s0", STABLE),
    record("s1", BETWEEN),
    record("s2", BOUNDARY),
    record("s3", {}, "failed"),
    record("u0", BOUNDARY),
    record("u1", STABLE),
]
LEVELS = {"a": "PBE and PBE+U (Materials Project)", "idle": "PBE", "db": "PBEsol"}


def lines(records: dict[str, list[Record]] | None = None) -> pd.DataFrame:
    return (
        table({"a": MODEL} if records is None else records, {"db": REFERENCE}, LEVELS)
        .set_index(["model", "set", "definition"])
        .sort_index()
    )


def test_confusion_matrix_by_hand() -> None:
    """Of 3 finished stable ones 2 are found, of 2 unstable ones 1; the failed one is wrong when penalised."""
    found = lines().loc[("a", "finished", "loew_text")]
    assert (found["n"], found["n_stable"], found["n_unstable"]) == (5, 3, 2)
    counts = ["n_true_stable", "n_false_unstable", "n_true_unstable", "n_false_stable"]
    assert found[counts].to_list() == [2, 1, 1, 1]
    percent = [name.removeprefix("n_") + "_percent" for name in counts]
    assert found[percent].to_list() == pytest.approx([200 / 3, 100 / 3, 50, 50])
    penalised = lines().loc[("a", "penalised", "loew_text")]
    assert penalised[counts].to_list() == [2, 2, 1, 1] and penalised["n"] == 6
    assert penalised[percent].to_list() == pytest.approx([50, 50, 50, 50])
    assert found["true_stable_low_percent"] <= 200 / 3 <= found["true_stable_high_percent"]
    assert (found["n_ok"], found["n_failed"], found["n_not_run"]) == (5, 1, 0)


def test_verdicts_that_change_are_counted() -> None:
    """The model's s1 changes on the band path, its two soft ones at Gamma; the reference's two likewise."""
    model = lines().loc[("a", "finished")]
    changed = model["n_changed_vs_loew_text"]
    assert changed["band_path"] == 1 and changed["gamma_only"] == 2 and changed["loew_code"] == 0
    assert (model["n_not_same_under_all"] == 3).all()
    assert model.loc["band_path", "n_true_stable"] == 1 and model.loc["loew_text", "n_true_stable"] == 2
    own = lines().loc[("db", "finished")]
    assert own["n_changed_vs_loew_text"]["gamma_only"] == 2 and (own["n_not_same_under_all"] == 2).all()


def test_levels_of_theory_that_differ_are_told() -> None:
    assert "PBEsol" in lines().loc[("a", "finished", "loew_text"), "warning"]
    same = table({"a": MODEL}, {"db": REFERENCE}, {**LEVELS, "db": "PBE"})
    assert set(same["warning"]) == {""}


def test_a_model_that_finished_nothing_keeps_its_line_and_does_not_empty_the_common_set() -> None:
    found = lines({"a": MODEL, "idle": [record("s0", {}, "failed")]})
    assert found.loc[("a", "common", "loew_text"), "n"] == 5
    idle = found.loc[("idle", "finished", "loew_text")]
    assert (idle["n"], idle["n_failed"], idle["n_not_run"]) == (0, 1, 5)
    assert pd.isna(idle["true_stable_percent"])
    less = lines({"a": MODEL, "idle": [record("s0", STABLE), record("u0", STABLE)]})
    assert less.loc[("a", "common", "loew_text"), "n"] == 2


def test_without_reference_or_records_there_are_verdicts_or_headers_alone() -> None:
    alone = table({"a": MODEL}, {}, LEVELS)
    assert set(alone["reference"]) == {""} and alone["n_true_stable"].isna().all()
    assert set(alone.loc[alone["definition"] == "loew_text", "n_stable"]) == {3}
    empty = table({"a": []}, {}, LEVELS)
    assert (empty["n"] == 0).all() and empty["true_stable_percent"].isna().all() and len(empty) == 18
    assert list(table({}, {}, LEVELS).columns) == list(alone.columns)
