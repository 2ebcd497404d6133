"""The softening scale of Deng et al. (2025), npj Comput. Mater. 11, 9: slope of a model's forces against DFT's.

All three Cartesian components of every force of a material are pooled and a line is fitted to model against DFT.
The paper does not say whether through the origin. Where the forces of each frame add up to nothing, in DFT and in the
model, both lines are the same one: their centre is the origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: Residuals beyond this many robust standard deviations pull with a bounded force only (Huber 1981: 1.345).
HUBER = 1.345
#: Median absolute deviation of a normal distribution, in standard deviations.
MAD_OF_NORMAL = 0.6744897501960817


def slope(model: Array, dft: Array) -> float:
    """Return the least-squares slope through the origin; NaN where DFT has no force at all."""
    norm = float(dft @ dft)
    return float(model @ dft) / norm if norm > 0 else float("nan")


def line(model: Array, dft: Array) -> tuple[float, float]:
    """Return slope and intercept of the least-squares line with both free (intercept in the unit of the forces)."""
    centred = dft - dft.mean()
    norm = float(centred @ centred)
    if norm == 0:
        return float("nan"), float("nan")
    steep = float(model @ centred) / norm
    return steep, float(model.mean() - steep * dft.mean())


def robust_slope(model: Array, dft: Array) -> float:
    """Return the slope through the origin under Huber's loss: no single component can move it far.

    The scale of the residuals is their median absolute deviation about the slope of least absolute deviations (the
    median of the ratios weighted by the size of the DFT component).
    """
    from scipy.optimize import least_squares

    used = dft != 0
    if not used.any():
        return float("nan")
    y, x = model[used], dft[used]
    start = _weighted_median(y / x, np.abs(x))
    scale = float(np.median(np.abs(y - start * x))) / MAD_OF_NORMAL
    if scale == 0:
        return start
    fit = least_squares(
        lambda s: y - s * x, [start], jac=lambda s: -x[:, None], loss="huber", f_scale=HUBER * scale
    )
    return float(fit.x[0])


def _weighted_median(values: Array, weights: Array) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def corrected_mae(model: Array, dft: Array) -> float:
    """Return the paper's cMAE: the mean absolute error after the slope through the origin is brought to 1."""
    steep = slope(model, dft)
    return float(np.abs(model / steep - dft).mean()) if steep else float("nan")


def correlation(model: Array, dft: Array) -> float:
    """Return Pearson's correlation about the origin; NaN where one side has no force."""
    norm = float(np.sqrt((model @ model) * (dft @ dft)))
    return float(model @ dft) / norm if norm > 0 else float("nan")


@dataclass(frozen=True)
class Scale:
    """Softening scale of one group of force components.

    Attributes
    ----------
    slope, slope_low, slope_high
        Through the origin, with its bootstrap 95 % interval over frames (NaN where there is one frame only).
    free_slope, intercept_ev_per_ang
        Of the line with intercept.
    robust_slope
        Under Huber's loss.
    mae_ev_per_ang, cmae_ev_per_ang
        Mean absolute error of a component, as it is and after the slope is brought to 1.
    """

    n_frames: int
    n_components: int
    slope: float
    slope_low: float
    slope_high: float
    free_slope: float
    intercept_ev_per_ang: float
    robust_slope: float
    correlation: float
    mae_ev_per_ang: float
    cmae_ev_per_ang: float


def scale(model: Array, dft: Array, frame: NDArray[np.intp], seed: int, resamples: int = 1000) -> Scale:
    """Measure the softening of one group.

    Parameters
    ----------
    model, dft
        Force components (eV/A), shape (n,).
    frame
        Index of the frame of each component, shape (n,): whole frames are drawn, for the forces of one frame belong
        together.

    Raises
    ------
    ValueError
        Nothing to measure, or values that are not finite.
    """
    if not len(dft) or not (np.isfinite(model).all() and np.isfinite(dft).all()):
        raise ValueError("no force component, or one that is not finite")
    low, high = slope_interval(model, dft, frame, seed, resamples)
    free, intercept = line(model, dft)
    return Scale(
        n_frames=len(np.unique(frame)),
        n_components=len(dft),
        slope=slope(model, dft),
        slope_low=low,
        slope_high=high,
        free_slope=free,
        intercept_ev_per_ang=intercept,
        robust_slope=robust_slope(model, dft),
        correlation=correlation(model, dft),
        mae_ev_per_ang=float(np.abs(model - dft).mean()),
        cmae_ev_per_ang=corrected_mae(model, dft),
    )


def slope_interval(
    model: Array, dft: Array, frame: NDArray[np.intp], seed: int, resamples: int = 1000
) -> tuple[float, float]:
    """Return the percentile bootstrap 95 % interval of the slope through the origin, whole frames being drawn."""
    _, index = np.unique(frame, return_inverse=True)
    products, norms = np.bincount(index, model * dft), np.bincount(index, dft * dft)
    if len(norms) < 2 or not norms.any():
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(0, len(norms), size=(resamples, len(norms)))
    below = norms[drawn].sum(axis=1)
    slopes = products[drawn].sum(axis=1)[below > 0] / below[below > 0]
    low, high = np.quantile(slopes, [0.025, 0.975])
    return float(low), float(high)
