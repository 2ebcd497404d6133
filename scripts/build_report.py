"""Bring tables, figures, ledger, records and provenance together in one page."""

from pathlib import Path

from pesbench.benchmarks.phonons import MANIFEST, REFERENCES
from pesbench.logs import logged
from pesbench.report.page import ReportInputs, build_report


def by_stem(paths, suffix=""):
    """Return path by file stem."""
    return {Path(path).stem: Path(path) for path in paths if str(path).endswith(suffix)}


with logged(snakemake.log[0]):
    inputs = ReportInputs(
        published=by_stem(snakemake.input.published),
        tables=by_stem(snakemake.input.tables),
        records={"/".join(Path(path).parts[1:3]): Path(path) for path in snakemake.input.records},
        conformance=by_stem(snakemake.input.conformance),
        environments={path.stem: path for path in sorted(Path(".venvs").glob("*.ok"))},
        figures=by_stem(snakemake.input.figures, ".png"),
        claims=Path(snakemake.input.claims),
        run_config=Path(snakemake.input.run_config),
        models=Path("data/models.yaml"),
        benchmarks=Path("results/benchmarks"),
        phonons=Path("results/phonons"),
        phonon_databases=REFERENCES,
        phonon_manifest=Path(MANIFEST),
    )
    build_report(inputs, Path(snakemake.output.page))
