"""Are a set's labels what they should be? Answers of models tell: they are soft, but no model turns a force around.

A softening of 0.6 to 1.1 is what models really have; a wrong unit, sign or order of atoms leaves another mark.
Nothing is changed or left out here: every finding comes with its numbers, for a person to judge.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pesbench.engine.predictions import Predictions

Array = NDArray[np.float64]
#: What one eV/A is called in other units: a label that was not converted is this many times too large.
UNITS = {
    "eV/Bohr": 0.529177,
    "Ry/Bohr": 0.0388938,
    "Ha/Bohr": 0.0194469,
    "Ha/A": 0.0367493,
    "kcal/mol/A": 23.0605,
    "kJ/mol/A": 96.4853,
    "meV/A": 1000.0,
}
#: Softening of whole sets that models are known to have, with room: 0.49 (Focassio's Ge) to 1.07 (mlearn's Ni).
PLAUSIBLE = (0.40, 1.15)
#: A unit is named where it explains a factor to within this ratio.
UNIT_RATIO = 1.35
#: A frame says something about its labels where its root mean square force is larger than this (eV/A), and than this
#: many times what the models are usually off by.
LEAST_FORCE_EV_PER_ANG, LEAST_FORCE_OVER_ERROR = 0.05, 2.0
#: A frame with fewer force components says too little by itself.
LEAST_COMPONENTS = 12
#: Below this median correlation the model knows too little of the set to judge single frames.
LEAST_CORRELATION = 0.9
SIGN_BELOW, LOST_BELOW = -0.5, 0.5
#: Frames whose slope is off the set's by this factor, at a correlation as good as the others', are in another unit.
FRAME_FACTOR, FRAME_CORRELATION = 1.6, 0.9
#: Softening of single frames that models are known to have; wider than of sets.
FRAME_PLAUSIBLE = (0.3, 1.35)
#: A label that a model's forces do not follow is held against them only where it is at least this share of their size:
#: surfaces that DFT relaxed have no forces, while a model has some there.
LEAST_SHARE = 0.5
#: A gap in the energies this many times the spread on either side parts two levels of theory.
GAP_RATIO, LEAST_GAP_EV_PER_ATOM, LEAST_SIDE = 2.5, 0.01, 0.05
#: Frames with smaller forces are not held against each other: perfect crystals have none (eV/A).
LEAST_FORCE_TO_COMPARE = 0.02
MOST_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """One suspicion about a set's labels.

    Attributes
    ----------
    kind
        ``sign``, ``unit``, ``order``, ``levels``, ``energies``, ``repeated``, ``contradicting``, ``copied``, or
        ``cannot_judge``.
    frames
        Ids of the frames that it is about; empty: all.
    evidence
        The numbers, in words.
    """

    kind: str
    frames: tuple[str, ...]
    evidence: str

    def __str__(self) -> str:
        more = f" and {len(self.frames) - MOST_NAMED} more" if len(self.frames) > MOST_NAMED else ""
        which = f"{', '.join(self.frames[:MOST_NAMED])}{more}" if self.frames else "the whole set"
        return f"{self.kind}: {which}: {self.evidence}"


@dataclass(frozen=True)
class _PerFrame:
    """Of frames with forces large enough to tell: best correlation of a model, and median slope of the models.

    ``set_slope`` is the median over frames weighted by the model's forces: some wrong frames do not move it.
    """

    ids: NDArray[np.str_]
    correlation: Array
    slope: Array
    set_slope: float


def check_labels(answers: Mapping[str, Predictions]) -> list[Finding]:
    """Hold a set's labels against the answers of one model or several.

    With several, a frame is suspected only where the best of them disagrees with it: a model that fails does not make
    a label wrong.

    Parameters
    ----------
    answers
        Predictions of each model for the same set, by the model's name.

    Returns
    -------
    list of Finding
        Empty where nothing is suspicious.
    """
    models = list(answers.values())
    findings = [*_levels(models), *_repeats(models)]
    frames = _per_frame(models)
    if not len(frames.ids):
        return [*findings, Finding("cannot_judge", (), "no frame has forces large enough to compare")]
    whole = _whole_set(frames)
    findings += whole
    typical = float(np.median(np.abs(frames.correlation)))
    if typical < LEAST_CORRELATION:
        told = f"the models' forces correlate with the labels by {typical:.2f} only (median over frames)"
        return [*findings, Finding("cannot_judge", (), told)]
    return [*findings, *_single_frames(frames, _sign_of_set(whole)), *_energies(models)]


def _per_frame(models: Sequence[Predictions]) -> _PerFrame:
    values: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for found in models:
        for name, correlation, steep, weight in _of_model(found):
            values[name].append((correlation, steep, weight))
    medians = np.array([np.median(v, axis=0) for v in values.values()]).reshape(-1, 3)
    medians[:, 0] = [max(correlation for correlation, *_ in v) for v in values.values()]
    order = np.argsort(medians[:, 1])
    total = np.cumsum(medians[order, 2])
    middle = float(medians[order[np.searchsorted(total, total[-1] / 2)], 1]) if len(order) else float("nan")
    return _PerFrame(np.array(list(values), dtype=str), medians[:, 0], medians[:, 1], middle)


def _of_model(found: Predictions) -> Iterator[tuple[str, float, float, float]]:
    """Yield id, correlation, slope and sum of the model's squared forces of each frame that tells."""
    model, dft, frame = found.forces_ev_per_ang, found.forces_dft_ev_per_ang, found.frame_of_atom
    count = len(found.ids)
    product = np.bincount(frame, (model * dft).sum(axis=1), count)
    norm = np.bincount(frame, (dft**2).sum(axis=1), count)
    size = np.bincount(frame, (model**2).sum(axis=1), count)
    enough = (3 * found.n_atoms >= LEAST_COMPONENTS) & (norm > 0) & (size > 0)
    rms = np.sqrt(size / (3 * found.n_atoms))  # of the model: labels in the wrong unit may look small
    error = rms * np.sqrt(np.maximum(0, 1 - product**2 / np.maximum(norm * size, 1e-30)))
    usual = float(np.median(error[enough])) if enough.any() else 0.0
    correlation = product / np.sqrt(np.maximum(norm * size, 1e-30))
    follows = np.abs(correlation) > FRAME_CORRELATION
    clear = (rms > LEAST_FORCE_OVER_ERROR * usual) & (norm > LEAST_SHARE**2 * size)
    enough &= (rms > LEAST_FORCE_EV_PER_ANG) & (follows | clear)
    for i in np.flatnonzero(enough):
        yield str(found.ids[i]), float(correlation[i]), product[i] / norm[i], size[i]


def _whole_set(frames: _PerFrame) -> list[Finding]:
    """Suspect the sign or the unit of every label at once."""
    steep, share = frames.set_slope, float((frames.correlation < SIGN_BELOW).mean())
    if share > 0.5:
        told = f"the models' forces point against {share:.0%} of the labels (slope {steep:.2f}); gradients for forces?"
        return [Finding("sign", (), told)]
    if PLAUSIBLE[0] <= steep <= PLAUSIBLE[1] or np.median(frames.correlation) < LOST_BELOW:
        return []
    unit = _unit(steep, float(np.sqrt(PLAUSIBLE[0] * PLAUSIBLE[1])))
    reason = f"in {unit} they would give {steep * UNITS[unit]:.2f}" if unit else "no common unit explains it"
    told = f"slope of the models' forces {steep:.3g}, while models have {PLAUSIBLE[0]} to {PLAUSIBLE[1]}; {reason}"
    return [Finding("unit", (), told)]


def _unit(steep: float, expected: float) -> str:
    """Return the unit whose labels would have this slope instead of the expected one, or nothing."""
    # Labels in Ha/Bohr are 51 times too small as numbers, which makes the slope 51 times too large.
    apart = {unit: abs(np.log(steep * factor / expected)) for unit, factor in UNITS.items()}
    nearest = min(apart, key=lambda unit: apart[unit])
    inside = PLAUSIBLE[0] <= steep * UNITS[nearest] <= PLAUSIBLE[1]
    return nearest if inside or apart[nearest] < np.log(UNIT_RATIO) else ""


def _sign_of_set(findings: Sequence[Finding]) -> int:
    return -1 if any(finding.kind == "sign" for finding in findings) else 1


def _single_frames(frames: _PerFrame, sign: int) -> Iterator[Finding]:
    """Suspect single frames that differ from the others of their set."""
    correlation, steep = sign * frames.correlation, sign * frames.slope
    good = correlation >= FRAME_CORRELATION
    typical = float(np.median(correlation))
    turned, lost = correlation < SIGN_BELOW, np.abs(correlation) < LOST_BELOW
    if turned.any():
        told = f"correlation {_range(correlation[turned])} where the set has {typical:.2f} (median)"
        yield Finding("sign", _names(frames.ids[turned]), told)
    if lost.any():
        told = (
            f"correlation {_range(correlation[lost])} where the set has {typical:.2f} (median); other order?"
        )
        yield Finding("order", _names(frames.ids[lost]), told)
    if good.sum() < 3:
        return
    centre = float(np.median(steep[good]))
    ratio = np.where(good, steep / centre, 1.0)
    # Sets have soft and less soft frames: only a slope that no set has is suspicious.
    odd = (ratio > FRAME_FACTOR) & (steep > FRAME_PLAUSIBLE[1])
    odd |= (ratio < 1 / FRAME_FACTOR) & (steep < FRAME_PLAUSIBLE[0])
    groups: dict[str, list[int]] = defaultdict(list)
    for i in np.flatnonzero(odd):
        groups[_unit_of_ratio(float(ratio[i]))].append(int(i))
    for unit, members in groups.items():
        if unit:
            told = f"slope {_range(steep[members])} where the set has {centre:.2f} (median); in {unit}?"
            yield Finding("unit", _names(frames.ids[members]), told)


def _unit_of_ratio(ratio: float) -> str:
    """Return the unit that a frame's slope over its set's tells, or nothing where none fits."""
    apart = {unit: abs(np.log(ratio * factor)) for unit, factor in UNITS.items()}
    nearest = min(apart, key=lambda unit: apart[unit])
    # A factor of fifty is told apart from others even where the frames' own slopes differ by two.
    near = max(np.log(UNIT_RATIO), abs(np.log(ratio)) / 4)
    return nearest if apart[nearest] < near else ""


def _levels(models: Sequence[Predictions]) -> Iterator[Finding]:
    levels = sorted({str(level) for found in models for level in found.levels})
    if len(levels) > 1:
        counts = ", ".join(f"{level} {int((models[0].levels == level).sum())}" for level in levels)
        yield Finding("levels", (), f"levels of theory are mixed (frames: {counts})")


def _energies(models: Sequence[Predictions]) -> Iterator[Finding]:
    """Suspect two levels of theory where the energies of one composition fall apart into two groups.

    DFT's energy an atom is put on a straight line against the model's, which takes the softening out; what is left is
    sorted, and its largest gap compared with the spread on either side. Every model has to see it.
    """
    for material in sorted(set(models[0].materials)):
        gaps = [_gap(found, found.materials == material) for found in models]
        if all(gap and gap[0] > LEAST_GAP_EV_PER_ATOM and gap[1] > GAP_RATIO for gap in gaps):
            width, ratio, below, above = gaps[0] or (0.0, 0.0, (), ())
            fewer = below if len(below) < len(above) else above
            told = (
                f"energies of {material} against the model's fall into {len(below)} and {len(above)} frames, parted "
                f"by a gap of {width:.3f} eV/atom, {ratio:.1f} times their spread; two functionals?"
            )
            yield Finding("energies", fewer, told)


def _gap(
    found: Predictions, chosen: NDArray[np.bool_]
) -> tuple[float, float, tuple[str, ...], tuple[str, ...]] | None:
    """Return the largest gap (eV/atom), its ratio to the spread beside it, and the frames below and above it."""
    from scipy.optimize import least_squares

    model, dft = (e[chosen] / found.n_atoms[chosen] for e in (found.energy_ev, found.energy_dft_ev))
    count, side = len(model), max(5, round(LEAST_SIDE * chosen.sum()))
    spread = float(np.median(np.abs(dft - np.median(dft))))
    if count < 4 * side or spread == 0:
        return None
    x = model - np.median(model)
    line = least_squares(
        lambda p: dft - p[0] - p[1] * x,
        [np.median(dft), 1.0],
        loss="soft_l1",
        f_scale=max(0.003, 0.3 * spread),
    ).x
    left = dft - line[0] - line[1] * x
    order = np.argsort(left)
    steps = np.diff(left[order])[side - 1 : count - side]
    cut = int(steps.argmax()) + side
    below, above = left[order[:cut]], left[order[cut:]]
    width = float(max(np.subtract(*np.quantile(part, [0.75, 0.25])) for part in (below, above)))
    ids = found.ids[chosen][order]
    return float(steps.max()), float(steps.max() / max(width, 1e-6)), _names(ids[:cut]), _names(ids[cut:])


def _repeats(models: Sequence[Predictions]) -> Iterator[Finding]:
    """Name frames that share their labels, their structure (the model's answer is the same), or both."""
    found = models[0]
    labels = _groups(found, found.forces_dft_ev_per_ang, found.energy_dft_ev)
    answers = _groups(found, found.forces_ev_per_ang, found.energy_ev)
    by_kind: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for group in sorted(labels):
        by_kind["repeated" if group in answers else "copied"].append(group)
    by_kind["contradicting"] = [g for g in sorted(answers) if g not in labels]
    words: Mapping[str, Callable[[int], str]] = {
        "repeated": partial("{} structures come more than once (or turned), with the same labels".format),
        "copied": partial("{} groups of frames have the same labels but are different structures".format),
        "contradicting": partial("{} structures come more than once, with different labels".format),
    }
    for kind, groups in by_kind.items():
        if groups:
            ids = [str(found.ids[i]) for group in groups for i in group]
            yield Finding(kind, tuple(ids), words[kind](len(groups)))


def _groups(found: Predictions, forces: Array, energies: Array) -> set[tuple[int, ...]]:
    """Return the groups of frames whose energy an atom (to 1e-5 eV) and forces (to 1e-3 eV/A) are the same.

    A frame without any force is its own: many perfect crystals have none.
    """
    alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for i, (numbers, values) in enumerate(zip(found.split(found.numbers), found.split(forces), strict=True)):
        if np.abs(values).max() > LEAST_FORCE_TO_COMPARE:
            # A copy need not list its atoms in the same order, nor answer with the same last digit.
            rounded = np.round(values, 3) + 0.0
            rows = rounded[np.lexsort(rounded.T)].tobytes()
            key = (len(numbers), *np.unique(numbers), round(energies[i] / len(numbers), 5), rows)
            alike[key].append(i)
    return {tuple(group) for group in alike.values() if len(group) > 1}


def _names(ids: NDArray[np.str_]) -> tuple[str, ...]:
    return tuple(str(name) for name in ids)


def _range(values: Array) -> str:
    low, high = float(np.min(values)), float(np.max(values))
    return f"{low:.2f}" if round(low, 2) == round(high, 2) else f"{low:.2f} to {high:.2f}"
