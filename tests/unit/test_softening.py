"""The softening scale: known slopes, what bounds outliers, and what the bootstrap draws."""

from __future__ import annotations

import numpy as np
import pytest

from pesbench.softening import (
    corrected_mae,
    correlation,
    line,
    robust_slope,
    scale,
    slope,
    slope_interval,
)


@pytest.fixture
def forces() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """40 frames of 10 atoms: a model that is 0.8 times DFT with noise of 0.05 eV/A."""
    random = np.random.default_rng(1)
    dft = random.normal(0, 1, 1200)
    return 0.8 * dft + random.normal(0, 0.05, 1200), dft, np.repeat(np.arange(40), 30)


def test_a_scaled_model_has_its_factor_as_slope() -> None:
    dft = np.array([1.0, -2.0, 0.5, 3.0])
    for k in (0.5, 1.0, 1.7, -1.0):
        assert slope(k * dft, dft) == pytest.approx(k, abs=1e-12)
        assert robust_slope(k * dft, dft) == pytest.approx(k, abs=1e-9)
        assert correlation(k * dft, dft) == pytest.approx(np.sign(k))


def test_cmae_takes_the_softening_out_and_leaves_the_noise(forces) -> None:
    model, dft, _ = forces
    assert corrected_mae(0.7 * dft, dft) == pytest.approx(0, abs=1e-12)
    raw, corrected = np.abs(model - dft).mean(), corrected_mae(model, dft)
    # Noise of 0.05 over a slope of 0.8; the mean absolute value of a normal variable is 0.798 of its deviation.
    assert corrected == pytest.approx(0.798 * 0.05 / 0.8, rel=0.05)
    assert raw > 3 * corrected


def test_line_tells_an_offset_that_the_slope_through_the_origin_mixes_in() -> None:
    dft = np.linspace(0, 4, 50)
    steep, intercept = line(0.6 * dft + 0.3, dft)
    assert (steep, intercept) == (pytest.approx(0.6), pytest.approx(0.3))
    assert slope(0.6 * dft + 0.3, dft) > 0.65


def test_both_lines_agree_where_forces_add_up_to_nothing(forces) -> None:
    model, dft, frame = forces
    for part in (model, dft):
        for i in np.unique(frame):
            part[frame == i] -= part[frame == i].mean()
    steep, intercept = line(model, dft)
    assert steep == pytest.approx(slope(model, dft), abs=1e-12)
    assert intercept == pytest.approx(0, abs=1e-12)


def test_an_exploded_component_moves_the_paper_s_slope_and_not_the_robust_one(forces) -> None:
    model, dft, _ = forces
    model[0], dft[0] = 5000.0, 3.0
    assert slope(model, dft) > 5
    assert robust_slope(model, dft) == pytest.approx(0.8, abs=0.01)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    covered = 0
    for trial in range(200):
        random = np.random.default_rng(trial)
        # Whole frames are soft by their own amount: drawing components instead of frames would be far too sure.
        soft = np.repeat(random.normal(0.8, 0.1, 30), 60)
        dft = random.normal(0, 1, 1800)
        low, high = slope_interval(soft * dft, dft, np.repeat(np.arange(30), 60), seed=trial, resamples=300)
        covered += low < 0.8 < high
    assert 0.86 <= covered / 200 <= 0.98


def test_interval_follows_the_seed_alone(forces) -> None:
    model, dft, frame = forces
    assert slope_interval(model, dft, frame, 3) == slope_interval(model, dft, frame, 3)
    assert slope_interval(model, dft, frame, 3) != slope_interval(model, dft, frame, 4)
    assert np.isnan(slope_interval(model[:30], dft[:30], frame[:30], 3)).all(), "one frame tells no interval"


def test_scale_counts_frames_and_components(forces) -> None:
    found = scale(*forces, seed=0)
    assert (found.n_frames, found.n_components) == (40, 1200)
    assert found.slope_low < 0.8 < found.slope_high
    assert found.mae_ev_per_ang > found.cmae_ev_per_ang


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"):
        scale(np.array([1.0, np.nan]), np.ones(2), np.zeros(2, dtype=int), 0)
    with pytest.raises(ValueError, match="no force component"):
        scale(np.empty(0), np.empty(0), np.empty(0, dtype=int), 0)
    assert np.isnan(slope(np.ones(3), np.zeros(3)))
