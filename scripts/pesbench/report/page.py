"""One page with everything that a run gave: works from disk, and the same inputs give the same bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pesbench.files import write_atomic
from pesbench.records import Record, read_records
from pesbench.report.parts import Section, frame_table, image_figure, layout_table
from pesbench.report.sections import (
    anchor,
    cost_section,
    failures_section,
    inputs_section,
    ledger_section,
    models_section,
    read_yaml,
    records_section,
    text_section,
)
from pesbench.report.surfaces import surfaces_section
from pesbench.summary import models_that_ran
from pesbench.tables import PAPER_TABLES, paper_layout, read_published

TEMPLATES = Path(__file__).parent / "templates"
TITLE = "pesbench: published benchmarks of interatomic potentials, rebuilt"
SURFACES = "deng2025_s1_surfaces"
CAPTIONS = {
    "deng2025_fig2a": "Fig. 2a of Deng et al. rebuilt: surface energies of the models against DFT.",
    "deng2025_fig2a_reproduction": "Our surface energies against the published ones of the same model.",
    "deng2025_s1_metrics": "Errors against DFT on several sets of surfaces, with 95 % bootstrap intervals",
    "deng2025_s1_terminations": "Every termination that was computed",
}


@dataclass(frozen=True)
class ReportInputs:
    """Files that the page is made from; one that does not exist yet is left out of the page.

    Attributes
    ----------
    published
        Transcribed tables by name (``deng2025_s1_surfaces`` ...).
    tables
        Our tidy tables by name; ``deng2025_s1_surfaces`` gets the plots, the others a plain table.
    records, conformance
        ``records.jsonl`` and conformance result by model.
    environments
        Frozen package list by family.
    benchmarks
        Folder below which the workflow's benchmark files (``*.tsv``) lie.
    figures
        png files of the surface benchmark by name (`CAPTIONS`) or by caption.
    """

    published: Mapping[str, Path]
    tables: Mapping[str, Path] = field(default_factory=dict)
    records: Mapping[str, Path] = field(default_factory=dict)
    conformance: Mapping[str, Path] = field(default_factory=dict)
    environments: Mapping[str, Path] = field(default_factory=dict)
    figures: Mapping[str, Path] = field(default_factory=dict)
    claims: Path | None = None
    run_config: Path | None = None
    models: Path | None = None
    benchmarks: Path | None = None

    def files(self) -> dict[str, Path]:
        """Return every input file that is there, by a name for people."""
        found: dict[str, Path | None] = {}
        for kind in ("published", "tables", "records", "conformance", "environments", "figures"):
            found |= {f"{kind}: {name}": path for name, path in sorted(getattr(self, kind).items())}
        found |= {"claims": self.claims, "run configuration": self.run_config, "model registry": self.models}
        return {name: path for name, path in found.items() if path is not None and path.exists()}


def build_report(inputs: ReportInputs, output: Path, extra: Sequence[Section] = ()) -> None:
    """Write the report as one self-contained HTML file.

    Parameters
    ----------
    inputs
        What to show.
    output
        Where to write it, e.g. ``results/report/index.html``.
    extra
        Sections of other benchmarks, shown after the surfaces.

    Raises
    ------
    RecordError
        When a file of records is corrupt, naming the line.
    """
    records = [r for _, path in sorted(inputs.records.items()) if path.exists() for r in read_records(path)]
    runs = _tidy(inputs.tables.get(SURFACES))
    config = read_yaml(inputs.run_config)
    sections = [
        ledger_section(_json(inputs.claims, [])),
        *_surfaces(inputs, runs, records),
        *extra,
        *_other_tables(inputs),
        failures_section(records),
        cost_section(records, inputs.benchmarks),
        models_section(read_yaml(inputs.models), _results(inputs.conformance), models_that_ran(runs)),
        text_section(
            "configuration", "Resolved configuration", "", _texts({"run_config.yaml": inputs.run_config})
        ),
        text_section(
            "environments", "Environments", "Installed packages by family.", _texts(inputs.environments)
        ),
        records_section(records),
        inputs_section(inputs.files()),
    ]
    write_atomic(output, render(TITLE, lead(config, records), sections))


def render(title: str, lead: Sequence[str], sections: Sequence[Section]) -> str:
    """Return the page; everything that comes from data is escaped."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.j2").render(title=title, lead=lead, sections=sections)


def lead(config: Mapping[str, Any], records: Sequence[Record]) -> list[str]:
    """Return what was run, in a few lines."""
    if not records:
        return ["Nothing has run yet: this page shows the published values alone."]
    n = len({(r.benchmark, r.id) for r in records})
    models = sorted({r.model for r in records})
    states = [
        f"{sum(r.status == s for r in records)} {word}"
        for s, word in _WORDS.items()
        if any(r.status == s for r in records)
    ]
    versions = sorted({f"{name} {version}" for r in records for name, version in r.versions.items()})
    reference, told = config.get("reference", "published"), ", ".join(states)
    return [
        f"Ran {', '.join(models)} on {n} material{'s' * (n != 1)}: {told}. Reference: {reference}.",
        f"Software that gave the records: {', '.join(versions) or 'not recorded'}.",
    ]


_WORDS = {"ok": "ok", "not_converged": "not converged in part", "failed": "failed in part"}


def _surfaces(inputs: ReportInputs, runs: pd.DataFrame | None, records: Sequence[Record]) -> list[Section]:
    path = inputs.published.get(SURFACES)
    if path is None or not path.exists():
        return []
    images = tuple(
        image_figure(png, CAPTIONS.get(name, name)) for name, png in inputs.figures.items() if png.exists()
    )
    return [surfaces_section(read_published(path), runs, images, frozenset(map(anchor, records)))]


def _other_tables(inputs: ReportInputs) -> list[Section]:
    """Return the other tidy tables of ours, and the published tables that nothing has rebuilt yet."""
    ours = [
        frame_table(f"table-{name}", CAPTIONS.get(name, name), pd.read_csv(path))
        for name, path in sorted(inputs.tables.items())
        if name not in PAPER_TABLES and path.exists()
    ]
    published = [
        layout_table(paper_layout(name, read_published(path)))
        for name, path in sorted(inputs.published.items())
        if name in PAPER_TABLES and name != SURFACES and path.exists()
    ]
    parts = {"More tables of this run": ours, "Published tables, not rebuilt yet": published}
    return [Section(f"tables-{i}", t, tables=tables) for i, (t, tables) in enumerate(parts.items()) if tables]


def _tidy(path: Path | None) -> pd.DataFrame | None:
    return pd.read_csv(path) if path is not None and path.exists() else None


def _json(path: Path | None, default: Any) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path is not None and path.exists() else default


def _results(paths: Mapping[str, Path]) -> dict[str, Any]:
    return {name: _json(path, None) for name, path in sorted(paths.items()) if path.exists()}


def _texts(paths: Mapping[str, Path | None]) -> dict[str, str]:
    found = {name: path for name, path in paths.items() if path is not None and path.exists()}
    return {name: path.read_text(encoding="utf-8") for name, path in found.items()}
