"""Versions of the packages that decide a model's numbers (standard library only: it imports in every environment)."""

from __future__ import annotations

import contextlib
import sys
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    *("ase", "numpy", "pymatgen", "phonopy", "spglib", "matscipy", "torch", "e3nn"),
    *("chgnet", "sevenn", "matgl", "dgl", "m3gnet", "tensorflow-cpu", "tf-keras"),
    *("mace-torch", "mattersim", "orb-models", "fairchem-core"),
    *("gpaw", "gpaw-data", "custodian"),
)


def package_versions() -> dict[str, str]:
    """Return package -> version as far as they are installed, and that of ``python``."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
