"""Which models exist: read and check ``data/models.yaml`` (PyYAML only: it imports in every environment)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pesbench.config import suggest
from pesbench.errors import ConfigError
from pesbench.models.checkpoints import Checkpoint, read_checkpoint
from pesbench.models.pinning import UNKNOWN
from pesbench.models.sections import check_section, match, number, numbers, read_sections

DOI = re.compile(r"10\.\d{4,}/\S+")
DTYPES = ("float32", "float64")
TOLERANCES = ("ev_per_atom", "ev_per_ang", "gpa")
TEXT = {"family": str, "dtype": str, "level_of_theory": str, "licence": str, "citation": str}
REQUIRED = {**TEXT, "checkpoint": dict, "training": dict, "parameters": object, "forces_are_gradients": bool}
OPTIONAL = {"conformance": dict, "options": dict, "note": str, "broken_symmetries": list}
SYMMETRIES = ("rotation", "translation", "permutation", "supercell", "net_force")


@dataclass(frozen=True)
class Family:
    """Models that one loader loads in one environment; ``package`` is what that environment must import."""

    name: str
    environment: str
    package: str


@dataclass(frozen=True)
class Pinned:
    """What a checkpoint gives for one structure; force on the first atom, stress as xx yy zz yz xz xy."""

    energy_ev_per_atom: float
    force_ev_per_ang: tuple[float, ...]
    stress_gpa: tuple[float, ...]


@dataclass(frozen=True)
class Conformance:
    """Numbers that a model must give before it runs, and the package versions that gave them."""

    environment: Mapping[str, str]
    tolerance: Mapping[str, float]
    structures: Mapping[str, Pinned]


@dataclass(frozen=True)
class ModelEntry:
    """One model of the registry; ``conformance`` is None until its values are pinned, ``parameters`` until counted.

    Attributes
    ----------
    forces_are_gradients
        Whether forces and stress are derivatives of the energy, or outputs of their own.
    broken_symmetries
        Which of these change the results, by more than rounding, although nothing physical has changed: turning the
        structure, moving it as a whole, another order of its atoms, writing it as a supercell. And ``net_force``:
        the forces do not add up to zero.
    """

    name: str
    family: Family
    checkpoint: Checkpoint
    dtype: str
    level_of_theory: str
    training_data: str
    training_structures: int
    parameters: int | None
    licence: str
    citation: str
    forces_are_gradients: bool
    conformance: Conformance | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    broken_symmetries: tuple[str, ...] = ()

    @property
    def environment(self) -> str:
        """Name of the environment in which the model runs: ``envs/<environment>.txt``."""
        return self.family.environment

    @property
    def checkpoint_sha256(self) -> str:
        """SHA-256 of the weights, ``none`` for a model that has none."""
        return self.checkpoint.sha256


@dataclass(frozen=True)
class Registry:
    """Every model of one registry file."""

    path: Path
    families: Mapping[str, Family]
    models: Mapping[str, ModelEntry]

    def get(self, name: str) -> ModelEntry:
        """Return one model.

        Raises
        ------
        ConfigError
            When no model has this name; the message names the nearest one.
        """
        if name not in self.models:
            raise ConfigError(f"{self.path}: unknown model '{name}', {suggest(name, self.models)}")
        return self.models[name]

    def environments(self) -> dict[str, str]:
        """Return model -> name of its environment."""
        return {name: entry.environment for name, entry in self.models.items()}


def load_registry(path: Path) -> Registry:
    """Read and check a registry file.

    Raises
    ------
    ConfigError
        Naming the model, the key and the mend.
    """
    raw = read_sections(path)
    check_section(raw, {"families": dict, "models": dict}, {}, str(path))
    families = {name: _family(name, section, path) for name, section in raw["families"].items()}
    models = {name: _entry(name, section, families, path) for name, section in raw["models"].items()}
    return Registry(path=path, families=families, models=models)


def _family(name: str, raw: Any, path: Path) -> Family:
    section = check_section(raw, {"environment": str, "package": str}, {}, f"{path}, families, {name}")
    return Family(name=name, **section)


def _entry(name: str, raw: Any, families: Mapping[str, Family], path: Path) -> ModelEntry:
    """Check one model and make its entry."""
    where = f"{path}, {name}"
    section = check_section(raw, REQUIRED, OPTIONAL, where)
    if section["family"] not in families:
        family = section["family"]
        raise ConfigError(f"{where}: unknown family '{family}', {suggest(family, families)}")
    if section["dtype"] not in DTYPES:
        raise ConfigError(f"{where}: dtype is '{section['dtype']}', {suggest(section['dtype'], DTYPES)}")
    match(section["citation"], DOI, "a DOI such as 10.1038/s42256-023-00716-3", f"{where}: citation")
    training = check_section(section["training"], {"data": str, "structures": int}, {}, f"{where}, training")
    conformance = section.get("conformance")
    return ModelEntry(
        name=name,
        family=families[section["family"]],
        checkpoint=read_checkpoint(section["checkpoint"], where, path.parent),
        dtype=section["dtype"],
        level_of_theory=section["level_of_theory"],
        training_data=training["data"],
        training_structures=training["structures"],
        parameters=_count(section["parameters"], conformance is not None, where),
        licence=section["licence"],
        citation=section["citation"],
        forces_are_gradients=section["forces_are_gradients"],
        conformance=None if conformance is None else _conformance(conformance, f"{where}, conformance"),
        options=section.get("options", {}),
        note=section.get("note", ""),
        broken_symmetries=_symmetries(section.get("broken_symmetries", []), where),
    )


def _count(raw: Any, proven: bool, where: str) -> int | None:
    """Check the number of parameters; whoever pinned the conformance values has counted them."""
    if raw == UNKNOWN and not proven:
        return None
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise ConfigError(
            f"{where}: parameters is {raw!r}, must be a whole number (unknown: without conformance only)"
        )
    return raw


def _symmetries(raw: list[Any], where: str) -> tuple[str, ...]:
    for name in raw:
        if name not in SYMMETRIES:
            raise ConfigError(f"{where}: broken_symmetries has '{name}', {suggest(str(name), SYMMETRIES)}")
    return tuple(raw)


def _conformance(raw: Any, where: str) -> Conformance:
    kinds = {"environment": dict, "tolerance": dict, "structures": dict}
    section = check_section(raw, kinds, {}, where)
    numbers = dict.fromkeys(TOLERANCES, object)
    tolerance = check_section(section["tolerance"], numbers, {}, f"{where}, tolerance")
    if not section["structures"]:
        raise ConfigError(f"{where}: structures is empty; run scripts/pin_conformance.py")
    pins = {name: _pinned(values, f"{where}, {name}") for name, values in section["structures"].items()}
    return Conformance(
        environment={package: str(version) for package, version in section["environment"].items()},
        tolerance={key: number(value, f"{where}, tolerance, {key}") for key, value in tolerance.items()},
        structures=pins,
    )


def _pinned(raw: Any, where: str) -> Pinned:
    kinds = {"energy_ev_per_atom": object, "force_ev_per_ang": object, "stress_gpa": object}
    section = check_section(raw, kinds, {}, where)
    return Pinned(
        energy_ev_per_atom=number(section["energy_ev_per_atom"], f"{where}, energy_ev_per_atom"),
        force_ev_per_ang=numbers(section["force_ev_per_ang"], 3, f"{where}, force_ev_per_ang"),
        stress_gpa=numbers(section["stress_gpa"], 6, f"{where}, stress_gpa"),
    )
