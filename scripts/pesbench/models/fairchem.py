"""Models of fairchem-core 2 such as UMA, which learned several levels of theory at once."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pesbench.config import check_keys, suggest
from pesbench.errors import CheckpointError, ConfigError, PesbenchError
from pesbench.models.calculator import Evaluation, Loaded
from pesbench.models.elements import ELEMENTS_OF_MPTRJ

if TYPE_CHECKING:
    from ase import Atoms

    from pesbench.models.registry import ModelEntry


def load_fairchem(entry: ModelEntry, checkpoint: Path | None, device: str) -> Loaded:
    """Load a model of fairchem-core 2.

    The file is opened by ``pickle``, which runs what it contains: ``load_model`` compares its SHA-256 with the
    registry's before this function sees it. ``options: {task: ...}`` chooses the level of theory (omat: inorganic
    crystals). No compilation, no mixed precision, no merging of experts: one network for every composition.

    Raises
    ------
    ConfigError
        When the checkpoint has no such task, or is not conservative as the entry says.
    CheckpointError
        When the task lacks energy, forces or stress.
    """
    check_keys(entry.options, ("task",), f"{entry.name}, options")
    with quiet():
        import torch
        from fairchem.core.datasets.atomic_data import AtomicData, atomicdata_list_to_batch
        from fairchem.core.units.mlip_unit import InferenceSettings, load_predict_unit

        settings = InferenceSettings(
            base_precision_dtype=entry.dtype, activation_checkpointing=False, execution_mode="general"
        )
        assert checkpoint is not None
        unit = load_predict_unit(checkpoint, settings, device=device)
    task, dtype = entry.options.get("task"), getattr(torch, entry.dtype)
    if task not in unit.dataset_to_tasks:
        raise ConfigError(f"{entry.name}, options: task is {task!r}, {suggest(task, unit.dataset_to_tasks)}")
    missing = {"energy", "forces", "stress"} - {one.property for one in unit.dataset_to_tasks[task]}
    if missing:
        raise CheckpointError(
            f"{entry.name}: task {task} of the checkpoint has no {', '.join(sorted(missing))}"
        )
    if unit.model.module.backbone.regress_config.direct_forces == entry.forces_are_gradients:
        raise ConfigError(f"{entry.name}: forces_are_gradients is not what the checkpoint says")
    parameters = sum(parameter.numel() for parameter in unit.model.parameters())

    def evaluate_many(many: Sequence[Atoms]) -> list[Evaluation]:
        for atoms in many:
            if len(atoms) == 1 and not atoms.pbc.any():
                raise PesbenchError(
                    f"{atoms.symbols} alone, and not periodic: put it into a large periodic cell"
                )
        graphs = [AtomicData.from_ase(bare(atoms), task_name=task, target_dtype=dtype) for atoms in many]
        # The network turns every edge by a random angle: the same input must give the same bits.
        with quiet(), torch.random.fork_rng():
            torch.manual_seed(0)
            out = unit.predict(atomicdata_list_to_batch(graphs))
        energies, forces, stresses = (
            out[key].detach().cpu().numpy().astype(np.float64) for key in ("energy", "forces", "stress")
        )
        ends = np.cumsum([len(atoms) for atoms in many])[:-1]
        parts = zip(energies, np.split(forces, ends), stresses.reshape(-1, 3, 3), many, strict=True)
        return [
            Evaluation(float(energy), force, stress if atoms.pbc.all() else None)
            for energy, force, stress, atoms in parts
        ]

    return Loaded(lambda atoms: evaluate_many([atoms])[0], ELEMENTS_OF_MPTRJ, parameters, evaluate_many)


def bare(atoms: Atoms) -> Atoms:
    """Return the structure alone: the package reads charge, spin and even results from ``atoms.info``."""
    from ase import Atoms

    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the package from warning about what was chosen, and from setting up the root logger."""
    root = logging.root
    handlers, level, disabled = root.handlers[:], root.level, root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        root.setLevel(level)
        root.handlers[:] = handlers
