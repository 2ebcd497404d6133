"""MatterSim-MT, Table S4: errors of the largest phonon frequency and group velocity against PhononDB (PBEsol)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from pesbench import metrics
from pesbench.benchmarks.phonons.quantities import ABOUT, Quantity, not_run, published_number, score
from pesbench.published import MATTERSIM_MT_MODELS

if TYPE_CHECKING:
    from pesbench.records import Record

REFERENCE_LEVEL = "PBEsol"
PUBLISHED_PROTOCOL = "published: relaxed to 0.02 eV/A in at most 500 steps, displaced by 0.03 A"
# ASSUME: the paper does not say on which q-points; ours are those of the band path.
QPOINTS = "band path (the paper does not say which)"
VELOCITY_WARNING = (
    "published group velocities are off by more than sound is fast in most crystals: "
    "perhaps angstrom THz, of which 10 are 1 km/s"
)
QUANTITIES = (
    Quantity("path.max_frequency_thz", "max_frequency", "thz"),
    Quantity("path.max_group_velocity_km_per_s", "max_group_velocity", "km_per_s"),
)
PUBLISHED_COLUMNS = ("max_frequency_mae_thz", "max_group_velocity_mae_km_per_s")
COLUMNS = (
    *ABOUT,
    *(column for quantity in QUANTITIES for column in quantity.columns),
    *("qpoints", "protocol", "warning"),
)


def table(
    records: Mapping[str, list[Record]],
    references: Mapping[str, list[Record]],
    levels: Mapping[str, str],
    published: pd.DataFrame,
    seed: int,
) -> pd.DataFrame:
    """Score each model's largest frequency (THz) and group velocity (km/s) against the PBEsol databases.

    Parameters
    ----------
    records, references
        Records of each model and of each database; databases of another level are left out.
    levels
        Level of theory of each model and reference.
    published
        ``data/published/mattersim_mt_s4_phonons.csv``.

    Returns
    -------
    pandas.DataFrame
        ``COLUMNS``: one line a (model, reference, set), and one a published model that did not run.
    """
    pbesol = {name: found for name, found in references.items() if levels.get(name) == REFERENCE_LEVEL}
    lines = [line for line, _ in score(records, pbesol, levels, QUANTITIES, seed) if line["model"] in records]
    lines += [not_run(model, levels) for model in MATTERSIM_MT_MODELS if model not in records]
    for line in lines:
        name = MATTERSIM_MT_MODELS.get(line["model"], "")
        differ = metrics.level_warning(line["level_of_theory"], line["reference_level_of_theory"])
        ours = _protocol(records.get(line["model"], []))
        line |= {
            "published_as": name,
            "qpoints": QPOINTS,
            "protocol": f"{ours}; {PUBLISHED_PROTOCOL}",
            "warning": "; ".join(part for part in (differ, VELOCITY_WARNING if name else "") if part),
        }
        for quantity, column in zip(QUANTITIES, PUBLISHED_COLUMNS, strict=True):
            line[quantity.published] = published_number(published, name, column)
    return metrics.whole_counts(pd.DataFrame(lines, columns=list(COLUMNS)))


def _protocol(records: list[Record]) -> str:
    """Return the largest force that a relaxation was left with, and the displacements."""
    finished = [record.values for record in records if record.status == "ok"]
    if not finished:
        return "ours: nothing finished"
    fmax = max(metrics.lookup(values, "relaxation.fmax_ev_per_ang") for values in finished)
    told = ", ".join(
        f"{length:g}"
        for length in sorted({round(metrics.lookup(v, "displacement_ang"), 6) for v in finished})
    )
    return f"ours: forces at most {fmax:.1g} eV/A, displaced by {told} A"
