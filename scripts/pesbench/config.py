"""Read, complete and check ``config.yaml`` (standard library only; called while the workflow is parsed)."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from types import ModuleType
from typing import Any

from pesbench.errors import ConfigError

BENCHMARK_NAME = re.compile(r"[a-z][a-z0-9_]*")
#: What models are compared with where no database is named: the paper's numbers, or each benchmark's first database.
PUBLISHED, FETCHED = "published", "fetched"
STRUCTURE_SOURCES = ("prototypes", "materials_project")
#: Sources that files come from, each of which a local folder may stand for.
SOURCES = ("phonondb", "mdr", "wbm", "alexandria", "figshare", "labelled", "weights")
#: Lists of the section ``fine_tuning`` and their defaults; ``seeds``: runs for each number of labels.
FINE_TUNING: dict[str, Any] = {
    "models": ["chgnet-0.3.0"],
    "parts": ["last_layer", "readout", "all", "scratch"],
    "scratch_labels": ["100", "1000"],
    "seeds": {1: 3, 10: 3, 100: 1},
}
#: Value of a source's mirror: ask the network, whatever the environment says.
NETWORK = "network"
DEVICES = ("cpu", "cuda", "auto")
DEFAULTS: dict[str, Any] = {
    "models": None,
    "materials": "default",
    "reference": "published",
    "sources": {"structures": "prototypes"},
    "jobs": {"materials_per_chunk": 8, "threads": 1, "device": "cpu", "mem_mb": 3000, "runtime_min": 120},
    "seed": 0,
    "benchmarks": None,
    "sampling": {},
    "dft": {},
    "check": {},
    "fine_tuning": {},
}


def suggest(word: object, known: Iterable[str]) -> str:
    """Return ``did you mean ...?`` for the nearest known name, or the list of known names."""
    names = sorted(known)
    close = difflib.get_close_matches(str(word), names, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"


def check_keys(given: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise ConfigError for the first key of ``given`` that is not known, with the nearest known one."""
    known = list(known)
    for key in given:
        if key not in known:
            raise ConfigError(f"{where}: unknown key '{key}', {suggest(key, known)}")


def _section(config: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return one nested section completed with its defaults."""
    given = config.get(key)
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise ConfigError(f"config.yaml: {key} must be a section of 'name: value' lines, not {given!r}")
    check_keys(given, DEFAULTS[key], f"config.yaml, {key}")
    return {**DEFAULTS[key], **given}


def _one_of(value: object, allowed: Iterable[str], key: str) -> str:
    if value not in tuple(allowed):
        raise ConfigError(f"config.yaml: {key} is '{value}', {suggest(value, allowed)}")
    return str(value)


def whole_number(value: object, key: str, low: int, high: int, unit: str = "") -> int:
    """Return an integer within [low, high], or raise ConfigError that states the range and the unit."""
    if isinstance(value, str) and value.isdigit():  # nested values of the command line come as text
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(
            f"config.yaml: {key} is {value!r}, must be a whole number from {low} to {high} {unit}".rstrip()
        )
    return value


def number(value: object, key: str, low: float, high: float, unit: str) -> float:
    """Return a float within [low, high], or raise ConfigError that states the range and the unit."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        hint = " (YAML reads 1e-3 as text, write 0.001)" if isinstance(value, str) else ""
        raise ConfigError(
            f"config.yaml: {key} is {value!r}, must be a number from {low} to {high} {unit}{hint}"
        )
    return float(value)


def benchmark_module(name: str) -> ModuleType:
    """Import ``pesbench.benchmarks.<name>``; raise ConfigError where there is none."""
    if not BENCHMARK_NAME.fullmatch(str(name)):
        raise ConfigError(f"config.yaml, benchmarks: '{name}' is no benchmark name (lower case, digits, _)")
    module = f"pesbench.benchmarks.{name}"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise ConfigError(
            f"config.yaml, benchmarks: no module scripts/pesbench/benchmarks/{name}.py"
        ) from error


def _benchmark(name: str, given: object) -> dict[str, Any]:
    """Return one benchmark's entry: its default materials and its settings, checked by its own ``Settings``."""
    where = f"config.yaml, benchmarks.{name}"
    if not isinstance(given, Mapping):
        raise ConfigError(f"{where} must be a section of 'name: value' lines, not {given!r}")
    entry = dict(given)
    default_materials = entry.pop("default_materials", None)
    if not isinstance(default_materials, list):
        raise ConfigError(f"{where}: default_materials must be a list of material ids, [] for none")
    return {
        "default_materials": [str(m) for m in default_materials],
        "settings": _settings(name, entry, where),
    }


def _settings(name: str, entry: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a section completed and checked by the ``Settings`` of a module of pesbench.benchmarks."""
    settings_class = benchmark_module(name).Settings
    check_keys(entry, [field.name for field in fields(settings_class)], where)
    kinds = {field.name: field.type for field in fields(settings_class)}
    try:
        return asdict(settings_class(**{key: _typed(value, kinds[key]) for key, value in entry.items()}))
    except (TypeError, ValueError, ConfigError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _dft(given: object) -> dict[str, Any]:
    """Return the section ``dft``."""
    if not isinstance(given, Mapping | None):
        raise ConfigError(f"config.yaml, dft must be a section of 'name: value' lines, not {given!r}")
    return _settings("labels", given or {}, "config.yaml, dft")


def _sampling(given: object) -> dict[str, Any]:
    """Return the section ``sampling``: the model, the materials, and the settings of the sampling."""
    where = "config.yaml, sampling"
    if not isinstance(given, Mapping | None):
        raise ConfigError(f"{where} must be a section of 'name: value' lines, not {given!r}")
    entry = dict(given or {})
    model, materials = entry.pop("model", "chgnet-0.3.0"), entry.pop("materials", [])
    if isinstance(materials, str):
        materials = _words(materials)
    if not isinstance(materials, list):
        raise ConfigError(f"{where}: materials is {materials!r}, must be a list of material ids")
    return {
        "model": str(model),
        "materials": [str(m) for m in materials],
        "settings": _settings("sampling", entry, where),
    }


def _check(given: object, sampling: object) -> dict[str, Any]:
    """Return the section ``check``: its name, how many frames to take, and what is quicker than in ``sampling``."""
    where = "config.yaml, check"
    if not isinstance(given, Mapping | None):
        raise ConfigError(f"{where} must be a section of 'name: value' lines, not {given!r}")
    entry = dict(given or {})
    name, most = entry.pop("name", ""), entry.pop("most_frames", 300)
    check_keys(entry, [field.name for field in fields(benchmark_module("sampling").Settings)], where)
    usual = dict(sampling) if isinstance(sampling, Mapping) else {}
    laid = {key: value for key, value in usual.items() if key not in ("model", "materials")} | entry
    return {
        "name": str(name),
        "most_frames": whole_number(most, "check.most_frames", 0, 10_000_000, "frames"),
        "settings": _settings("sampling", laid, where),
    }


def _fine_tuning(given: object) -> dict[str, Any]:
    """Return the section ``fine_tuning``: models, sets, parts, how many labels with which seeds, and the settings."""
    where = "config.yaml, fine_tuning"
    if not isinstance(given, Mapping | None):
        raise ConfigError(f"{where} must be a section of 'name: value' lines, not {given!r}")
    entry, parts = dict(given or {}), benchmark_module("fine_tuning").PARTS
    lists = {key: entry.pop(key, standard) for key, standard in FINE_TUNING.items()}
    seeds = lists.pop("seeds")
    if not isinstance(seeds, Mapping):
        raise ConfigError(f"{where}: seeds is {seeds!r}, must be lines 'labels: runs', such as 10: 3")
    words = {key: _words(v) if isinstance(v, str) else [str(w) for w in v or []] for key, v in lists.items()}
    for part in words["parts"]:
        _one_of(part, parts, "fine_tuning.parts")
    # Keys of YAML are numbers, those of JSON laid over them are text: what is laid over comes last and counts.
    runs = {
        whole_number(_whole(n), f"{where}: seeds", 1, 10**7, "labels"): whole_number(
            _whole(k), f"{where}: seeds of {n} labels", 0, 1000, "runs"
        )
        for n, k in sorted(seeds.items(), key=lambda line: isinstance(line[0], str))
    }
    return {**words, "seeds": runs, "settings": _settings("fine_tuning", entry, where)}


def _whole(value: object) -> object:
    """Return a whole number that came as text, as keys of the command line do; or what was given."""
    return int(value) if isinstance(value, str) and value.isdigit() else value


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a user's configuration with defaults and check every value.

    Parameters
    ----------
    config
        What was read from config.yaml and from the command line.

    Returns
    -------
    dict
        The resolved configuration; ``benchmarks.<name>`` holds ``default_materials`` and ``settings``.

    Raises
    ------
    ConfigError
        One line that names the key, the value, and the range or the nearest known name.
    """
    check_keys(config, DEFAULTS, "config.yaml")
    models = config.get("models")
    if isinstance(models, str):  # on the command line: --config models=chgnet-0.3.0,sevennet-0
        models = _words(models)
    if not isinstance(models, list) or not models or len(set(map(str, models))) != len(models):
        raise ConfigError("config.yaml: models must list at least one model of data/models.yaml, each once")
    benchmarks = config.get("benchmarks")
    if not isinstance(benchmarks, Mapping) or not benchmarks:
        raise ConfigError("config.yaml: benchmarks must hold at least one entry, e.g. surfaces")
    jobs = _section(config, "jobs")
    return {
        "models": [str(m) for m in models],
        "materials": _materials(config.get("materials", DEFAULTS["materials"])),
        "reference": _reference(config.get("reference", DEFAULTS["reference"])),
        "sources": _sources(config.get("sources")),
        "jobs": {
            "materials_per_chunk": whole_number(
                jobs["materials_per_chunk"], "jobs.materials_per_chunk", 1, 1_000, "materials"
            ),
            "threads": whole_number(jobs["threads"], "jobs.threads", 1, 256, "threads"),
            "device": _one_of(jobs["device"], DEVICES, "jobs.device"),
            "mem_mb": whole_number(jobs["mem_mb"], "jobs.mem_mb", 500, 4_000_000, "MB"),
            "runtime_min": whole_number(jobs["runtime_min"], "jobs.runtime_min", 1, 100_000, "minutes"),
        },
        "seed": whole_number(config.get("seed", DEFAULTS["seed"]), "seed", 0, 2**32 - 1),
        "benchmarks": {str(name): _benchmark(str(name), entry) for name, entry in benchmarks.items()},
        "sampling": _sampling(config.get("sampling")),
        "dft": _dft(config.get("dft")),
        "check": _check(config.get("check"), config.get("sampling")),
        "fine_tuning": _fine_tuning(config.get("fine_tuning")),
    }


def _sources(given: object) -> dict[str, Any]:
    """Return where structures come from, and the mirror of each source that has one."""
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise ConfigError(f"config.yaml: sources must be a section of 'name: value' lines, not {given!r}")
    check_keys(given, ("structures", *SOURCES), "config.yaml, sources")
    structures = given.get("structures", DEFAULTS["sources"]["structures"])
    resolved: dict[str, Any] = {"structures": _one_of(structures, STRUCTURE_SOURCES, "sources.structures")}
    for name in (key for key in given if key != "structures"):
        entry = given[name]
        mirror = entry.get("mirror") if isinstance(entry, Mapping) and set(entry) == {"mirror"} else None
        if not isinstance(mirror, str) or not mirror:
            raise ConfigError(
                f"config.yaml: sources.{name} is {entry!r}, must be a section with the one key mirror: a folder, "
                f"or {NETWORK}"
            )
        resolved[name] = {"mirror": mirror}
    return resolved


def mirror_of(name: str, sources: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    """Return the folder that stands for a source, or None where the network is asked.

    Parameters
    ----------
    sources
        Of config.yaml; its word counts before that of the environment.
    environment
        ``PESBENCH_MIRROR``, and for weights ``PESBENCH_WEIGHTS``, name folders for all of them.
    """
    stated = (sources.get(name) or {}).get("mirror")
    variable = "PESBENCH_WEIGHTS" if name == "weights" else "PESBENCH_MIRROR"
    return None if stated == NETWORK else stated or environment.get(variable) or None


def _typed(value: object, kind: object) -> object:
    """Return a number or a truth that came as text, as nested values of the command line do; or what was given."""
    kinds: dict[str, Callable[[str], object]] = {
        "float": float,
        "int": int,
        "bool": {"true": True, "false": False}.__getitem__,
    }
    try:
        return kinds[str(kind)](value.lower()) if isinstance(value, str) else value
    except (KeyError, ValueError):
        return value


def _words(value: str) -> list[str]:
    """Return the words of a comma-separated value."""
    return [word for word in (part.strip() for part in value.split(",")) if word]


def _reference(value: object) -> str | list[str]:
    """Return ``published``, ``fetched``, or the databases' names; those are known to the benchmarks."""
    if value in (PUBLISHED, FETCHED):
        return str(value)
    names = _words(value) if isinstance(value, str) else value
    if not isinstance(names, list) or not names or {PUBLISHED, FETCHED} & set(map(str, names)):
        raise ConfigError(
            f"config.yaml: reference is {value!r}, must be {PUBLISHED}, {FETCHED}, or a list of databases"
        )
    return [str(name) for name in names]


def _materials(value: object) -> str | list[str]:
    if isinstance(value, list) and value:
        return [str(v) for v in value]
    if isinstance(value, str) and value in ("default", "all"):
        return value
    if isinstance(value, str) and _words(value):  # on the command line: --config materials=mp-126,mp-30
        return _words(value)
    raise ConfigError(f"config.yaml: materials is {value!r}, must be default, all, or a list of material ids")
