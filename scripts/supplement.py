"""Write every supplementary table from the journals at hand, without asking a model."""

from pathlib import Path

from pesbench import naming
from pesbench.config import benchmark_module
from pesbench.jobs import Job, records_at_hand
from pesbench.logs import logged
from pesbench.models.registry import load_registry
from pesbench.tables import read_published, write_tables

with logged(snakemake.log[0]):
    registry, folder = load_registry(Path("data/models.yaml")), Path(naming.RESULTS, "tables")
    jobs = [Job(**job) for job in snakemake.params.jobs.values()]
    for benchmark in sorted({job.benchmark for job in jobs}):
        of_benchmark = {job.model: job for job in jobs if job.benchmark == benchmark}
        records = {model: records_at_hand(job, registry.get(model)) for model, job in of_benchmark.items()}
        levels = {model: registry.get(model).level_of_theory for model in of_benchmark}
        write_tables(benchmark_module(benchmark).tables(records, levels, snakemake.params.seed), folder)
    for name in snakemake.params.published:
        write_tables({name: read_published(Path(f"data/published/{name}.csv"))}, folder)
