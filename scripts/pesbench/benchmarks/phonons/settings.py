"""What a run of the phonon benchmark may set (standard library only: the workflow reads it while it starts)."""

from __future__ import annotations

from dataclasses import dataclass

from pesbench.config import number, whole_number

#: A crystal with a frequency below this is a saddle point: imaginary by more than noise.
SADDLE_THZ = -0.05


@dataclass(frozen=True)
class Settings:
    """Protocol of one run.

    Attributes
    ----------
    displacement_ang
        Length of an atom's displacement (PhononDB, Deng, Loew: 0.01).
    fmax_ev_per_ang
        Largest force, and largest generalized force of the cell, at which a relaxation counts as converged
        (Loew: 0.005).
    goal_ev_per_ang
        What the relaxation with the space group kept goes on for: tight enough for both papers.
    free_relaxation
        Whether the materials of Deng's table are relaxed once more as the paper did, without symmetry. It takes most
        of the time; without it the table has the values with the space group kept, and says so.
    free_goal_ev_per_ang
        What the relaxation without symmetry goes on for (Deng, by atomate2's default: 1e-5).
    max_steps
        Optimizer steps after which a relaxation is recorded as not converged.
    mesh
        Points along each reciprocal axis of the mesh for density of states and thermodynamics (Loew: 20).
    temperature_kelvin
        Temperature of entropy, free energy and heat capacity (Loew: 300).
    """

    displacement_ang: float = 0.01
    fmax_ev_per_ang: float = 0.005
    goal_ev_per_ang: float = 0.0001
    free_relaxation: bool = True
    free_goal_ev_per_ang: float = 0.00001
    max_steps: int = 500
    mesh: int = 20
    temperature_kelvin: float = 300.0

    def __post_init__(self) -> None:
        where = "benchmarks.phonons"
        number(self.displacement_ang, f"{where}.displacement_ang", 1e-4, 0.2, "angstrom")
        number(self.fmax_ev_per_ang, f"{where}.fmax_ev_per_ang", 1e-6, 0.1, "eV/angstrom")
        number(self.goal_ev_per_ang, f"{where}.goal_ev_per_ang", 1e-6, 0.1, "eV/angstrom")
        number(self.free_goal_ev_per_ang, f"{where}.free_goal_ev_per_ang", 1e-6, 0.1, "eV/angstrom")
        if not isinstance(self.free_relaxation, bool):
            raise ValueError(f"free_relaxation is {self.free_relaxation!r}, must be true or false")
        whole_number(self.max_steps, f"{where}.max_steps", 1, 100_000, "steps")
        whole_number(self.mesh, f"{where}.mesh", 1, 100, "points")
        number(self.temperature_kelvin, f"{where}.temperature_kelvin", 1, 5000, "K")
