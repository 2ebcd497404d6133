"""The page of a check with labels: the verdict first, then what to do, what not to trust, and the evidence."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pesbench.check import plots
from pesbench.check.document import Document, drawn
from pesbench.check.request import Request
from pesbench.check.score import Answer
from pesbench.check.verdict import Advice, Interval, Verdict
from pesbench.high_energy_plots import parity_figure
from pesbench.report.parts import (
    Cell,
    Fold,
    Section,
    Table,
    column_title,
    dict_table,
    frame_table,
    number_cell,
)
from pesbench.typeset import formula_markdown

LOOKS = {"soft": ("fair", "↓"), "fine": ("good", "✓"), "stiff": ("fair", "↑"), "cannot say": ("muted", "?")}
HELPS = {
    "helps": ("good", "✓"),
    "hardly": ("muted", "≈"),
    "does not help": ("bad", "✗"),
    "cannot say": ("muted", "?"),
}
#: Models beside each other in a figure.
ABREAST = 3
SHOWN = (
    "model",
    "n_frames",
    "n_components",
    "slope",
    "slope_low",
    "slope_high",
    "robust_slope",
    "correlation",
)
CURVE = {
    "model": "model",
    "choice": "choice",
    "n_labels": "labels",
    "force_mae_before_ev_per_ang": "MAE before (eV/Å)",
    "force_mae_after_ev_per_ang": "after",
    "force_mae_after_low_ev_per_ang": "after, 2.5 %",
    "force_mae_after_high_ev_per_ang": "after, 97.5 %",
    "share_better": "share of draws that help",
    "c": "c",
}


def verdict_of(raw: Mapping[str, Any]) -> Verdict:
    """Return a verdict as it was kept in JSON."""
    advice = raw["advice"]
    given: dict[str, Any] = {key: math.nan if value is None else value for key, value in raw.items()}
    given["slope"] = _interval(raw["slope"])
    given["uneven"] = tuple((group, slope) for group, slope in raw["uneven"])
    typical = math.nan if advice["one_typical"] is None else advice["one_typical"]
    given["advice"] = Advice(**{**advice, "ratio": _interval(advice["ratio"]), "one_typical": typical})
    return Verdict(**given)


def _interval(raw: Mapping[str, float | None]) -> Interval:
    return Interval(
        *(math.nan if raw[key] is None else float(raw[key] or 0.0) for key in ("value", "low", "high"))
    )


def sentence(verdict: Verdict, formula: str) -> str:
    """Return the verdict on one model as a sentence, and what follows from it."""
    slope = verdict.slope
    if verdict.word == "cannot say":
        measured = "" if math.isnan(slope.value) else f" Slope so far: {slope.words()}."
        return f"{verdict.model}: cannot say. {_capital(verdict.reason)}.{measured}"
    states = {"soft": "SOFT", "fine": "FINE", "stiff": "STIFF"}[verdict.word]
    told = f"{verdict.model} is {states} on {formula}: its forces are {slope.words()} times DFT's"
    told += f" (95 % interval), off by {verdict.mae_ev_per_ang:.3f} eV/Å on average."
    if verdict.uneven and verdict.advice.word != "does not help":
        (small, low), (large, high) = verdict.uneven
        told += f" Not evenly: slope {low:.2f} at {small} eV/Å, {high:.2f} at {large} eV/Å."
    return f"{told} {advice_sentence(verdict.advice)}"


def advice_sentence(advice: Advice) -> str:
    """Return what to do, in a sentence."""
    if advice.word == "helps":
        many = {0: "all of your labels, fewer not being enough for sure", 1: "1 label"}.get(
            advice.n_labels, f"{advice.n_labels} random labels"
        )
        single = "" if advice.n_labels == 1 else _single(advice)
        return f"One number mends it in part; it needs {many}: {advice.reason}.{single}"
    if advice.word == "hardly":
        return f"A correction is {advice.reason}.{_single(advice)}"
    if advice.word == "does not help":
        return f"A correction does not help: {advice.reason}."
    return f"Whether a correction helps cannot be said: {advice.reason}."


def _single(advice: Advice) -> str:
    """Return what the one label that a model would choose by itself comes to."""
    if math.isnan(advice.one_typical):
        return ""
    return f" One label of typical forces, chosen by the model alone, gives {advice.one_typical:.2f}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def document(
    request: Request,
    result: Mapping[str, Any],
    tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
    answers: Sequence[Answer],
    proofs: Mapping[str, Mapping[str, Any]],
    pythons: Mapping[str, str],
    folder: Path,
) -> Document:
    """Return the page.

    Parameters
    ----------
    result
        As `pesbench.check.score.as_json` kept it.
    tables
        Softening scales, corrections by number of labels, doubtful labels.
    proofs
        By model, what its three lines gave when they were run.
    pythons
        By model, the interpreter of its environment.
    folder
        For the figures.
    """
    verdicts = [verdict_of(raw) for raw in result["verdicts"]]
    formula = formula_markdown(request.formula)
    lead = (f"{_capital(result['states'])}.", *(sentence(verdict, formula) for verdict in verdicts))
    sections = (
        Section("verdict", "Verdict", VERDICT, tables=[verdict_table(verdicts)]),
        use_section(verdicts, result["corrections"], proofs, pythons),
        Section("caveats", "What not to trust", items=result["caveats"]),
        *evidence(request, tables, answers, folder),
        provenance(request),
    )
    return Document(f"How far can you trust a model on {formula}?", lead, sections)


VERDICT = (
    "Soft: the slope of the model's force components against DFT's, through the origin, is below 1 for sure and by "
    "more than 5 %. Stiff: above. Fine: within 5 %, the interval within 10 %. Intervals: bootstrap over frames, made "
    "wider where frames are few (Student's t). Correction: forces times one number, judged on frames that the number "
    "was not fitted on."
)


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """Return one row a model."""
    rows = []
    for v in verdicts:
        tone, mark = LOOKS[v.word]
        helps, sign = HELPS[v.advice.word]
        rows.append(
            {
                "Model": Cell(v.model),
                "Verdict": Cell(f"{mark} {v.word}", tone=tone),
                "Slope": number_cell(v.slope.value, 3),
                "95 % interval": Cell(_range(v.slope)),
                "MAE (eV/Å)": number_cell(v.mae_ev_per_ang, 3),
                "Correlation": number_cell(v.correlation, 3),
                "Frames": Cell(str(v.n_frames), float(v.n_frames)),
                "Force components": Cell(str(v.n_components), float(v.n_components)),
                "Correction": Cell(f"{sign} {v.advice.word}", tone=helps),
                "Error after / before": Cell(
                    v.advice.ratio.words() if math.isfinite(v.advice.ratio.value) else ""
                ),
                "Labels needed": Cell(str(v.advice.n_labels or ""), float(v.advice.n_labels) or None),
            }
        )
    return dict_table("verdicts", "Every model", rows)


def _range(value: Interval) -> str:
    return "" if math.isnan(value.low) else f"{value.low:.3f} to {value.high:.3f}"


def use_section(
    verdicts: Sequence[Verdict],
    corrections: Mapping[str, str],
    proofs: Mapping[str, Mapping[str, Any]],
    pythons: Mapping[str, str],
) -> Section:
    """Return what to do with each model, and the lines that load its correction."""
    folds = []
    for v in verdicts:
        if v.model not in corrections or not proofs.get(v.model, {}).get("ran"):
            continue
        lines = Path(corrections[v.model]).with_suffix(".py").read_text(encoding="utf-8")
        proof = proofs[v.model]
        title = (
            f"{v.model}, corrected: forces and stress times {proof['c']:.3f} (run with {pythons[v.model]})"
        )
        folds.append(Fold(f"use-{v.model}", title, lines, open=True))
    items = [f"{v.model}: {advice_sentence(v.advice)}" for v in verdicts]
    intro = (
        "These lines were run as they stand, on your structure, before this page was written; atoms is your ASE Atoms "
        "object. The file holds c with its interval. In an environment of your own: "
        "pesbench.correction.load(file).wrap(calculator)."
    )
    return Section("use", "What to do", intro if folds else "", items=items, folds=folds)


def evidence(
    request: Request,
    tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
    answers: Sequence[Answer],
    folder: Path,
) -> list[Section]:
    """Return the sections with figures and tables."""
    softening, curve, doubtful = tables
    finished = {a.model: a.predictions for a in answers if a.predictions is not None}
    parity = [
        drawn(
            folder,
            f"parity{first // ABREAST + 1}",
            parity_figure({request.name: some}, [request.name]),
            PARITY,
        )
        for first in range(0, len(finished), ABREAST)
        for some in [dict(list(finished.items())[first : first + ABREAST])]
    ]
    forces = drawn(folder, "slope_by_force", plots.force_figure(softening), FORCES)
    shown = plots.ranges(softening)[["group", *SHOWN]].rename(columns={"group": "DFT force (eV/Å)"})
    elements = softening[softening["grouping"] == "element"][["group", *SHOWN]].rename(
        columns={"group": "element"}
    )
    sections = [
        Section("parity", "Forces: model against DFT", figures=parity),
        Section(
            "forces",
            "Slope by size of force, and by element",
            "A single number mends a model only where this line is flat.",
            figures=[forces],
            tables=[
                number_table("by-force", "By size of the DFT force on the atom", shown),
                number_table("by-element", "By element", elements),
            ],
        ),
    ]
    if len(curve):
        own = curve[(curve["method"] == "least_squares") & (curve["choice"] != "largest_forces")]
        figure = drawn(folder, "error_by_labels", plots.curve_figure(curve), CURVES)
        table = number_table(
            "by-labels", "Force error on held-out frames", own[list(CURVE)].rename(columns=CURVE)
        )
        sections.append(
            Section("labels", "How many labels a correction needs", figures=[figure], tables=[table])
        )
    if len(doubtful):
        table = frame_table("doubtful", "Labels that look wrong", doubtful)
        sections.append(Section("doubtful", "Doubtful labels", tables=[table]))
    return sections


def number_table(id: str, caption: str, frame: pd.DataFrame) -> Table:
    """Return a frame as a table with three decimals; counts have none."""
    rows = [
        {column_title(str(name)): number_cell(value, 3) for name, value in line.items()}
        for line in frame.astype(object).to_dict("records")
    ]
    return dict_table(id, caption, rows)


PARITY = (
    "Every force component of every frame, model against DFT; solid: equal, dashed: the fitted slope. "
    "cMAE: the error left after the slope is brought to 1."
)
FORCES = (
    "Slope of the model's forces in ranges of the size of the DFT force on the atom, with 95 % intervals."
)
CURVES = (
    "Error of forces on frames left out, after a correction from n labels. Solid: labels drawn at random, median "
    "(band: 95 % of the draws). Dotted: the n frames whose forces, told by the model alone, are the typical ones."
)


FILES = (
    "Beside this page: check.json (all of it as data), report.md, score/softening.csv, score/correction.csv, "
    "score/doubtful_labels.csv, answers/<model>/files (every force of every model), corrected/<model>.json. Every "
    "model gave its pinned numbers (conformance) in its environment before it answered."
)


def provenance(request: Request, files: str = FILES) -> Section:
    """Return what the page rests on."""
    folds = [
        Fold("request", "What was asked, and SHA-256 of the files", json.dumps(request.__dict__, indent=1))
    ]
    return Section("provenance", "Where the numbers come from", files, folds=folds)
