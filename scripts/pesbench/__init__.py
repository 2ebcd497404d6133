"""pesbench: rebuild published benchmarks of universal machine-learning interatomic potentials."""

__version__ = "0.1.0"
