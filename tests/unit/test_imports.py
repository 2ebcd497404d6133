"""The arrows between the rooms of the package, read from its source; nothing is imported to check them.

Every import counts, wherever it stands: at the top, inside a function, or for type checkers only.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "scripts" / "pesbench"
BENCHMARKS_MAY = {
    "models", "engine", "dft", "sources", "records", "metrics", "config", "failures", "naming", "errors", "published",
    "softening", "correction", "labels",
}  # fmt: skip
MODELS_AND_BELOW = {
    "models",
    "engine",
    "dft",
    "sources",
    "records",
    "metrics",
    "failures",
    "naming",
    "errors",
    "files",
    "packages",
    "published",
}
STANDARD_LIBRARY_ONLY = {"config", "naming", "chunks", "errors", "files", "packages", "published"}
LIGHT = (
    "pesbench.benchmarks.surfaces",
    "pesbench.benchmarks.high_energy.manifest",
    "pesbench.config",
    "pesbench.models.registry",
)
HEAVY = {"torch", "pymatgen", "ase", "pandas", "matplotlib", "numpy"}
Edge = tuple[str, str]


def modules(package: Path) -> dict[str, Path]:
    """Return every module of the package, by its dotted name."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room(module: str) -> str:
    """Return the room of a module of the package: ``pesbench.models.loaders`` stands in ``models``."""
    return module.split(".")[1] if "." in module else ""


def targets(node: ast.AST, module: str, is_package: bool, known: Collection[str]) -> Iterator[str]:
    """Yield the dotted names that one import statement may mean."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = module.split(".")[: len(module.split(".")) - node.level + is_package] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        names = [f"{base}.{alias.name}" for alias in node.names]
        if not set(names) <= set(known):  # something of the package itself, not of its modules alone
            yield base
        yield from names
    elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in (
        "import_module",
        "__import__",
    ):
        argument = node.args[0] if node.args else None
        if isinstance(argument, ast.Constant):
            yield str(argument.value)


def imports(package: Path) -> list[Edge]:
    """Return (module, imported name) for every import; inside the package the name is that of a module."""
    known, edges = modules(package), set()
    for module, path in known.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for target in targets(node, module, path.name == "__init__.py", known):
                if target in known or target.split(".")[0] != package.name:
                    edges.add((module, target))
    return sorted(edge for edge in edges if edge[0] != edge[1])


def cycle(edges: list[Edge]) -> list[str]:
    """Return the modules of one circle of imports, or nothing."""
    follow: dict[str, list[str]] = {}
    for module, target in edges:
        follow.setdefault(module, []).append(target)
    finished: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        for target in follow.get(module, []):
            if target not in finished and (found := walk(target, [*path, module])):
                return found
        finished.add(module)
        return []

    return next((found for module in follow if (found := walk(module, []))), [])


def wrong_arrow(module: str, target: str, package: str) -> str:
    """Return why one import breaks the rules, or nothing."""
    inside, here, there = target.split(".")[0] == package, room(module), room(target)
    if here in STANDARD_LIBRARY_ONLY:
        allowed = there == "errors" if inside else target.split(".")[0] in sys.stdlib_module_names
        if not allowed:
            return f"{here} is standard library only"
    if not inside or not there:
        return ""
    if here == "benchmarks" and there == "benchmarks":
        own = module.split(".")[:3] == target.split(".")[:3]  # a benchmark may be a folder of modules
        return "" if own or target == f"{package}.benchmarks" else "benchmarks do not import each other"
    if here == "benchmarks" and there not in BENCHMARKS_MAY:
        return f"benchmarks may not know {there}"
    if there == "benchmarks":
        return f"{here} may not know benchmarks: they are imported by name, in config"
    if here in MODELS_AND_BELOW and there not in MODELS_AND_BELOW | STANDARD_LIBRARY_ONLY:
        return f"{here} may not know {there}"
    return ""


def violations(package: Path) -> list[str]:
    """Return everything in the package's source that breaks the rules of the house."""
    edges = imports(package)
    found = [
        f"{module} -> {target}: {reason}"
        for module, target in edges
        if (reason := wrong_arrow(module, target, package.name))
    ]
    circle = cycle([(module, target) for module, target in edges if target.split(".")[0] == package.name])
    found += [f"circle: {' -> '.join(circle)}"] if circle else []
    for path in sorted(p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        if b"snakemake" in path.read_bytes().lower() or "snakemake" in path.name.lower():
            found.append(f"{path.relative_to(package.parent)} says snakemake")
    return found


def heavy_imports(package: Path, module: str) -> set[str]:
    """Return the heavy libraries that one module pulls in when it is imported in a fresh interpreter."""
    code = f"import json, sys, {module}; print(json.dumps([*sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(json.loads(done.stdout))
    assert module in loaded
    return HEAVY & loaded


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the package to plant something in."""
    return Path(shutil.copytree(PACKAGE, tmp_path / "pesbench", ignore=shutil.ignore_patterns("__pycache__")))


def test_package_keeps_the_rules_of_the_house() -> None:
    assert violations(PACKAGE) == []


def test_rules_see_the_arrows_that_are_there() -> None:
    edges = imports(PACKAGE)
    assert ("pesbench.benchmarks.surfaces", "pesbench.engine.relax") in edges  # inside a function
    assert ("pesbench.jobs", "pesbench.models.loaders") in edges  # for type checkers only
    assert ("pesbench.records", "pesbench.errors") in edges and ("pesbench.records", "fcntl") in edges
    assert len({module for module, _ in edges}) >= 10


@pytest.mark.parametrize(
    ("module", "line", "words"),
    [
        ("benchmarks/surfaces", "import pesbench.tables", "benchmarks may not know tables"),
        ("benchmarks/surfaces", "from pesbench import jobs", "benchmarks may not know jobs"),
        ("benchmarks/surfaces", "from ..plots import write", "benchmarks may not know plots"),
        ("benchmarks/other", "from pesbench.benchmarks.surfaces import Settings", "do not import each other"),
        ("benchmarks/other", "from . import surfaces", "do not import each other"),
        ("benchmarks/phonons/loew", "from pesbench.benchmarks import surfaces", "do not import each other"),
        ("benchmarks/surfaces", "from pesbench.benchmarks.phonons import deng", "do not import each other"),
        ("models/registry", "from pesbench.benchmarks import surfaces", "models may not know benchmarks"),
        ("engine/relax", "import pesbench.benchmarks.surfaces as s", "engine may not know benchmarks"),
        ("sources/prototypes", "from ..benchmarks.surfaces import run", "sources may not know benchmarks"),
        ("records", "from pesbench.benchmarks.surfaces import run", "records may not know benchmarks"),
        ("models/loaders", "import pesbench.jobs", "models may not know jobs"),
        (
            "records",
            "import importlib; importlib.import_module('pesbench.jobs')",
            "records may not know jobs",
        ),
        ("config", "import yaml", "config is standard library only"),
        ("naming", "import numpy as np", "naming is standard library only"),
        ("chunks", "from pesbench.records import digest", "chunks is standard library only"),
        ("chunks", "from .metrics import mae", "chunks is standard library only"),
        ("records", "import pesbench.jobs", "circle: "),
        ("failures", "from pesbench.models.a import b", "circle: "),
        ("naming", "NAME = 'Snakemake'", "pesbench/naming.py says snakemake"),
        ("naming", "import snakemake.utils", "pesbench/naming.py says snakemake"),
    ],
)
@pytest.mark.parametrize("place", ["{line}", "def planted() -> None:\n    {line}", "if False:\n    {line}"])
def test_planted_violation_is_found(copy: Path, module: str, line: str, words: str, place: str) -> None:
    (copy / "models" / "a.py").write_text("from pesbench.failures import stage\n")
    (copy / "benchmarks" / "other.py").touch()
    before = violations(copy)
    with (copy / f"{module}.py").open("a") as handle:
        handle.write("\n" + place.format(line=line) + "\n")
    found = [violation for violation in violations(copy) if violation not in before]
    assert any(words in violation for violation in found), found
    if "circle" not in words:
        assert any(Path(module).name in violation for violation in found if words in violation)


def test_circle_over_three_modules_is_named(tmp_path: Path) -> None:
    package = tmp_path / "pesbench"
    package.mkdir()
    for name, target in (("one", "two"), ("two", "three"), ("three", "one"), ("four", "one")):
        (package / f"{name}.py").write_text(f"def f():\n    from pesbench import {target}\n")
    assert violations(package) == [
        "circle: pesbench.one -> pesbench.two -> pesbench.three -> pesbench.one"
    ] or (
        sorted(violations(package)[0].removeprefix("circle: ").split(" -> ")[:3])
        == ["pesbench.one", "pesbench.three", "pesbench.two"]
    )


@pytest.mark.parametrize("module", LIGHT)
def test_workflow_is_parsed_without_heavy_libraries(module: str) -> None:
    assert heavy_imports(PACKAGE, module) == set()


@pytest.mark.parametrize("module", LIGHT)
def test_planted_heavy_import_is_found(copy: Path, module: str) -> None:
    with (copy / f"{module.removeprefix('pesbench.').replace('.', '/')}.py").open("a") as handle:
        handle.write("\nimport numpy\n")
    assert heavy_imports(copy, module) == {"numpy"}
