"""Score one benchmark and write its tables, from merged records or, for the supplement, from the journals at hand."""

from pathlib import Path

from pesbench.config import benchmark_module
from pesbench.jobs import Job, OnFile, records_at_hand
from pesbench.logs import logged
from pesbench.models.registry import load_registry
from pesbench.records import read_records
from pesbench.tables import write_tables

with logged(snakemake.log[0]):
    levels, jobs = snakemake.params.levels, [Job(**job) for job in snakemake.params.at_hand]
    if jobs:
        registry = load_registry(Path("data/models.yaml"))
        entries = {name: registry.models.get(name, OnFile()) for name in levels}
        records = {job.model: records_at_hand(job, entries[job.model]) for job in jobs}
    else:
        files = map(Path, snakemake.input.records)
        records = {model: read_records(path) for model, path in zip(levels, files, strict=True)}
    frames = benchmark_module(snakemake.params.benchmark).tables(records, levels, snakemake.params.seed)
    write_tables(frames, Path(snakemake.output[0]).parent)
