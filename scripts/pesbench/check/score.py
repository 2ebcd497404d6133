"""Everything that a check of labelled frames comes to: verdicts, corrections to load, what not to trust."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pesbench.check import caveats
from pesbench.check.request import Request
from pesbench.check.verdict import FORBID, Verdict, judge
from pesbench.correction import CorrectionError, fit
from pesbench.engine.predictions import Predictions, read_predictions
from pesbench.errors import PesbenchError
from pesbench.files import write_atomic
from pesbench.labels import Finding, check_labels
from pesbench.naming import check_file, kept_file
from pesbench.records import read_records

if TYPE_CHECKING:
    from pesbench.models.registry import ModelEntry

SNIPPET = """import sys; sys.path.insert(0, "{scripts}")
from pesbench.corrected import calculator
atoms.calc = calculator("{path}")
"""


@dataclass(frozen=True)
class Answer:
    """What one model's job left: predictions, or why there are none."""

    model: str
    predictions: Predictions | None
    message: str


@dataclass(frozen=True)
class Result:
    """A scored check, as it is kept in JSON.

    Attributes
    ----------
    corrections
        File of the saved correction, by model; only of those that help, or could not be judged.
    states
        In words: what the frames are.
    """

    verdicts: tuple[Verdict, ...]
    corrections: Mapping[str, str]
    states: str
    level_of_theory: str
    caveats: tuple[str, ...]


def read_answer(model: str, records: Path) -> Answer:
    """Return what one model gave."""
    [record] = read_records(records)
    if record.status != "ok":
        return Answer(model, None, record.message)
    [name] = record.files
    return Answer(model, read_predictions(Path(kept_file(str(records), name))), "")


def score(
    request: Request,
    answers: Sequence[Answer],
    tables: tuple[pd.DataFrame, pd.DataFrame],
    entries: Mapping[str, ModelEntry],
    volumes: np.ndarray,
    notes: Sequence[str],
    seed: int,
) -> tuple[Result, list[Finding]]:
    """Judge every model on the labels.

    Parameters
    ----------
    tables
        Softening scales, and corrections against their number of labels.
    volumes
        Of the labelled frames, in cubic angstrom an atom.
    notes
        What the labelling left to say (frames without a label).

    Raises
    ------
    PesbenchError
        No model finished a single frame.
    """
    finished = {a.model: a.predictions for a in answers if a.predictions is not None}
    if not finished:
        raise PesbenchError(
            f"{request.name}: no model finished any frame; {answers[0].model}: {answers[0].message}"
        )
    findings = check_labels(finished)
    doubts = [f.evidence for f in findings if f.kind in FORBID and not f.frames]
    softening, curve = tables
    verdicts = tuple(
        judge(
            a.model,
            a.predictions,
            a.message,
            softening[softening["model"] == a.model],
            curve[curve["model"] == a.model],
            doubts,
            seed,
        )
        for a in answers
    )
    first = next(iter(finished.values()))
    level = str(first.levels[0])
    told = [
        *caveats.label_told(findings),
        *caveats.model_told({name: entries[name] for name in finished}, level),
        *filter(None, [caveats.hubbard_warning(request.elements, level, entries)]),
        *caveats.states_told(first, request, volumes),
        *notes,
        *(
            f"{v.model} did not finish {v.n_failed} frames; they are left out."
            for v in verdicts
            if v.n_failed
        ),
        *caveats.general_told(request),
    ]
    corrections = {
        v.model: check_file(request.name, "corrected", f"{v.model}.json")
        for v in verdicts
        if v.advice.word != "does not help" and v.model in finished and not doubts
    }
    return Result(verdicts, corrections, states_of(request, first), level, tuple(told)), findings


def states_of(request: Request, found: Predictions) -> str:
    """Return what the frames are, in words."""
    most = float(np.linalg.norm(found.forces_dft_ev_per_ang, axis=1).max())
    sizes = sorted({int(n) for n in found.n_atoms})
    atoms = f"{sizes[0]} atoms" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} atoms"
    given = "given by you" if request.mode == "labels" else "of rattled cells and hot dynamics"
    return f"{len(found.ids)} frames {given}, {atoms} each, {found.levels[0]}, forces up to {most:.1f} eV/Å"


def save_corrections(
    result: Result, answers: Sequence[Answer], request: Request, folder: Path, scripts: Path
) -> None:
    """Write each model's correction, fitted on all frames, and beside it the three lines that load it."""
    folder.mkdir(parents=True, exist_ok=True)
    for answer in answers:
        found = answer.predictions
        if found is None or answer.model not in result.corrections:
            continue
        own, dft = (found.split(part) for part in (found.forces_ev_per_ang, found.forces_dft_ev_per_ang))
        try:
            correction = fit(
                own, dft, model=answer.model, material=request.formula, level_of_theory=result.level_of_theory
            )
        except CorrectionError as error:
            raise PesbenchError(f"{request.name}, {answer.model}: {error}") from error
        path = (folder / f"{answer.model}.json").resolve()
        correction.save(path)
        write_atomic(path.with_suffix(".py"), SNIPPET.format(scripts=scripts, path=path))


def as_json(result: Result, request: Request) -> str:
    """Return the result with the request it answers, as JSON; numbers that do not exist are null."""
    data = {"request": asdict(request), **asdict(result)}
    return json.dumps(_null(data), indent=1) + "\n"


def _null(value: object) -> object:
    if isinstance(value, float) and not np.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _null(inner) for key, inner in value.items()}
    return [_null(inner) for inner in value] if isinstance(value, list | tuple) else value
