"""What a run of the phonon benchmark left behind, as figures and report read it: records, kept band structures."""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pesbench.published import PHONON_MODELS
from pesbench.records import Record, read_records
from pesbench.typeset import SUBSCRIPTS

BENCHMARK = "phonons"
#: What a database is called in print; its own forces go through the same code as the models.
DATABASES = {
    "phonondb-2018": "PhononDB",
    "mdr": "PhononDB at NIMS",
    "alexandria-pbe": "Alexandria",
    "alexandria-pbesol": "Alexandria",
}
KELVIN_PER_THZ = 47.99243073  # h / k_B, both exact in the SI
CRYSTAL_SYSTEMS = {
    "triclinic": 2,
    "monoclinic": 15,
    "orthorhombic": 74,
    "tetragonal": 142,
    "trigonal": 167,
    "hexagonal": 194,
    "cubic": 230,
}
GREEK = {"GAMMA": "Γ", "DELTA": "Δ", "SIGMA": "Σ", "LAMBDA": "Λ"}


@dataclass(frozen=True)
class Quantity:
    """A number of a record: where it lies in the values, what an axis calls it, and its factor to that unit."""

    path: tuple[str, ...]
    title: str
    unit: str
    factor: float = 1.0


VOLUME = Quantity(("volume_ang3_per_atom",), "volume", "Å$^3$/atom")
FREQUENCY = Quantity(
    ("commensurate", "max_frequency_thz"), "maximum frequency $\\omega_{max}$", "K", KELVIN_PER_THZ
)
THERMAL = (
    Quantity(("mesh", "entropy_j_per_k_mol"), "entropy $S$", "J/K/mol"),
    Quantity(("mesh", "free_energy_kj_per_mol"), "free energy $F$", "kJ/mol"),
    Quantity(("mesh", "heat_capacity_j_per_k_mol"), "heat capacity $C_V$", "J/K/mol"),
)


@dataclass(frozen=True)
class PhononRun:
    """What a run of the phonon benchmark left behind.

    Attributes
    ----------
    records
        By model or database, by material.
    databases
        Level of theory of each database that is run beside the models, by name.
    formulas
        By material, as far as known.
    folder
        ``results/phonons``: the kept files lie in ``<model>/files`` below it.
    """

    records: Mapping[str, Mapping[str, Record]]
    databases: Mapping[str, str] = field(default_factory=dict)
    formulas: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path("results/phonons")

    @property
    def models(self) -> list[str]:
        """Return the models of the run: the paper's first, then the others by name."""
        return models_in_order(name for name in self.records if name not in self.databases)

    def references(self, level: str) -> list[str]:
        """Return the databases that have a finished record, those of one level of theory first, else as given."""
        found = (d for d in self.databases if any(r.status == "ok" for r in self.records.get(d, {}).values()))
        return sorted(found, key=lambda d: self.databases[d] != level)

    @property
    def materials(self) -> list[str]:
        """Return every material that some model or database has a record of, in the order of their numbers."""
        found = {material for own in self.records.values() for material in own}
        return sorted(found, key=lambda m: [t.zfill(12) if t.isdigit() else t for t in re.split(r"(\d+)", m)])

    def formula(self, material: str) -> str:
        """Return the formula, or the material's id where no formula is known."""
        return self.formulas.get(material, material)

    def title(self, name: str) -> str:
        """Return what a model or a database is called in print."""
        if name in self.databases:
            return f"{DATABASES.get(name, name)} ({self.databases[name]})"
        return model_title(name)

    def bands(self, name: str, material: str) -> dict[str, Any] | None:
        """Return the kept band structure and density of states of a finished record, or None."""
        record = self.records.get(name, {}).get(material)
        path = self.folder / name / "files" / f"{material}.bands.json.xz"
        if record is None or record.status != "ok" or not path.exists():
            return None
        return json.loads(lzma.decompress(path.read_bytes()))


def read_run(
    paths: Iterable[Path], databases: Mapping[str, str], formulas: Mapping[str, str], folder: Path
) -> PhononRun:
    """Read the records of each model and database; files that are not there count as empty."""
    read = [record for path in paths if path.exists() for record in read_records(path)]
    return run_of(read, databases, formulas, folder)


def run_of(
    records: Iterable[Record], databases: Mapping[str, str], formulas: Mapping[str, str], folder: Path
) -> PhononRun:
    """Sort the phonon records among some records by model or database, and by material."""
    by_model: dict[str, dict[str, Record]] = {}
    for record in records:
        if record.benchmark == BENCHMARK:
            by_model.setdefault(record.model, {})[record.id] = record
    return PhononRun(by_model, databases, formulas, folder)


def formulas_of(*tables: pd.DataFrame) -> dict[str, str]:
    """Return the formula of each material that some table with ``mp_id`` and ``formula`` names."""
    named = [table for table in tables if {"mp_id", "formula"} <= set(table.columns)]
    return {str(m): str(f) for table in named for m, f in zip(table["mp_id"], table["formula"], strict=True)}


def models_in_order(models: Iterable[str]) -> list[str]:
    """Return each model once: those of Supplementary Table III of deng2025 first, then the others by name."""
    found = set(models)
    return [m for m in PHONON_MODELS if m in found] + sorted(found - set(PHONON_MODELS))


def model_title(model: str) -> str:
    """Return what a model is called: the name in Supplementary Table III beside ours."""
    return f"{PHONON_MODELS[model][1]} ({model})" if model in PHONON_MODELS else model


def value_of(record: Record | None, quantity: Quantity) -> float | None:
    """Return a finished record's number in the unit of the quantity, or None."""
    if record is None or record.status != "ok":
        return None
    value: Any = record.values
    for key in quantity.path:
        value = value.get(key) if isinstance(value, dict) else None
    return None if value is None else quantity.factor * float(value)


def values_of(run: PhononRun, model: str, quantity: Quantity) -> pd.Series:
    """Return one number of each finished material, by material."""
    found = {m: value_of(r, quantity) for m, r in sorted(run.records.get(model, {}).items())}
    return pd.Series({m: v for m, v in found.items() if v is not None}, dtype=float)


def path_ticks(bands: Mapping[str, Any]) -> list[tuple[float, str]]:
    """Return (distance, label) of each corner of the path; both labels where the path jumps: ``U|K``."""
    labels = [corner(label) for label in bands["labels"]]  # start and end of each segment
    ends = [segment["distance"][-1] for segment in bands["segments"]]
    inner = zip(labels[1:-1:2], labels[2::2], strict=True)
    names = [labels[0], *("|".join(dict.fromkeys(pair)) for pair in inner), labels[-1]]
    return list(zip([bands["segments"][0]["distance"][0], *ends], names, strict=True))


def corner(label: str) -> str:
    """Return a high-symmetry point's label in print: GAMMA as Γ, X_1 as X₁."""
    stem, _, index = label.partition("_")
    return GREEK.get(stem, stem) + index.translate(SUBSCRIPTS)


def crystal_system(space_group: int) -> str:
    """Return the crystal system of a space group's number, 1 to 230."""
    return next(name for name, last in CRYSTAL_SYSTEMS.items() if space_group <= last)


def elements_of(formula: str) -> set[str]:
    """Return the elements of a formula."""
    return set(re.findall(r"[A-Z][a-z]?", formula))


def space_groups(run: PhononRun) -> dict[str, int]:
    """Return the space group's number of each material before relaxation, from whichever record states it."""
    found: dict[str, int] = {}
    for own in run.records.values():
        found |= {
            m: r.values["space_group_start"] for m, r in own.items() if r.values.get("space_group_start")
        }
    return found


def errors(run: PhononRun, quantity: Quantity, reference: str) -> dict[str, NDArray[np.float64]]:
    """Return ours minus a database's, by model; the other databases count as models."""
    truth = values_of(run, reference, quantity)
    others = [d for d in run.references("") if d != reference]
    return {
        name: (values_of(run, name, quantity) - truth).dropna().to_numpy() for name in [*others, *run.models]
    }
