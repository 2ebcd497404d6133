"""Hot molecular dynamics at constant volume: evenly spaced snapshots, and a state on disk to go on from."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.neighborlist import natural_cutoffs, neighbor_list

from pesbench.errors import RecordError
from pesbench.failures import Failure
from pesbench.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from numpy.typing import NDArray

STAGE = "molecular dynamics"
# A kill loses at most this many steps.
SAVE_STEPS = 100
# Beyond these a trajectory has left physics: it is recorded as exploded.
HOTTEST = 10.0  # times the thermostat's temperature
DEEPEST_EV_PER_ATOM = 1.0  # below the potential energy of the start
FUSED = 0.5  # of the sum of two covalent radii


@dataclass(frozen=True)
class MdSettings:
    """One trajectory; the thermostat is Langevin's, in which every atom meets its own noise and friction."""

    temperature_kelvin: float
    length_ps: float
    timestep_fs: float
    friction_per_ps: float
    snapshots: int

    @property
    def steps_between(self) -> int:
        """Steps from one snapshot to the next."""
        return max(1, round(self.length_ps * 1000.0 / self.timestep_fs / self.snapshots))


@dataclass(frozen=True)
class Trajectory:
    """What is kept of a trajectory.

    Attributes
    ----------
    snapshots
        Copies of the structure without calculator, evenly spaced in time, the last at the very end.
    steps
        Steps in all.
    mean_temperature_kelvin
        Kinetic, over the second half.
    """

    snapshots: list[Atoms]
    steps: int
    mean_temperature_kelvin: float


@dataclass
class _State:
    """All that the next step depends on, and what was collected so far."""

    step: int
    start_energy_ev: float
    kelvin: list[float]
    positions: NDArray[np.float64]
    momenta: NDArray[np.float64]
    kept: list[NDArray[np.float64]]
    rng: dict[str, Any]


def run_md(
    atoms: Atoms, calculator: Calculator, settings: MdSettings, seed: int, name: str, restart: Path
) -> Trajectory:
    """Run one trajectory to its end, going on from ``restart`` where an earlier attempt was killed.

    The numbers are those of an attempt that nobody killed, to the last bit.

    Parameters
    ----------
    atoms
        Start; left as it is.
    seed
        Of the first velocities and of the noise.
    name
        Of the model: a state of another model is not gone on from.
    restart
        File of the state; removed at the end.

    Raises
    ------
    Failure
        When the trajectory explodes; the message says where and why.
    """
    work = atoms.copy()
    work.calc = calculator
    rng = np.random.Generator(np.random.PCG64(seed))
    key = _key(atoms, settings, seed, name)
    state = _load(restart, key) or _begin(work, settings, rng)
    work.set_positions(state.positions)
    work.set_momenta(state.momenta)
    rng.bit_generator.state = state.rng
    dynamics = Langevin(
        work,
        timestep=settings.timestep_fs * units.fs,
        temperature_K=settings.temperature_kelvin,
        friction=settings.friction_per_ps / (1000.0 * units.fs),
        fixcm=False,  # the center of mass takes part: only then is the ensemble the canonical one
        rng=rng,
    )
    total = settings.steps_between * settings.snapshots
    while state.step < total:
        _advance(dynamics, state, settings)
        check_sound(work, state.step, state.start_energy_ev, settings.temperature_kelvin)
        state.positions, state.momenta = work.get_positions(), work.get_momenta()
        state.rng = dict(rng.bit_generator.state)
        if state.step < total:
            write_atomic(restart, _pack(state, key))
    restart.unlink(missing_ok=True)
    half = state.kelvin[len(state.kelvin) // 2 :]
    return Trajectory([_at(atoms, x) for x in state.kept], total, float(np.mean(half)))


def _advance(dynamics: Langevin, state: _State, settings: MdSettings) -> None:
    """Go on to the next point at which the state is saved; collect temperatures and snapshots on the way."""
    total = settings.steps_between * settings.snapshots
    for _ in range(min(SAVE_STEPS, total - state.step)):
        dynamics.step()
        state.step += 1
        state.kelvin.append(float(dynamics.atoms.get_temperature()))
        if state.step % settings.steps_between == 0:
            state.kept.append(dynamics.atoms.get_positions())


def check_sound(work: Atoms, step: int, start_energy_ev: float, target_kelvin: float) -> None:
    """Raise Failure where a trajectory has left physics: too hot, atoms fused, or fallen into a hole."""
    kelvin = work.get_temperature()
    if not kelvin <= HOTTEST * target_kelvin:
        raise Failure(
            STAGE, f"exploded: {kelvin:.0f} K after {step} steps, the thermostat's is {target_kelvin:.0f} K"
        )
    first, second, distance = neighbor_list("ijd", work, natural_cutoffs(work, mult=FUSED))
    if distance.size:
        closest = distance.argmin()
        names = f"{work.symbols[first[closest]]} and {work.symbols[second[closest]]}"
        raise Failure(STAGE, f"exploded: {names} are {distance[closest]:.2f} A apart after {step} steps")
    fallen = (start_energy_ev - work.get_potential_energy()) / len(work)
    if fallen > DEEPEST_EV_PER_ATOM:
        raise Failure(
            STAGE, f"exploded: {fallen:.1f} eV/atom below the start after {step} steps, a hole of the model"
        )


def _begin(work: Atoms, settings: MdSettings, rng: np.random.Generator) -> _State:
    # Twice the temperature: half of it goes into the potential energy of a crystal that starts at rest.
    thermalize_momenta(work, 2.0 * settings.temperature_kelvin, rng=rng)
    return _State(
        step=0,
        start_energy_ev=float(work.get_potential_energy()),
        kelvin=[],
        positions=work.get_positions(),
        momenta=work.get_momenta(),
        kept=[],
        rng=dict(rng.bit_generator.state),
    )


def _at(atoms: Atoms, positions: NDArray[np.float64]) -> Atoms:
    copy = atoms.copy()
    copy.set_positions(positions)
    copy.wrap()
    return copy


def _key(atoms: Atoms, settings: MdSettings, seed: int, name: str) -> str:
    """Digest of everything that a trajectory depends on."""
    text = json.dumps([asdict(settings), seed, name, SAVE_STEPS], sort_keys=True).encode()
    parts = [atoms.numbers.astype("<i8"), atoms.positions.astype("<f8"), atoms.cell.array.astype("<f8")]
    return hashlib.sha256(text + b"".join(part.tobytes() for part in parts)).hexdigest()


def _pack(state: _State, key: str) -> bytes:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        key=key,
        step=state.step,
        start_energy_ev=state.start_energy_ev,
        kelvin=state.kelvin,
        positions=state.positions,
        momenta=state.momenta,
        kept=np.array(state.kept).reshape(-1, *state.positions.shape),
        rng=json.dumps(state.rng),
    )
    return buffer.getvalue()


def _load(path: Path, key: str) -> _State | None:
    """Return the state that a killed attempt at the same trajectory left, or None."""
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as data:
            if str(data["key"]) != key:
                return None
            return _State(
                step=int(data["step"]),
                start_energy_ev=float(data["start_energy_ev"]),
                kelvin=[float(t) for t in data["kelvin"]],
                positions=data["positions"],
                momenta=data["momenta"],
                kept=list(data["kept"]),
                rng=json.loads(str(data["rng"])),
            )
    except (OSError, ValueError, KeyError) as error:
        raise RecordError(
            f"{path}: cannot be read ({error}); delete it, the trajectory then starts anew"
        ) from error
