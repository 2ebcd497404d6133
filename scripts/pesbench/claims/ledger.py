"""The ledger: what the papers claim, what their own tables give, and what our runs give."""

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from pesbench.claims.entries import LABELS, RELATIONS, Claim, expand, load_claims
from pesbench.claims.measures import MEASURES, Value, common_rows
from pesbench.errors import PesbenchError
from pesbench.files import write_atomic
from pesbench.published import PAPER_MODELS, PHONON_MODELS

__all__ = ["Claim", "ClaimResult", "evaluate", "format_ledger", "load_claims", "write_ledger"]

VERDICTS = ("reproduced", "not reproduced", "partial", "not run", "contradiction")
ORDER = ("contradiction", "not run", "reproduced", "partial", "not reproduced")
WIDTH = 110


@dataclass(frozen=True)
class Rebuilt:
    """A published table that we rebuild: our column of values and of DFT, and which model each of its columns is."""

    value: str
    dft: str
    models: Mapping[str, tuple[str, str]]

    @property
    def stems(self) -> dict[str, str]:
        """Our model -> stem of the published column."""
        return {model: stem for model, (stem, _) in self.models.items()}


REBUILT = {
    "deng2025_s1_surfaces": Rebuilt("gamma_ev_per_ang2", "dft_ev_per_ang2", PAPER_MODELS),
    "deng2025_s3_phonons": Rebuilt("max_freq_thz", "dft_published_thz", PHONON_MODELS),
}


@dataclass(frozen=True)
class ClaimResult:
    """A claim with its numbers; ``published_on_our_rows`` is the paper's table on the rows that we have."""

    id: str
    paper: str
    place: str
    claim: str
    kind: str
    unit: str
    models: tuple[str, ...]
    published: Value | None
    tolerance: float
    relation: str
    bound: float | None
    from_published_table: Value | None
    from_our_runs: Value | None
    published_on_our_rows: Value | None
    n_ours: int
    n_total: int
    verdict: str
    note: str


def long_frame(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of Deng's supplement with one row a model (``model, value, dft``), others as is."""
    reference = next((c for c in table.columns if c.startswith("dft_")), None)
    if reference is None:
        return table
    unit = reference.removeprefix("dft_")
    keys = [c for c in table.columns if not c.endswith(f"_{unit}")]
    base = table[keys].assign(dft=table[reference].astype(float))
    parts = [base.assign(model=stem, value=table[f"{stem}_{unit}"].astype(float)) for stem in LABELS]
    return pd.concat(parts, ignore_index=True)


def our_frame(name: str, ours: pd.DataFrame) -> pd.DataFrame:
    """Return the finished rows of one of our tidy tables as a long frame, models named as the paper does."""
    how = REBUILT[name]
    good = ours[(ours["status"] == "ok") & ours[how.value].notna()]
    twice = good[good.duplicated(["row", "model"])]
    if not twice.empty:
        first = twice.iloc[0]
        where = f"row {first['row']} of {first['model']}"
        raise PesbenchError(f"our table {name}: {where} stands twice; rebuild it")
    return good.assign(
        model=[how.stems.get(m, m) for m in good["model"]],
        value=good[how.value].astype(float),
        dft=good[how.dft].astype(float),
    )


def evaluate(
    claims: Sequence[Claim],
    published: Mapping[str, pd.DataFrame],
    ours: Mapping[str, pd.DataFrame] | None = None,
) -> list[ClaimResult]:
    """Check every claim, first against the paper's own table, then against our runs.

    Parameters
    ----------
    claims
        From `load_claims`.
    published
        The transcribed tables by stem (``deng2025_s1_surfaces`` ...).
    ours
        Our tidy tables by the same stems, as far as something has run. Only rows with status ``ok`` count.

    Returns
    -------
    list of ClaimResult
        Sorted by id; statements with ``extra`` appear once more for each other model of our table.

    Raises
    ------
    PesbenchError
        When a claim names a table that is not given.
    """
    ours = ours or {}
    runs = {name: our_frame(name, table) for name, table in ours.items()}
    others = {
        name: sorted({str(m) for m in t["model"]} - set(REBUILT[name].stems)) for name, t in ours.items()
    }
    frames = {name: long_frame(table) for name, table in published.items()}
    results = [
        _evaluate_one(one, frames, runs.get(claim.table))
        for claim in claims
        for one in expand(claim, others.get(claim.table, []))
    ]
    return sorted(results, key=lambda result: result.id)


def _evaluate_one(claim: Claim, frames: Mapping[str, pd.DataFrame], runs: pd.DataFrame | None) -> ClaimResult:
    theirs = mine = same = None
    n_ours = n_total = 0
    if claim.compute:
        if claim.table not in frames:
            raise PesbenchError(f"claim {claim.id}: no table {claim.table}; transcribe the papers first")
        frame = _select(frames[claim.table], claim.models)
        n_total = int(frames[claim.table]["row"].nunique()) if claim.models else 0
        own = _select(runs, claim.models) if claim.models and runs is not None else frame.head(0)
        if claim.models and runs is not None and set(own["model"]) == set(claim.models):
            own = common_rows(own)
            n_ours = int(own["row"].nunique())
        theirs = _measure(claim, frame)
        if n_ours:
            mine = _measure(claim, own)
            same = _measure(claim, frame[frame["row"].isin(own["row"])])
    return ClaimResult(
        **{k: v for k, v in vars(claim).items() if k not in ("table", "compute", "each", "extra")},
        from_published_table=theirs,
        from_our_runs=mine,
        published_on_our_rows=same,
        n_ours=n_ours,
        n_total=n_total,
        verdict=_judge(claim, theirs, mine, n_ours, n_total),
    )


def _select(frame: pd.DataFrame, models: tuple[str, ...]) -> pd.DataFrame:
    if not models:
        return frame
    return frame[frame["model"].isin(models) & frame["value"].notna()]


def _measure(claim: Claim, frame: pd.DataFrame) -> Value | None:
    if frame.empty:
        return None
    arguments = {key: value for key, value in claim.compute.items() if key != "function"}
    value = MEASURES[claim.compute["function"]](frame, **arguments)
    return round(value, 6) if isinstance(value, float) else value


def holds(claim: Claim, value: Value | None) -> bool:
    """Return whether a value meets what the paper prints or says."""
    if value is None:
        return False
    if claim.relation and claim.bound is not None:
        return bool(RELATIONS[claim.relation](value, claim.bound))
    if isinstance(value, str) or not isinstance(claim.published, int | float):
        return value == claim.published
    # The slack lets a value on the edge of the rounding interval pass in spite of binary fractions.
    return math.isclose(value, claim.published, rel_tol=0.0, abs_tol=claim.tolerance + 1e-9)


def _judge(claim: Claim, theirs: Value | None, mine: Value | None, n_ours: int, n_total: int) -> str:
    if claim.kind == "contradiction":
        return "reproduced" if holds(claim, theirs) else "contradiction"
    if theirs is not None and not holds(claim, theirs):
        return "not reproduced"
    if not claim.models:
        return "reproduced"
    if n_ours == 0:
        return "not run"
    if n_ours < n_total:
        return "partial"
    return "reproduced" if holds(claim, mine) else "not reproduced"


def write_ledger(results: Sequence[ClaimResult], json_path: Path) -> None:
    """Write the results as JSON, sorted by id; the same results give the same bytes."""
    rows = [asdict(result) for result in sorted(results, key=lambda result: result.id)]
    write_atomic(
        json_path, json.dumps(rows, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    )


def format_ledger(results: Sequence[ClaimResult]) -> str:
    """Return the ledger as aligned text of at most 110 columns; what our runs say comes last, next to the prompt."""
    rows = sorted(results, key=lambda result: (result.n_ours > 0, ORDER.index(result.verdict), result.id))
    head = ("verdict", "claim", "claimed", "its table", "our runs", "rows")
    lines = [_columns(head), "-" * WIDTH]
    for result in rows:
        asked = f"{result.relation} {_number(result.bound)}" if result.relation else _number(result.published)
        rows_told = f"{result.n_ours}/{result.n_total}" if result.n_total else ""
        values = (asked, _number(result.from_published_table), _number(result.from_our_runs), rows_told)
        lines.append(_columns((result.verdict, result.id, *values)))
        lines += textwrap.wrap(_told(result), WIDTH, initial_indent=" " * 15, subsequent_indent=" " * 15)
    counts = ", ".join(f"{sum(r.verdict == v for r in rows)} {v}" for v in VERDICTS)
    return "\n".join([*lines, "-" * WIDTH, counts]) + "\n"


def _columns(cells: tuple[str, ...]) -> str:
    verdict, name, printed, table, ours, rows = cells
    long = max(len(printed), len(table), len(ours)) > 11
    if not long:
        return f"{verdict:<14} {name:<48} {printed:>12} {table:>11} {ours:>11} {rows:>9}".rstrip()
    return (
        f"{verdict:<14} {name:<48} {'':>12} {'':>11} {'':>11} {rows:>9}\n"
        + " " * 15
        + (f"claimed: {printed}; its table: {table or '-'}; our runs: {ours or '-'}")
    )


def _number(value: Value | None) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _told(result: ClaimResult) -> str:
    text = f"{result.claim} ({result.place}" + (f"; {result.unit})." if result.unit else ").")
    if result.verdict == "partial" and result.published_on_our_rows is not None:
        text += f" The paper's table on the same rows: {_number(result.published_on_our_rows)}."
    return f"{text} {result.note}" if result.verdict == "contradiction" and result.note else text
