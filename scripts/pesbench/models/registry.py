"""Which models exist: read and check ``data/models.yaml`` (PyYAML only: it imports in every environment)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pesbench.config import check_keys, suggest
from pesbench.errors import ConfigError
from pesbench.models.pinning import UNKNOWN

SHA256 = re.compile(r"[0-9a-f]{64}")
DOI = re.compile(r"10\.\d{4,}/\S+")
DTYPES = ("float32", "float64")
WHERE: dict[str, dict[str, type]] = {
    "none": {},
    "wheel": {"package": str, "path": str, "sha256": str},
    "file": {"path": str, "sha256": str},
    "fetched": {"url": str, "mirror": str, "files": dict},
}
MAY_HAVE: dict[str, dict[str, type]] = {"fetched": {"gated": str}}
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
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
class Checkpoint:
    """Where the weights lie: in an installed package (``wheel``), in a ``file``, ``fetched``, or nowhere (``none``).

    Attributes
    ----------
    sha256
        Of the one file; where several are fetched, of their list in the format of sha256sum.
    url, mirror
        Where the files are fetched from: the publisher's address, and the name of their folder in a local mirror.
    gated
        How to get the files that their publisher gives to nobody who has not accepted a licence; empty for others.
    files
        SHA-256 of each fetched file, ``unknown`` for a file that nobody here could see.
    """

    where: str
    path: str = ""
    package: str = ""
    sha256: str = "none"
    url: str = ""
    mirror: str = ""
    gated: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def pinned(self) -> bool:
        """Whether every SHA-256 is known; what is not pinned is neither fetched nor opened."""
        return UNKNOWN not in self.files.values()

    def listing(self) -> str:
        """Return the list of the fetched files in the format of sha256sum."""
        return "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(self.files.items()))


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


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML in which a key that appears twice is an error: the second would replace the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for index, key in enumerate(keys) if key in keys[:index]]
        if twice:
            raise ConfigError(f"line {node.start_mark.line + 1}: '{twice[0]}' appears twice")
        return super().construct_mapping(node, deep)


def load_registry(path: Path) -> Registry:
    """Read and check a registry file.

    Raises
    ------
    ConfigError
        Naming the model, the key and the mend.
    """
    raw = _read(path)
    _check_section(raw, {"families": dict, "models": dict}, {}, str(path))
    families = {name: _family(name, section, path) for name, section in raw["families"].items()}
    models = {name: _entry(name, section, families, path) for name, section in raw["models"].items()}
    return Registry(path=path, families=families, models=models)


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}, {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} must have the sections 'families' and 'models'")
    return raw


def _check_section(
    raw: Any, required: Mapping[str, type], optional: Mapping[str, type], where: str
) -> Mapping[str, Any]:
    """Check the keys and the types of one section."""
    if not isinstance(raw, dict):
        raise ConfigError(f"{where}: must be 'key: value' lines, not {raw!r}")
    check_keys(raw, [*required, *optional], where)
    for key, kind in {**required, **optional}.items():
        if key not in raw:
            if key in required:
                raise ConfigError(f"{where}: key '{key}' is missing")
        elif not isinstance(raw[key], kind) or (kind is int and isinstance(raw[key], bool)):
            raise ConfigError(f"{where}: {key} is {raw[key]!r}, must be {_KINDS[kind]}")
    return raw


_KINDS = {str: "text", int: "a whole number", bool: "true or false", dict: "a section", list: "a list"}


def _family(name: str, raw: Any, path: Path) -> Family:
    section = _check_section(raw, {"environment": str, "package": str}, {}, f"{path}, families, {name}")
    return Family(name=name, **section)


def _entry(name: str, raw: Any, families: Mapping[str, Family], path: Path) -> ModelEntry:
    """Check one model and make its entry."""
    where = f"{path}, {name}"
    section = _check_section(raw, REQUIRED, OPTIONAL, where)
    if section["family"] not in families:
        family = section["family"]
        raise ConfigError(f"{where}: unknown family '{family}', {suggest(family, families)}")
    if section["dtype"] not in DTYPES:
        raise ConfigError(f"{where}: dtype is '{section['dtype']}', {suggest(section['dtype'], DTYPES)}")
    _match(section["citation"], DOI, "a DOI such as 10.1038/s42256-023-00716-3", f"{where}: citation")
    training = _check_section(section["training"], {"data": str, "structures": int}, {}, f"{where}, training")
    conformance = section.get("conformance")
    return ModelEntry(
        name=name,
        family=families[section["family"]],
        checkpoint=_checkpoint(section["checkpoint"], where, path.parent),
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


def _checkpoint(raw: Any, where: str, folder: Path) -> Checkpoint:
    """Check where the weights are; a relative ``file`` counts from the registry's folder."""
    where = f"{where}, checkpoint"
    kind = raw.get("where")
    if kind not in WHERE:
        raise ConfigError(f"{where}: where is {kind!r}, must be one of {', '.join(WHERE)}")
    section = dict(_check_section(raw, {"where": str, **WHERE[kind]}, MAY_HAVE.get(kind, {}), where))
    hashes = section.get("files", {key: section[key] for key in ("sha256",) if key in section})
    for name, sha256 in hashes.items():
        if not (kind == "fetched" and sha256 == UNKNOWN):
            _match(str(sha256), SHA256, "64 hexadecimal digits in lower case", f"{where}: {name}")
    if kind == "file":
        section["path"] = str((folder / section["path"]).resolve())
    if kind == "fetched":
        _check_fetched(section, where)
        fetched = Checkpoint(**section)
        listing = hashlib.sha256(fetched.listing().encode()).hexdigest()
        section["sha256"] = listing if fetched.pinned else UNKNOWN
    return Checkpoint(**section)


def _check_fetched(section: Mapping[str, Any], where: str) -> None:
    """Check the address, and that no name of a file or a folder leads elsewhere."""
    if not section["files"]:
        raise ConfigError(f"{where}: files is empty; list each file with its SHA-256")
    if not section["url"].startswith("https://"):
        raise ConfigError(f"{where}: url is '{section['url']}', must begin with https://")
    for name in (section["mirror"], *section["files"]):
        _match(str(name), FILE_NAME, "a plain name, without folders", f"{where}: name")


def _match(value: str, pattern: re.Pattern[str], form: str, where: str) -> None:
    if not pattern.fullmatch(value):
        raise ConfigError(f"{where} is '{value}', must be {form}")


def _conformance(raw: Any, where: str) -> Conformance:
    kinds = {"environment": dict, "tolerance": dict, "structures": dict}
    section = _check_section(raw, kinds, {}, where)
    numbers = dict.fromkeys(TOLERANCES, object)
    tolerance = _check_section(section["tolerance"], numbers, {}, f"{where}, tolerance")
    if not section["structures"]:
        raise ConfigError(f"{where}: structures is empty; run scripts/pin_conformance.py")
    pins = {name: _pinned(values, f"{where}, {name}") for name, values in section["structures"].items()}
    return Conformance(
        environment={package: str(version) for package, version in section["environment"].items()},
        tolerance={key: _number(value, f"{where}, tolerance, {key}") for key, value in tolerance.items()},
        structures=pins,
    )


def _pinned(raw: Any, where: str) -> Pinned:
    kinds = {"energy_ev_per_atom": object, "force_ev_per_ang": object, "stress_gpa": object}
    section = _check_section(raw, kinds, {}, where)
    return Pinned(
        energy_ev_per_atom=_number(section["energy_ev_per_atom"], f"{where}, energy_ev_per_atom"),
        force_ev_per_ang=_numbers(section["force_ev_per_ang"], 3, f"{where}, force_ev_per_ang"),
        stress_gpa=_numbers(section["stress_gpa"], 6, f"{where}, stress_gpa"),
    )


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where} is {value!r}, must be a number (YAML wants 1.0e-4, not 1e-4)")
    return float(value)


def _numbers(value: Any, count: int, where: str) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != count:
        raise ConfigError(f"{where} is {value!r}, must be a list of {count} numbers")
    return tuple(_number(item, where) for item in value)
