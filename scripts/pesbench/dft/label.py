"""Label one structure with energy, forces and stress, and with the evidence that they are converged."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms

    from pesbench.dft.result import Label
    from pesbench.dft.settings import DftSettings


def label(atoms: Atoms, settings: DftSettings, folder: Path) -> Label:
    """Compute energy, forces and stress of a structure as it stands, with the code that ``settings`` name.

    Parameters
    ----------
    folder
        Where the code keeps its own files; made when it is not there.

    Raises
    ------
    Failure
        ``not_converged`` where the electrons were not: such a label is refused.
    DftError
        When the code is not there.
    """
    if settings.code == "gpaw":
        from pesbench.dft.gpaw import label_gpaw as run
    else:
        from pesbench.dft.vasp import label_vasp as run
    return run(atoms, settings, folder)


def check_ready(settings: DftSettings) -> None:
    """Raise DftError when the code of ``settings`` is not there at all; VASP may have been run elsewhere."""
    if settings.code == "gpaw":
        from pesbench.dft import gpaw

        gpaw.check_ready()
