"""Sections of a YAML file that people write: read without repeated keys, checked for keys and types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pesbench.config import check_keys
from pesbench.errors import ConfigError

_KINDS = {str: "text", int: "a whole number", bool: "true or false", dict: "a section", list: "a list"}


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML in which a key that appears twice is an error: the second would replace the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for index, key in enumerate(keys) if key in keys[:index]]
        if twice:
            raise ConfigError(f"line {node.start_mark.line + 1}: '{twice[0]}' appears twice")
        return super().construct_mapping(node, deep)


def read_sections(path: Path) -> dict[str, Any]:
    """Return the sections of a file; ConfigError where it is none, or has a key twice."""
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


def check_section(
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


def match(value: str, pattern: re.Pattern[str], form: str, where: str) -> None:
    """Raise ConfigError where a text is not of a form."""
    if not pattern.fullmatch(value):
        raise ConfigError(f"{where} is '{value}', must be {form}")


def number(value: Any, where: str) -> float:
    """Return a number, or raise ConfigError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where} is {value!r}, must be a number (YAML wants 1.0e-4, not 1e-4)")
    return float(value)


def numbers(value: Any, count: int, where: str) -> tuple[float, ...]:
    """Return a list of so many numbers, or raise ConfigError."""
    if not isinstance(value, list) or len(value) != count:
        raise ConfigError(f"{where} is {value!r}, must be a list of {count} numbers")
    return tuple(number(item, where) for item in value)
