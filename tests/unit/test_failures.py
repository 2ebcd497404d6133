"""What becomes a record (the material's failure) and what ends the job (the machine's)."""

import errno

import pytest

from pesbench.errors import CheckpointError, ConfigError, ConformanceError, PrototypeError, RecordError
from pesbench.failures import Failure, is_infrastructure, stage

MATERIAL = [
    ValueError("no slab"),
    RuntimeError("cholesky failed"),
    ZeroDivisionError("division by zero"),
    PrototypeError("data/prototypes/mp-30.yaml: formula"),
    ConfigError("a wrong setting"),
    OSError(errno.ENOENT, "No such file"),
    AssertionError(),
]
MACHINE = [
    MemoryError(),
    RecordError("disk"),
    CheckpointError("weights"),
    ConformanceError("numbers"),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: Out of Memory"),
    *(OSError(number, "disk") for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)),
]


def name_of(error: BaseException) -> str:
    return f"{type(error).__name__}-{error}"[:40]


@pytest.mark.parametrize("error", MATERIAL, ids=name_of)
def test_error_of_the_material_becomes_a_failure_of_the_stage(error: Exception) -> None:
    assert not is_infrastructure(error)
    with pytest.raises(Failure) as caught, stage("bulk relaxation"):
        raise error
    failure = caught.value
    assert (failure.stage, failure.status) == ("bulk relaxation", "failed")
    assert failure.message == f"{type(error).__name__}: {error}" and failure.__cause__ is error


@pytest.mark.parametrize("error", MACHINE, ids=name_of)
def test_error_of_the_machine_passes_through_every_stage(error: Exception) -> None:
    assert is_infrastructure(error)
    with pytest.raises(type(error)) as caught, stage("run"), stage("slab"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_interruption_is_no_failure(error: BaseException) -> None:
    with pytest.raises(type(error)), stage("slab"):
        raise error


def test_innermost_stage_and_status_are_kept() -> None:
    with pytest.raises(Failure) as caught, stage("run"), stage("bulk relaxation"):
        raise Failure("bulk", "fmax 0.2 eV/A after 500 steps", "not_converged")
    assert (caught.value.stage, caught.value.status) == ("bulk", "not_converged")
    with pytest.raises(Failure) as caught, stage("run"), stage("slab"):
        raise ValueError("atoms on top of each other")
    assert (
        caught.value.stage == "slab" and str(caught.value) == "slab: ValueError: atoms on top of each other"
    )


def test_nothing_wrong_is_nothing_raised() -> None:
    done = []
    with stage("slab"):
        done.append(1)
    assert done == [1]
