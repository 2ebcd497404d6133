"""The entries of ``data/claims.yaml``: what the papers say, in our words, and how it is checked."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from pesbench.claims.measures import MEASURES, Value
from pesbench.errors import PesbenchError
from pesbench.published import PAPER_MODELS

KINDS = ("number", "order", "count", "contradiction")
RELATIONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
LABELS = dict(PAPER_MODELS.values())


@dataclass(frozen=True)
class Claim:
    """One statement of a paper and how it is checked.

    Attributes
    ----------
    claim
        Our wording.
    published, tolerance
        The printed number (or text) and half its last printed digit.
    relation, bound
        Instead of a printed number: what the statement asks of the measured one, such as ``<`` 0.
    table, compute
        Stem in ``data/published``, and a function of `claim_measures` with its arguments; without a
        function the entry is a contradiction between two places of the text.
    models
        Columns of the paper that enter; empty when the statement is about the table alone.
    each, extra
        Whether it is one claim a model (``{model}`` in the wording), and whether the statement is also
        tried on models that the paper did not run.
    """

    id: str
    paper: str
    place: str
    claim: str
    kind: str
    unit: str = ""
    published: Value | dict[str, Value] | None = None
    tolerance: float = 0.0
    relation: str = ""
    bound: float | None = None
    table: str = ""
    compute: dict[str, Any] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    each: bool = False
    extra: bool = False
    note: str = ""


def load_claims(path: Path) -> list[Claim]:
    """Read ``data/claims.yaml``.

    Raises
    ------
    PesbenchError
        For an unknown or missing key, kind, relation, function or model, and for an id that stands twice.
    """
    claims: list[Claim] = []
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
        name = entry.get("id", "an entry without id")
        try:
            claim = Claim(**{**entry, "models": tuple(entry.get("models", ()))})
        except TypeError as error:
            raise PesbenchError(f"{path}: {name}: {str(error).split('__init__() ')[-1]}") from error
        _check(claim, path)
        if any(claim.id == other.id for other in claims):
            raise PesbenchError(f"{path}: the id {claim.id} stands twice; give every claim its own")
        claims.append(claim)
    return claims


def _check(claim: Claim, path: Path) -> None:
    function, printed = claim.compute.get("function", ""), claim.published
    by_model = isinstance(printed, dict)
    other_models = isinstance(printed, dict) and set(printed) != set(claim.models)
    wrong = [
        (claim.kind not in KINDS, f"kind {claim.kind!r} is none of {', '.join(KINDS)}"),
        (bool(claim.relation) and claim.relation not in RELATIONS, f"relation {claim.relation!r} is unknown"),
        (bool(claim.relation) != (claim.bound is not None), "relation and bound go together"),
        (by_model != claim.each and not claim.relation, "each needs one number a model"),
        (other_models, f"published must name exactly the models {', '.join(claim.models)}"),
        (function not in ("", *MEASURES), f"no function {function!r} in claim_measures.py"),
        (not function and claim.kind != "contradiction", "only a contradiction may have no compute"),
        (bool(function) != bool(claim.table), "compute and table go together"),
        (not set(claim.models) <= set(LABELS), f"models must be among {', '.join(LABELS)}"),
        (claim.extra and not claim.relation, "extra needs a relation: other models have no published number"),
        (function != "" and printed is None and not claim.relation, "published or relation is missing"),
    ]
    for is_wrong, message in wrong:
        if is_wrong:
            raise PesbenchError(f"{path}: {claim.id}: {message}")


def expand(claim: Claim, others: Sequence[str] = ()) -> list[Claim]:
    """Return one claim a model where the entry says ``each``; ``extra`` adds one for each other model."""
    if not claim.each:
        return [claim]
    printed = claim.published if isinstance(claim.published, dict) else {}
    return [
        replace(
            claim,
            id=f"{claim.id}.{model}",
            claim=claim.claim.format(model=LABELS.get(model, model)),
            published=printed.get(model),
            models=(model,),
        )
        for model in (*claim.models, *(others if claim.extra else ()))
    ]
