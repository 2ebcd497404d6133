"""What not to trust: everything about labels, models and states that limits what a check can say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pesbench.dft.gpaw import MOMENTS, needs_hubbard

if TYPE_CHECKING:
    from pesbench.check.request import Request
    from pesbench.engine.predictions import Predictions
    from pesbench.labels import Finding
    from pesbench.models.registry import ModelEntry

#: Names of functionals in a level of theory, each one that another begins with after it.
FUNCTIONALS = (
    "R2SCAN",
    "RSCAN",
    "SCAN",
    "PBESOL",
    "PBE0",
    "REVPBE",
    "RPBE",
    "HSE06",
    "HSE",
    "PBE",
    "LDA",
    "PW91",
)
FEW_FRAMES = 10
#: Labels whose root mean square force is below this are of crystals near rest (eV/A).
NEAR_REST_EV_PER_ANG = 0.3
#: States whose volumes are all within this of each other say nothing about strain.
SAME_VOLUME = 0.01


def functionals(level: str) -> set[str]:
    """Return the functionals that a level of theory names: PBE and PBE+U are one functional, PBEsol is another."""
    left, found = level.upper(), set()
    for name in FUNCTIONALS:
        if re.search(rf"(?<![A-Z0-9]){name}(?![A-Z0-9])", left):
            found.add(name)
    return found


def level_warning(labels: str, model: str, name: str) -> str:
    """Return what is to be said where labels and a model's training differ in their functional, or nothing."""
    own, other = functionals(labels), functionals(model)
    if not own:
        return f"{name} was trained on {model}; the functional of '{labels}' is not known here: compare them."
    if not other:
        return f"{name} was not trained on DFT ({model}): the slope says how it differs from {labels}, nothing more."
    if own & other:
        return ""
    return (
        f"The labels are {labels}, {name} was trained on {model}: a slope off 1 is in part the difference of the two "
        "functionals, and a correction carries the model to that of the labels, at equal composition only."
    )


def hubbard_warning(elements: Sequence[str], labels: str, models: Mapping[str, ModelEntry]) -> str:
    """Return what is to be said of elements that the Materials Project gives a Hubbard U, or nothing."""
    with_u = needs_hubbard(elements)
    if not with_u or not any("+U" in entry.level_of_theory for entry in models.values()):
        return ""
    told = "stated with +U" if "+U" in labels.upper() else "stated without +U"
    return (
        f"{', '.join(with_u)} with O or F: the models were trained with a Hubbard U there, the labels are {told}. "
        "Without the Materials Project's own U values the two do not agree even for a perfect model."
    )


def states_told(found: Predictions, request: Request, volumes: np.ndarray) -> Iterator[str]:
    """Yield what the labelled states do not reach: few of them, small forces, no strain."""
    frames = len(found.ids)
    if frames < FEW_FRAMES:
        yield f"{frames} frames: the intervals are wide for that reason, and say nothing about states unlike these."
    forces = found.forces_dft_ev_per_ang
    rms, most = float(np.sqrt((forces**2).mean())), float(np.linalg.norm(forces, axis=1).max())
    yield (
        f"Far from equilibrium is only what is in the labels: forces up to {most:.1f} eV/Å (root mean square of a "
        f"component {rms:.2f}). Beyond that nothing was measured."
    )
    if rms < NEAR_REST_EV_PER_ANG:
        yield (
            "These states are near rest: softness shows at large forces and curvatures, so barriers, surfaces and hot "
            "runs are not covered. Label rattled or hot frames too."
        )
    if np.nanmax(volumes) < (1 + SAME_VOLUME) * np.nanmin(volumes):
        yield "All frames have the same volume an atom: nothing is known about strained cells."
    if request.odd_frames:
        yield f"{request.odd_frames} of the {request.n_frames} frames have another composition than {request.formula}."
    taken = frames + len(found.failed_ids)
    if request.mode == "labels" and taken < request.n_frames:
        yield f"{taken} of {request.n_frames} frames were taken, evenly spaced (most_frames in config.yaml, check)."


def label_told(findings: Sequence[Finding]) -> list[str]:
    """Return what is suspicious about the labels."""
    return [f"Doubtful labels, {finding}." for finding in findings]


def model_told(models: Mapping[str, ModelEntry], labels: str) -> Iterator[str]:
    """Yield what is to be said of single models."""
    for name, entry in models.items():
        if warning := level_warning(labels, entry.level_of_theory, name):
            yield warning
        if not entry.forces_are_gradients:
            yield f"{name}: its forces are no gradient of its energy; a corrected run does not conserve energy either."


def material_told(request: Request) -> Iterator[str]:
    """Yield what is to be said of the elements."""
    if magnetic := sorted(set(request.elements) & set(MOMENTS)):
        yield (
            f"{', '.join(magnetic)} may be magnetic. The models take no magnetic order as input; labels of another "
            "order, or of none, differ in forces for a reason that no scale mends."
        )


def general_told(request: Request) -> Iterator[str]:
    """Yield what holds for every check of labelled frames."""
    yield from material_told(request)
    if request.mode == "gpaw":
        yield (
            "GPAW labels are plain PBE with a zero of energy of their own: forces and stress compare, energies only as "
            "differences."
        )
    yield (
        "A correction multiplies the whole energy: compare structures of one composition only (surfaces, barriers, "
        "phonons, dynamics), never formation energies. It was fitted on this material; another one has another number."
    )
    yield "Frames of one trajectory resemble each other: fewer of them are independent than were counted."
