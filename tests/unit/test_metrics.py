"""The metrics' mathematics: hand values, invariances, and the coverage of the bootstrap interval."""

import numpy as np
import pandas as pd
import pytest

from pesbench import metrics

PREDICTED = [1.0, 2.0, 6.0, 3.0]
REFERENCE = [2.0, 2.0, 4.0, 7.0]


def test_hand_values() -> None:
    """Differences are -1, 0, +2, -4."""
    assert metrics.mae(PREDICTED, REFERENCE) == pytest.approx(7 / 4)
    assert metrics.mean_signed_error(PREDICTED, REFERENCE) == pytest.approx(-3 / 4)
    assert metrics.share_underestimated(PREDICTED, REFERENCE) == 0.5


def test_equal_is_not_underestimated() -> None:
    """A row that meets the reference counts neither as below nor as error."""
    assert metrics.share_underestimated([1.0, 1.0], [1.0, 2.0]) == 0.5
    assert metrics.mae([3.0], [3.0]) == 0.0


@pytest.mark.parametrize("score", [metrics.mae, metrics.mean_signed_error])
def test_errors_scale_and_do_not_see_a_common_shift(score: metrics.Statistic) -> None:
    """score(c p + s, c r + s) = c score(p, r) for c > 0, and the order of the rows does not matter."""
    p, r = np.array(PREDICTED), np.array(REFERENCE)
    assert score(3.0 * p + 5.0, 3.0 * r + 5.0) == pytest.approx(3.0 * score(p, r))
    assert score(p[::-1], r[::-1]) == pytest.approx(score(p, r))


def test_mean_absolute_error_lies_between_its_bounds() -> None:
    """|mean signed error| <= MAE <= root mean square, with equality when all errors are the same."""
    rng = np.random.default_rng(1)
    p, r = rng.normal(size=50), rng.normal(size=50)
    assert abs(metrics.mean_signed_error(p, r)) < metrics.mae(p, r) < np.sqrt(np.mean((p - r) ** 2))
    assert metrics.mae(r + 0.3, r) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("predicted", "reference", "word"),
    [([], [], "no rows"), ([1.0], [1.0, 2.0], "equally long"), ([np.nan], [1.0], "not finite")],
)
def test_rows_are_never_dropped_silently(predicted: list[float], reference: list[float], word: str) -> None:
    """Nothing, unequal lengths and NaN are refused with a reason."""
    with pytest.raises(ValueError, match=word):
        metrics.mae(predicted, reference)


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
    exact = metrics.bootstrap_interval(metrics.mean_signed_error, r - 0.3, r, seed=1)
    assert (exact.low, exact.high) == pytest.approx((-0.3, -0.3)), "rows do not stay paired"
    with pytest.raises(ValueError, match="level"):
        metrics.bootstrap_interval(metrics.mae, p, r, seed=1, level=1.5)


def scored() -> pd.DataFrame:
    """Three rows of two models; the paper has values of the first model only."""
    nan = float("nan")
    lines = [
        (1, "a", "ok", 0.8, 0.7, 1.0),
        (2, "a", "failed", nan, 1.5, 2.0),
        (3, "a", "not_run", nan, 2.0, 3.0),
        (1, "b", "ok", 1.1, nan, 1.0),
        (2, "b", "ok", 1.6, nan, 2.0),
        (3, "b", "ok", 2.7, nan, 3.0),
    ]
    return pd.DataFrame(lines, columns=["row", "model", "status", "ours", "paper", "dft"])


def test_error_table_scores_three_sets_and_states_their_coverage() -> None:
    """Hand values: a failed row counts with the whole reference, an unrun one nowhere, only row 1 is common."""
    table = metrics.error_table(scored(), "ours", "paper", "dft", "ev", seed=0)
    mae = {(r["model"], r["values"], r["set"]): (r["n"], r["mae_ev"]) for _, r in table.iterrows()}
    assert mae[("a", "published", "all")] == (3, pytest.approx((0.3 + 0.5 + 1.0) / 3))
    assert mae[("a", "published", "finished")] == (1, pytest.approx(0.3))
    assert mae[("a", "ours", "finished")] == (1, pytest.approx(0.2))
    assert mae[("a", "ours", "penalised")] == (2, pytest.approx((0.2 + 2.0) / 2))
    assert mae[("b", "ours", "finished")] == (3, pytest.approx((0.1 + 0.4 + 0.3) / 3))
    assert mae[("b", "ours", "common")] == (1, pytest.approx(0.1))
    assert ("b", "published", "all") not in mae
    first = table[table["model"] == "a"].iloc[0]
    assert (first["n_failed"], first["n_not_converged"], first["n_not_run"]) == (1, 0, 1)
