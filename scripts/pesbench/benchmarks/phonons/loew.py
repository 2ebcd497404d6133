"""Loew et al. (2024), Tables I to IV: relaxation, frequencies and thermodynamics, stability, the models themselves.

Against PBE the papers' numbers stand beside ours; against PBEsol, the level of PhononDB, they may not be compared, and
every such line says so. A database is scored as a model as well: PBEsol against PBE is the yardstick of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from pesbench import metrics
from pesbench.benchmarks.phonons import stability
from pesbench.benchmarks.phonons.quantities import ABOUT, Quantity, not_run, published_number, score
from pesbench.published import LOEW_MODELS

if TYPE_CHECKING:
    from pesbench.models.registry import ModelEntry
    from pesbench.records import Record

YARDSTICK = "PBEsol"
PUBLISHED_LEVEL = "PBE"
TEMPERATURE_KELVIN = 300.0
#: Why an energy may not be compared although the functionals agree.
ENERGY_WARNINGS = {
    "chgnet-0.3.0": "its energies are with the MP2020 corrections, the reference's are not",
}
#: Loew's scripts take phonopy's default mesh for the thermodynamics although the text says 20x20x20.
MESH_WARNING = "published: phonopy's default mesh (length 100)"
RELAXATION = (
    Quantity("energy_ev_per_atom", "energy", "mev_per_atom", 1000.0),
    Quantity("volume_ang3_per_atom", "volume", "ang3_per_atom"),
)
PHONONS = (
    Quantity("commensurate.max_frequency_thz", "max_frequency", "kelvin", stability.KELVIN_PER_THZ),
    Quantity("mesh.entropy_j_per_k_mol", "entropy", "j_per_k_mol"),
    Quantity("mesh.free_energy_kj_per_mol", "free_energy", "kj_per_mol"),
    Quantity("mesh.heat_capacity_j_per_k_mol", "heat_capacity", "j_per_k_mol"),
)
T1_COLUMNS = (
    *ABOUT,
    *("failed_percent", "failed_published_percent"),
    *(column for quantity in RELAXATION for column in quantity.columns),
    "warning",
)
T2_COLUMNS = (*ABOUT, *(column for quantity in PHONONS for column in quantity.columns), "warning")
T3_COLUMNS = (
    *ABOUT,
    *("n_reference_stable", "n_reference_unstable", *(f"n_{name}" for name in stability.COUNTS)),
    *(f"{name}_percent" for name in stability.COUNTS),
    *("true_stable_low_percent", "true_stable_high_percent"),
    *("true_unstable_low_percent", "true_unstable_high_percent"),
    *(f"{name}_published_percent" for name in stability.COUNTS),
    *("unfinished_counts_as", "warning"),
)
T4_COLUMNS = (
    *("model", "published_as", "n_training", "n_training_published", "dataset", "dataset_published"),
    *("n_parameters", "n_parameters_published"),
)


def relaxation_table(
    records: Mapping[str, list[Record]],
    references: Mapping[str, list[Record]],
    levels: Mapping[str, str],
    published: pd.DataFrame,
    seed: int,
) -> pd.DataFrame:
    """Table I: share of failed relaxations (%), errors of energy (meV/atom) and volume (angstrom^3/atom).

    Parameters
    ----------
    records, references
        Records of each model and of each database.
    levels
        Level of theory of each model and reference.
    published
        ``data/published/loew2024_t1_relaxation.csv``.

    Returns
    -------
    pandas.DataFrame
        ``T1_COLUMNS``: one line a (model or reference, reference, set), published models that did not run among them.
    """
    lines = []
    for line, rows in score(records, references, levels, RELAXATION, seed):
        run = rows[rows["status"] != "not_run"]
        failed = 100.0 * float((run["status"] != "ok").mean()) if len(run) else math.nan
        lines.append(line | {"failed_percent": failed})
    lines += _not_run({*records, *references}, references, levels)
    for line in lines:
        name = line["published_as"] = published_name(line["model"], levels, line["reference"])
        line["failed_published_percent"] = published_number(published, name, "failed_percent")
        line["warning"] = _warning(line, ENERGY_WARNINGS.get(line["model"], ""))
        _add_published(line, published, RELAXATION)
    return metrics.whole_counts(pd.DataFrame(lines, columns=list(T1_COLUMNS)))


def phonon_table(
    records: Mapping[str, list[Record]],
    references: Mapping[str, list[Record]],
    levels: Mapping[str, str],
    published: pd.DataFrame,
    seed: int,
) -> pd.DataFrame:
    """Table II: errors of the largest commensurate frequency (K) and of S, F and C_V at 300 K, per primitive cell.

    Arguments as in `relaxation_table`, ``published`` being ``data/published/loew2024_t2_phonons.csv``.

    Returns
    -------
    pandas.DataFrame
        ``T2_COLUMNS``.
    """
    lines = [line for line, _ in score(records, references, levels, PHONONS, seed)]
    lines += _not_run({*records, *references}, references, levels)
    for line in lines:
        line["published_as"] = published_name(line["model"], levels, line["reference"])
        line["warning"] = _warning(line, _mesh_warning(records.get(line["model"], [])))
        _add_published(line, published, PHONONS)
    return metrics.whole_counts(pd.DataFrame(lines, columns=list(T2_COLUMNS)))


def _mesh_warning(records: list[Record]) -> str:
    """Say what differs in the thermodynamics: the mesh, and the temperature where it is not the paper's."""
    found = {metrics.lookup(r.values, "mesh.temperature_kelvin") for r in records if r.status == "ok"}
    other = sorted(t for t in found if t != TEMPERATURE_KELVIN)
    return "; ".join([MESH_WARNING, *(f"ours at {t:g} K, published at 300 K" for t in other)])


def stability_table(
    counted: pd.DataFrame, levels: Mapping[str, str], published: pd.DataFrame
) -> pd.DataFrame:
    """Table III: the confusion matrix of dynamical stability under the paper's stated definition.

    Parameters
    ----------
    counted
        From `stability.table`.
    published
        ``data/published/loew2024_t3_stability.csv``.

    Returns
    -------
    pandas.DataFrame
        ``T3_COLUMNS``.
    """
    ours = counted[counted["definition"] == "loew_text"]
    lines = ours.to_dict("records")
    lines += _not_run(set(ours["model"]), {*ours["reference"]} - {""}, levels)
    for line in lines:
        name = line["published_as"] = published_name(line["model"], levels, line["reference"])
        line["warning"] = _warning(line, "")
        for column in (f"{count}_percent" for count in stability.COUNTS):
            line[column.replace("_percent", "_published_percent")] = published_number(published, name, column)
    return metrics.whole_counts(pd.DataFrame(lines, columns=list(T3_COLUMNS)))


def models_table(entries: Mapping[str, ModelEntry], published: pd.DataFrame) -> pd.DataFrame:
    """Table IV: training sets and numbers of parameters, the registry's beside the published.

    Parameters
    ----------
    entries
        The registry's entries of the models to list; those of the paper are listed in any case.
    published
        ``data/published/loew2024_t4_models.csv``.

    Returns
    -------
    pandas.DataFrame
        ``T4_COLUMNS``.
    """
    theirs = published.set_index("model")
    lines = []
    for model in sorted({*entries, *LOEW_MODELS}):
        name, entry = LOEW_MODELS.get(model, ""), entries.get(model)
        line: dict[str, Any] = {"model": model, "published_as": name}
        if entry:
            line |= {"n_training": entry.training_structures, "dataset": entry.training_data}
            line["n_parameters"] = entry.parameters
        if name in theirs.index:
            line |= {f"{key}_published": value for key, value in theirs.loc[name].items()}
        lines.append(line)
    return metrics.whole_counts(pd.DataFrame(lines, columns=list(T4_COLUMNS)))


def published_name(model: str, levels: Mapping[str, str], reference: str) -> str:
    """Return what the paper calls a model; a PBEsol database scored against PBE is its row PBEsol."""
    if model == YARDSTICK:
        return YARDSTICK
    yardstick = levels.get(model) == YARDSTICK and levels.get(reference) == PUBLISHED_LEVEL
    return YARDSTICK if yardstick else LOEW_MODELS.get(model, "")


def _not_run(present: set[str], references: Iterable[str], levels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a line for each row of the paper that nothing of ours stands for."""
    both = {levels.get(name) for name in references} >= {YARDSTICK, PUBLISHED_LEVEL}
    names = [*(model for model in LOEW_MODELS if model not in present), *([] if both else [YARDSTICK])]
    return [not_run(name, levels) for name in names]


def _add_published(line: dict[str, Any], published: pd.DataFrame, quantities: tuple[Quantity, ...]) -> None:
    for quantity in quantities:
        column = f"mae_{quantity.stem}_{quantity.unit}"
        line[quantity.published] = published_number(published, line["published_as"], column)


def _warning(line: Mapping[str, Any], more: str) -> str:
    """Return what stands against comparing: levels of theory that differ, from the reference's or from the paper's."""
    level, reference = line["level_of_theory"], line["reference_level_of_theory"]
    parts = [metrics.level_warning(level, reference)]
    if line["published_as"] and reference not in ("", PUBLISHED_LEVEL):
        parts.append(f"published against {PUBLISHED_LEVEL}, ours against {reference}: do not compare")
    return "; ".join(part for part in (*parts, more) if part)
