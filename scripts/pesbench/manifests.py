"""Which slab stands for which row of a published table of surface energies."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from pesbench.engine.slabs import Miller, generator, terminations

if TYPE_CHECKING:
    from pymatgen.core import Structure

COLUMNS = ("mp_id", "formula", "miller", "termination", "shift", "slab_atoms", "row")
Gammas = Mapping[tuple[str, Miller, str], float]


def surface_manifest(
    structures: Mapping[str, Structure],
    published: pd.DataFrame,
    column: str,
    gammas: Gammas,
    min_slab_ang: float,
    min_vacuum_ang: float,
) -> pd.DataFrame:
    """List every symmetric, stoichiometric termination at the published Miller indices, with the row it stands for.

    Parameters
    ----------
    structures
        Bulk crystals by material id, as in their structure files.
    published
        The transcribed table; ``column`` holds the published values (eV/angstrom^2) of the model that ``gammas`` is of.
    gammas
        Computed values by (material, Miller index, termination); one that is absent matches nothing.

    Returns
    -------
    pandas.DataFrame
        One line a termination (``COLUMNS``); ``row`` is empty where the paper has none for it.
    """
    lines = []
    for (material, miller_text), rows in published.groupby(["mp_id", "miller"], sort=False):
        bulk, miller = structures[str(material)], _miller(str(miller_text))
        cuts = terminations(bulk, miller, min_slab_ang, min_vacuum_ang)
        mine = [gammas.get((str(material), miller, cut.label), np.inf) for cut in cuts]
        if len(cuts) < len(rows):
            raise ValueError(f"{material} {miller}: {len(cuts)} terminations for {len(rows)} published rows")
        row_of = assign(mine, rows.set_index("row")[column].to_dict())
        slabs = generator(bulk, miller, min_slab_ang, min_vacuum_ang)
        for index, cut in enumerate(cuts):
            row = row_of.get(index)
            atoms = len(slabs.get_slab(shift=cut.shift))
            formula = rows["formula"].iloc[0]
            lines.append((material, formula, miller_text, cut.label, round(cut.shift, 6), atoms, row or ""))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def assign(computed: list[float], published: Mapping[int, float]) -> dict[int, int]:
    """Match computed values to published rows one to one, so that the summed relative differences are least.

    Returns
    -------
    dict
        Index into ``computed`` -> published row.
    """
    rows = list(published)
    cost = np.array([[min(abs(value / published[row] - 1.0), 1e6) for row in rows] for value in computed])
    chosen = zip(*linear_sum_assignment(cost), strict=True)
    return {int(index): rows[int(column)] for index, column in chosen}


def _miller(text: str) -> Miller:
    one, two, three = json.loads(text)
    return int(one), int(two), int(three)


def gammas_of(records: Iterable[dict[str, object]]) -> dict[tuple[str, Miller, str], float]:
    """Return the converged surface energies (eV/angstrom^2) of one model's records, for `surface_manifest`."""
    found = {}
    for record in records:
        values = record["values"]
        assert isinstance(values, dict)
        for surface in values.get("surfaces", []):
            if surface["status"] == "ok":
                key = (str(record["id"]), tuple(surface["miller"]), surface["termination"])
                found[key] = float(surface["gamma_ev_per_ang2"])
    return found
