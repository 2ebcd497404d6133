"""The report's section on how far a run is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pesbench.records import Record
from pesbench.report.parts import Cell, Section, dict_table, number_cell, status_cell
from pesbench.status import Standing, hours, standing


def standings_of(records: Iterable[Record]) -> list[Standing]:
    """Return the standings of a finished run, from its records alone."""
    own: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        own.setdefault((record.benchmark, record.model), []).append(record)
    return [standing(*key, found, {r.id: 1.0 for r in found}) for key, found in sorted(own.items())]


def standing_section(standings: Sequence[Standing]) -> Section:
    """Return how far each benchmark and model is, and what went wrong most often."""
    rows = [
        {
            "Benchmark": Cell(one.benchmark),
            "Model": Cell(one.model),
            "Done": Cell(f"{one.done}/{one.wanted}", one.done / one.wanted if one.wanted else 1.0),
            "Ok": number_cell(one.ok),
            "Not converged": number_cell(one.not_converged),
            "Failed": number_cell(one.failed),
            "Jobs at work": number_cell(one.running),
            "Materials an hour": number_cell(one.per_hour, 0),
            "Left": Cell(hours(one.eta_seconds), one.eta_seconds),
        }
        for one in standings
    ]
    worst = [
        {
            "Model": Cell(trouble.model),
            "Benchmark": Cell(one.benchmark),
            "Status": status_cell(trouble.status),
            "Materials": number_cell(len(trouble.materials)),
            "Reason": Cell(trouble.reason),
            "For example": Cell(", ".join(trouble.materials[:3])),
        }
        for one in standings
        for trouble in one.troubles
    ]
    intro = "Rate and time left: of the jobs that are at work, or of one job where none is."
    tables = [dict_table("standing-models", "How far", rows)]
    tables += [dict_table("standing-troubles", "What went wrong, most often first", worst)] if worst else []
    return Section("standing", "Status", intro if rows else "Nothing has run yet.", tables=tables)
