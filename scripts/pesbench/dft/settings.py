"""What a DFT label is computed with (standard library only: the workflow is parsed with it)."""

from __future__ import annotations

from dataclasses import dataclass

from pesbench.errors import ConfigError

CODES = ("gpaw", "vasp")


@dataclass(frozen=True)
class DftSettings:
    """Settings of one label.

    Attributes
    ----------
    code
        ``gpaw``, or ``vasp`` (with the licence's own executable and pseudopotentials).
    cutoff_ev
        Plane-wave cutoff. 600 is enough for forces; a stress in an oxide wants 800.
    kpoint_spacing_per_ang
        Largest distance between points of the Gamma-centered mesh, 2 pi included, as VASP's KSPACING.
    smearing_ev
        Width of the occupations: Fermi-Dirac with GPAW, Gaussian with VASP (ISMEAR 0).
    force_change_ev_per_ang
        The electrons are converged when no force changes by more than this in a step (GPAW; VASP has EDIFF 1e-6).
    max_scf_steps
        After these the label is `not_converged`, and refused.
    """

    code: str = "gpaw"
    cutoff_ev: float = 600.0
    kpoint_spacing_per_ang: float = 0.5
    smearing_ev: float = 0.05
    force_change_ev_per_ang: float = 0.005
    max_scf_steps: int = 100

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ConfigError(f"code is '{self.code}', must be one of: {', '.join(CODES)}")
        for name, value, low, high, unit in (
            ("cutoff_ev", self.cutoff_ev, 100.0, 3000.0, "eV"),
            ("kpoint_spacing_per_ang", self.kpoint_spacing_per_ang, 0.05, 2.0, "1/A"),
            ("smearing_ev", self.smearing_ev, 0.001, 1.0, "eV"),
            ("force_change_ev_per_ang", self.force_change_ev_per_ang, 1e-6, 0.1, "eV/A"),
            ("max_scf_steps", self.max_scf_steps, 5, 10_000, "steps"),
        ):
            if not low <= value <= high:
                raise ConfigError(f"{name} is {value!r}, must be from {low} to {high} {unit}")
