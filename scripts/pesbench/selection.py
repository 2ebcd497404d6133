"""Which materials and which databases of the benchmarks a resolved configuration asks for (standard library only)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pesbench.config import FETCHED, PUBLISHED, suggest
from pesbench.errors import ConfigError


def select_materials(
    config: Mapping[str, Any],
    available: Mapping[str, Iterable[str]],
    sets: Mapping[str, Mapping[str, list[str]]],
) -> dict[str, list[str]]:
    """Return, for each benchmark, the sorted ids that a resolved configuration asks for.

    Parameters
    ----------
    available
        Every id that each benchmark's manifest holds.
    sets
        For each benchmark, its named lists of ids; a benchmark without a list of that name runs nothing of it.

    Raises
    ------
    ConfigError
        An id that no benchmark holds, with the nearest one that some benchmark does.
    """
    known = {benchmark: set(ids) for benchmark, ids in available.items()}
    named = {name for lists in sets.values() for name in lists}
    wanted = config["materials"]
    if wanted == "all":
        return {benchmark: sorted(ids) for benchmark, ids in known.items()}
    if wanted == "default":
        wanted = {name: config["benchmarks"][name]["default_materials"] for name in known}
    else:
        words = [wanted] if isinstance(wanted, str) else wanted
        anywhere = set().union(*known.values(), named)
        wanted = {
            name: [w for w in words if w in {*ids, *named} or w not in anywhere]
            for name, ids in known.items()
        }
    chosen: dict[str, set[str]] = {}
    for benchmark, words in wanted.items():
        chosen[benchmark] = set()
        for word in words:
            ids = sets[benchmark].get(word, []) if word in named else [word]
            unknown = [material for material in ids if material not in known[benchmark]]
            if unknown:
                near = suggest(unknown[0], known[benchmark] | {"default", "all"} | named)
                raise ConfigError(f"config.yaml: no material '{unknown[0]}' in benchmark {benchmark}, {near}")
            chosen[benchmark] |= set(ids)
    return {benchmark: sorted(ids) for benchmark, ids in chosen.items()}


def asked_references(
    asked: str | list[str], known: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """Return, for each benchmark, the databases that a resolved ``reference`` asks for.

    Parameters
    ----------
    known
        For each benchmark, the level of theory of each of its databases; ``fetched`` means the first.

    Raises
    ------
    ConfigError
        A database that no benchmark has, with the nearest one that some benchmark has.
    """
    if isinstance(asked, str):
        first = 1 if asked == FETCHED else 0
        return {name: dict(list(databases.items())[:first]) for name, databases in known.items()}
    everywhere = {name for databases in known.values() for name in databases}
    for name in asked:
        if name not in everywhere:
            raise ConfigError(
                f"config.yaml: reference names no database '{name}', "
                f"{suggest(name, {PUBLISHED, FETCHED, *everywhere})}"
            )
    return {
        name: {database: level for database, level in databases.items() if database in asked}
        for name, databases in known.items()
    }
