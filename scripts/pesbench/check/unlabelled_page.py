"""The page of a check without labels: what can be said, what cannot, and which states to label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pesbench.check import caveats
from pesbench.check.document import Document, drawn
from pesbench.check.page import number_table, provenance
from pesbench.check.request import Request
from pesbench.check.score import Answer
from pesbench.check.unlabelled import common
from pesbench.dft.gpaw import needs_hubbard
from pesbench.plots import FULL_WIDTH_IN, MODEL_COLORS, STYLE
from pesbench.report.parts import Fold, Section
from pesbench.typeset import formula_markdown

#: Pairs of models that the first lines name: those that differ most.
MOST_NAMED = 3


def document(
    request: Request, result: Mapping[str, Any], answers: Sequence[Answer], folder: Path
) -> Document:
    """Return the page; ``result`` is what `pesbench.check.unlabelled.as_json` kept."""
    formula = formula_markdown(request.formula)
    pairs = pd.DataFrame(result["pairs"])
    sections = [
        Section(
            "next", "How to go on", NEXT, folds=[Fold("commands", "Commands", commands(request), open=True)]
        ),
        Section(
            "to-label",
            "States that are worth a label",
            "Chosen without DFT. All of them are in to_label/to_label.extxyz.",
            tables=[number_table("choices", "In this order", pd.DataFrame(result["to_label"]))],
            items=result["refused"],
        ),
        *_compared(pairs, answers, folder),
        *_neighbours(result["neighbours"]),
        Section("caveats", "What not to trust", items=_caveats(request, result)),
        provenance(request, FILES),
    ]
    return Document(
        f"How far can you trust a model on {formula}?", lead(request, result, formula), tuple(sections)
    )


def lead(request: Request, result: Mapping[str, Any], formula: str) -> tuple[str, ...]:
    """Return the first lines: that softness is not known, and what is."""
    lines = [
        f"Nobody can say yet how soft a model is on {formula}: softness is a slope of forces against DFT's, and no "
        f"DFT label was given. Label {len(result['to_label'])} states (first {result['to_label'][0]['frame']})"
        f"{', with VASP' if needs_hubbard(request.elements) else ', or let GPAW do it'}: see How to go on."
    ]
    pairs = result["pairs"]
    if not pairs:
        return (
            *lines,
            "One model was asked, so there is not even a disagreement to tell: MODEL=installed asks all.",
        )
    told = "; ".join(
        f"{p['model']}'s forces are {p['slope']:.2f} times {p['against']}'s (correlation {p['correlation']:.3f})"
        for p in sorted(pairs, key=lambda pair: -abs(pair["slope"] - 1))[:MOST_NAMED]
    )
    agree = f"What the models say of each other, on {result['n_frames']} rattled and hot states: {told}."
    return (*lines, agree, "Models that agree can be soft together: most were trained on the same data.")


NEXT = (
    "Label the chosen states in one of these ways, then have them checked. GPAW takes 10 s to some minutes for each "
    "state of 8 atoms; the first command builds its environment. VASP's potentials are named in POTCAR.spec."
)


def commands(request: Request) -> str:
    """Return what to type next."""
    folder = Path("results/check", request.name, "to_label").absolute()
    structure, models = request.structure, ",".join(request.models)
    quoted = f"'{structure}'" if " " in structure else structure
    again = f"make check STRUCTURE={quoted} MODEL={models}"
    gpaw = (
        f"# GPAW labels every sampled state, here:\n{again} DFT=gpaw\n\n"
        f"# GPAW elsewhere, the chosen states alone:\n(cd {folder} && python label_with_gpaw.py)\n"
        f"{again} \\\n    LABELS={folder}/labelled.extxyz\n\n"
    )
    return (
        f"cd {Path().absolute()}\n\n{'' if needs_hubbard(request.elements) else gpaw}"
        f"# VASP: a deck for each chosen state; every vasprun.xml below is read:\nls {folder}/vasp\n"
        f"{again} \\\n    LABELS={folder}/vasp\n"
    )


def _compared(pairs: pd.DataFrame, answers: Sequence[Answer], folder: Path) -> list[Section]:
    if not len(pairs):
        return []
    figure = drawn(folder, "models", models_figure(answers), MODELS)
    table = number_table("pairs", "Slope of one model's forces against another's", pairs)
    return [Section("models", "What the models say of each other", MEANING, figures=[figure], tables=[table])]


FILES = (
    "Beside this page: check.json (all of it as data), report.md, unlabelled/models.csv, answers/<model>/files (every "
    "force of every model), frames/none.extxyz (every sampled state), to_label. Every model gave its pinned numbers "
    "(conformance) in its environment before it answered."
)
MODELS = "Force components of each model against the mean of all models, on the sampled states."
MEANING = (
    "A slope between two models says which is the softer one, not which is right. Where they disagree by more than "
    "10 %, at least one of them is wrong there."
)


def models_figure(answers: Sequence[Answer]) -> Figure:
    """Draw every model's force components against the mean of all."""
    found = common(answers)
    mean = np.mean([p.forces_ev_per_ang.ravel() for p in found.values()], axis=0)
    end = 1.05 * float(max(np.abs(p.forces_ev_per_ang).max() for p in found.values()))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(FULL_WIDTH_IN / 2.2, FULL_WIDTH_IN / 2.4), layout="constrained")
        axis = figure.subplots()
        axis.plot([-end, end], [-end, end], color="black", linewidth=0.6)
        for model, p in found.items():
            axis.scatter(
                mean, p.forces_ev_per_ang.ravel(), s=3, color=MODEL_COLORS[model], label=model, linewidths=0
            )
        axis.set(xlim=(-end, end), ylim=(-end, end), aspect="equal")
        axis.set_xlabel("Mean force component of the models (eV/Å)")
        axis.set_ylabel("Force component of a model (eV/Å)")
        axis.legend(frameon=False)
    return figure


def _neighbours(lines: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Return measured slopes of the same elements elsewhere, where an earlier run left some."""
    if not lines:
        return []
    frame = pd.DataFrame(lines).rename(columns={"group": "element", "set": "measured on"})
    table = number_table(
        "neighbours", "Slope by element on labelled sets that were run with pesbench (interval: 95 %)", frame
    )
    text = "A hint, no measurement of your material: softness differs between compounds of one element by 0.1 and more."
    return [Section("neighbours", "The same elements elsewhere", text, tables=[table])]


def _caveats(request: Request, result: Mapping[str, Any]) -> list[str]:
    told = [f"{model} finished nothing: {message}" for model, message in result["failed"].items()]
    if result["models"][1:]:
        told.append("Agreement is no proof: models trained on the same near-equilibrium data are soft alike.")
    if hubbard := needs_hubbard(request.elements):
        told.append(
            f"{', '.join(hubbard)} with O or F have a Hubbard U in the models' training data: GPAW's plain PBE is "
            "refused for them; label with VASP and the Materials Project's settings (the decks have them)."
        )
    drove = next((f["frame"] for f in result["frames"] if "rattled" not in f["frame"]), "")
    if drove:
        told.append(
            f"The hot states ({drove} and its like) are where a model's own dynamics went, soft or not."
        )
    return [*told, *caveats.material_told(request)]
