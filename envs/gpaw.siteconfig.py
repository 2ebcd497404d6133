# How the source of GPAW is compiled (GPAW_CONFIG): C++, OpenBLAS, FFTW and libxc of the system; MPI where it is there.
# ruff: noqa: F821 (libraries is GPAW's)
from shutil import which

mpi = which("mpic++") is not None
compiler = "mpic++" if mpi else "g++"
fftw = True
libraries += ["openblas", "fftw3"]
