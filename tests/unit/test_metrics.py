"""The metrics' mathematics: hand values, invariances, and the coverage of the bootstrap interval."""

import numpy as np
import pytest

from pesbench import metrics

PREDICTED = [1.0, 2.0, 6.0, 3.0]
REFERENCE = [2.0, 2.0, 4.0, 7.0]


def test_hand_values() -> None:
    """Differences are -1, 0, +2, -4."""
    assert metrics.mae(PREDICTED, REFERENCE) == pytest.approx(7 / 4)
    assert metrics.mean_signed_error(PREDICTED, REFERENCE) == pytest.approx(-3 / 4)
    assert metrics.rmse(PREDICTED, REFERENCE) == pytest.approx(np.sqrt(21 / 4))
    assert metrics.share_underestimated(PREDICTED, REFERENCE) == 0.5
    assert metrics.slope_through_origin(PREDICTED, REFERENCE) == pytest.approx(51 / 73)


@pytest.mark.parametrize(("tolerance", "share"), [(0.0, 0.25), (0.49, 0.25), (0.5, 0.75), (1.0, 1.0)])
def test_share_within_counts_the_edge(tolerance: float, share: float) -> None:
    """Relative differences are 1/2, 0, 1/2, 4/7; the edge belongs to it."""
    assert metrics.share_within(PREDICTED, REFERENCE, tolerance) == share


def test_share_within_uses_the_size_of_a_negative_reference() -> None:
    """-1.01 is within 2 % of -1, -1.03 is not."""
    assert metrics.share_within([-1.01, -1.03], [-1.0, -1.0], 0.02) == 0.5


def test_equal_is_not_underestimated() -> None:
    """A row that meets the reference counts neither as below nor as error."""
    assert metrics.share_underestimated([1.0, 1.0], [1.0, 2.0]) == 0.5
    assert metrics.mae([3.0], [3.0]) == 0.0


@pytest.mark.parametrize("score", [metrics.mae, metrics.rmse, metrics.mean_signed_error])
def test_errors_scale_and_do_not_see_a_common_shift(score: metrics.Statistic) -> None:
    """score(c p + s, c r + s) = c score(p, r) for c > 0, and the order of the rows does not matter."""
    p, r = np.array(PREDICTED), np.array(REFERENCE)
    assert score(3.0 * p + 5.0, 3.0 * r + 5.0) == pytest.approx(3.0 * score(p, r))
    assert score(p[::-1], r[::-1]) == pytest.approx(score(p, r))


def test_mean_absolute_error_lies_between_its_bounds() -> None:
    """|mean signed error| <= MAE <= RMSE, with equality when all errors are the same."""
    rng = np.random.default_rng(1)
    p, r = rng.normal(size=50), rng.normal(size=50)
    assert abs(metrics.mean_signed_error(p, r)) < metrics.mae(p, r) < metrics.rmse(p, r)
    assert metrics.mae(r + 0.3, r) == pytest.approx(metrics.rmse(r + 0.3, r)) == pytest.approx(0.3)


def test_slope_is_the_least_squares_one() -> None:
    """It gives back an exact slope, agrees with numpy's solver, and any other slope has larger residuals."""
    r = np.array([1.0, -2.0, 5.0, 0.5])
    p = 0.7 * r + np.array([0.1, 0.2, -0.1, 0.05])
    slope = metrics.slope_through_origin(p, r)
    assert metrics.slope_through_origin(0.7 * r, r) == pytest.approx(0.7)
    assert slope == pytest.approx(np.linalg.lstsq(r[:, None], p, rcond=None)[0][0])
    for other in (slope - 0.01, slope + 0.01):
        assert ((p - other * r) ** 2).sum() > ((p - slope * r) ** 2).sum()


@pytest.mark.parametrize(
    ("predicted", "reference", "word"),
    [([], [], "no rows"), ([1.0], [1.0, 2.0], "equally long"), ([np.nan], [1.0], "not finite")],
)
def test_rows_are_never_dropped_silently(predicted: list[float], reference: list[float], word: str) -> None:
    """Nothing, unequal lengths and NaN are refused with a reason."""
    with pytest.raises(ValueError, match=word):
        metrics.mae(predicted, reference)


def test_slope_refuses_zero_references() -> None:
    """Without a nonzero reference there is no slope."""
    with pytest.raises(ValueError, match="undefined"):
        metrics.slope_through_origin([1.0, 2.0], [0.0, 0.0])


def test_bootstrap_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Errors of a normal distribution: the 90 % interval of their mean covers 0 in 90 % of 300 samples."""
    rng = np.random.default_rng(7)
    covered = []
    for trial in range(300):
        errors = rng.normal(size=60)
        interval = metrics.bootstrap_interval(
            metrics.mean_signed_error, errors, np.zeros(60), seed=trial, level=0.90, n_resamples=300
        )
        covered.append(interval.low <= 0.0 <= interval.high)
    assert 0.84 <= np.mean(covered) <= 0.95


def test_bootstrap_interval_has_the_width_of_the_standard_error() -> None:
    """For the mean of n values the 95 % interval is 2 x 1.96 s / sqrt(n) wide, so 4 n halves it."""
    rng = np.random.default_rng(3)
    widths = []
    for n in (200, 800):
        errors = rng.normal(scale=2.0, size=n)
        interval = metrics.bootstrap_interval(metrics.mean_signed_error, errors, np.zeros(n), seed=0)
        assert interval.low < errors.mean() < interval.high
        assert (interval.high - interval.low) == pytest.approx(3.92 * errors.std() / np.sqrt(n), rel=0.1)
        widths.append(interval.high - interval.low)
    assert widths[0] / widths[1] == pytest.approx(2.0, rel=0.15)


def test_bootstrap_interval_follows_its_seed_and_level() -> None:
    """The same seed gives the same bounds, another one others; a higher level is wider; rows stay paired."""
    rng = np.random.default_rng(5)
    r = rng.uniform(1, 2, size=40)
    p = r * rng.uniform(0.6, 0.9, size=40)
    one = metrics.bootstrap_interval(metrics.mae, p, r, seed=1)
    assert one == metrics.bootstrap_interval(metrics.mae, p, r, seed=1)
    other = metrics.bootstrap_interval(metrics.mae, p, r, seed=2)
    assert (one.low, one.high) != (other.low, other.high)
    wide = metrics.bootstrap_interval(metrics.mae, p, r, seed=1, level=0.99)
    assert wide.low < one.low < one.high < wide.high
    assert (one.n, one.n_resamples, one.seed, one.level) == (40, 2000, 1, 0.95)
    exact = metrics.bootstrap_interval(metrics.slope_through_origin, 0.7 * r, r, seed=1)
    assert (exact.low, exact.high) == pytest.approx((0.7, 0.7))
    with pytest.raises(ValueError, match="level"):
        metrics.bootstrap_interval(metrics.mae, p, r, seed=1, level=1.5)


def test_metric_states_its_coverage() -> None:
    """Every row is counted once, and a partly scored metric is not complete."""
    part = metrics.Metric("mae", 0.04, "eV/Å^2", n_scored=50, n_failed=2, n_not_converged=3, n_missing=92)
    assert (part.n_total, part.complete) == (147, False)
    assert metrics.Metric("mae", 0.04, "eV/Å^2", n_scored=147).complete
    empty = metrics.Metric("mae", None, "eV/Å^2", n_scored=0, n_missing=147)
    assert (empty.n_total, empty.complete) == (147, False)


@pytest.mark.parametrize(("value", "scored", "failed"), [(0.04, 0, 1), (None, 3, 0), (0.04, 3, -1)])
def test_metric_refuses_a_value_without_rows(value: float | None, scored: int, failed: int) -> None:
    """A value needs rows, rows need a value, and counts are not negative."""
    with pytest.raises(ValueError, match="mae"):
        metrics.Metric("mae", value, "eV", n_scored=scored, n_failed=failed)
