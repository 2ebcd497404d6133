"""High-energy states (Deng et al. 2025, Methods): snapshots of hot dynamics, some strained; or rattled cells.

The sampler is a model of the registry, or ``rattled``: cells with noise on every coordinate, no model asked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pesbench.naming import RESULTS

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure

    from pesbench.models.calculator import PesCalculator

PROTOCOL = 1
MANIFEST = "data/prototypes"
RATTLED = "rattled"


@dataclass(frozen=True)
class Settings:
    """How states are sampled; the defaults are the paper's where it says.

    Attributes
    ----------
    min_atoms
        Smaller cells are repeated until they have as many.
    strained, strain
        So many of the snapshots get their three axes longer or shorter by this much, in turn.
    rattled_cells, rattle_ang
        How many rattled cells, and the standard deviation of the noise on each of their coordinates.
    """

    temperature_kelvin: float = 1000.0
    length_ps: float = 20.0
    timestep_fs: float = 2.0  # ASSUME: not in the paper; CHGNet's own default
    friction_per_ps: float = 10.0  # ASSUME: the paper names no thermostat
    snapshots: int = 10
    strained: int = 4
    strain: float = 0.03
    min_atoms: int = 8  # ASSUME: not in the paper
    rattled_cells: int = 4
    rattle_ang: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high, unit in (
            ("temperature_kelvin", 1.0, 20_000.0, "K"),
            ("length_ps", 0.001, 100_000.0, "ps"),
            ("timestep_fs", 0.05, 10.0, "fs"),
            ("friction_per_ps", 0.01, 1000.0, "1/ps"),
            ("snapshots", 1, 1000, "snapshots"),
            ("strained", 0, self.snapshots, "snapshots"),
            ("strain", 0.0, 0.3, "(0.03: 3 %)"),
            ("min_atoms", 1, 1000, "atoms"),
            ("rattled_cells", 1, 1000, "cells"),
            ("rattle_ang", 0.0, 1.0, "A"),
            ("seed", 0, 2**32 - 1, ""),
        ):
            if not low <= getattr(self, name) <= high:
                reach = f"from {low} to {high} {unit}".rstrip()
                raise ValueError(f"{name} is {getattr(self, name)!r}, must be {reach}")


def costs(path: Path) -> dict[str, float]:
    """Return one for every shipped structure."""
    return {file.stem: 1.0 for file in sorted(path.glob("*.yaml"))}


def tasks(path: Path) -> dict[str, Any]:
    """Return nothing: the structure is all."""
    return {}


def seed_of(seed: int, material: str) -> int:
    """Return a material's own seed: the same whatever other materials run."""
    return int.from_bytes(hashlib.sha256(f"{seed} {material}".encode()).digest()[:3], "big")


def frame_suffix(sampler: str, number: int) -> str:
    """Return what follows a material's id in the name of its ``number``-th frame, from 0."""
    return f"-{sampler}-{number:02d}.extxyz"


def restart_file(sampler: str, material: str) -> Path:
    """Return where the state of an unfinished trajectory lies."""
    return Path(RESULTS, "sampling", sampler, "restart", f"{material}.npz")


def run(structure: Path, task: None, calculator: PesCalculator | None, settings: Settings) -> dict[str, Any]:
    """Sample one material.

    Returns
    -------
    dict
        Seed, atoms, steps, mean temperature, the strain of each frame; ``files``: one extended XYZ file a frame.

    Raises
    ------
    pesbench.failures.Failure
        When the structure file is wrong or the trajectory explodes.
    """
    from pesbench.engine.states import rattled, starting_cell, strained, strains
    from pesbench.failures import stage

    material = material_of(structure)
    with stage("structure"):
        start = starting_cell(_crystal(structure), settings.min_atoms)
    seed = seed_of(settings.seed, material)
    values: dict[str, Any] = {"formula": start.get_chemical_formula(), "atoms": len(start), "seed": seed}
    if calculator is None:
        frames = [rattled(start, settings.rattle_ang, seed + n) for n in range(settings.rattled_cells)]
        applied = [0.0] * len(frames)
    else:
        snapshots, more = _hot(start, material, calculator, settings, seed)
        applied = strains(len(snapshots), settings.strained, settings.strain)
        frames = [strained(atoms, s) if s else atoms for atoms, s in zip(snapshots, applied, strict=True)]
        values |= more
    sampler = RATTLED if calculator is None else calculator.model_name
    files = {frame_suffix(sampler, n): _xyz(atoms, material) for n, atoms in enumerate(frames)}
    return {**values, "strains": applied, "files": files}


def material_of(structure: Path) -> str:
    """Return a material's id: a shipped file is called by it, a user's own lies in the folder of its check."""
    return structure.stem if structure.suffix == ".yaml" else f"check-{structure.parents[1].name}"


def _crystal(structure: Path) -> Structure:
    """Return a shipped structure's conventional cell, or the cell of a user's extended XYZ file as it stands."""
    if structure.suffix == ".yaml":
        from pesbench.sources.prototypes import load_prototype

        return load_prototype(structure).structure
    from pymatgen.io.ase import AseAtomsAdaptor

    from pesbench.dft.result import read_frame

    return AseAtomsAdaptor.get_structure(read_frame(structure))


def _hot(
    start: Atoms, material: str, calculator: PesCalculator, settings: Settings, seed: int
) -> tuple[list[Atoms], dict[str, Any]]:
    """Return the snapshots of a hot trajectory, and what the record says of it."""
    from pesbench.engine.md import MdSettings, run_md

    keys = ("temperature_kelvin", "length_ps", "timestep_fs", "friction_per_ps", "snapshots")
    trajectory = run_md(
        start,
        calculator,
        MdSettings(**{key: getattr(settings, key) for key in keys}),
        seed,
        calculator.model_name,
        restart_file(calculator.model_name, material),
    )
    mean = trajectory.mean_temperature_kelvin
    return trajectory.snapshots, {"steps": trajectory.steps, "mean_temperature_kelvin": mean}


def _xyz(atoms: Atoms, material: str) -> bytes:
    import io

    from ase.io import write

    copy, text = atoms.copy(), io.StringIO()
    copy.info = {"material": material}
    write(text, copy, format="extxyz", columns=["symbols", "positions"])
    return text.getvalue().encode()
