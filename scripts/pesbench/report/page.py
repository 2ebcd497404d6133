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
from pesbench.phonon_run import formulas_of, run_of
from pesbench.records import Record, read_records
from pesbench.report.parts import Figure, Section, frame_table, image_figure, layout_table
from pesbench.report.phonons import FOLDER, phonons_section, write_materials
from pesbench.report.phonons import TABLE as PHONONS
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
from pesbench.report.standing import standing_section, standings_of
from pesbench.report.surfaces import surfaces_section
from pesbench.status import Standing
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
PHONON_CAPTIONS = {
    "deng2025_fig4a": "Fig. 4a of Deng et al. rebuilt: band structures of DFT (solid) and of the models (dashed) for "
    "CsF, or where it is not in the run for the material that the title names.",
    "deng2025_fig4b": "Fig. 4b of Deng et al. rebuilt: maximum phonon frequency over DFT's, published (hollow, upper "
    "half) and ours (filled, lower half). Lines are quartiles; fewer than five values are drawn as points.",
    "deng2025_s3_reproduction": "Our maximum frequencies against the published ones of the same model.",
    "loew2024_fig1": "Fig. 1 of Loew et al. for the materials of this run: elements per cell and crystal systems "
    "before relaxation. The paper's third panel, band gaps, is left out: no source at hand gives them.",
    "loew2024_fig2": "Fig. 2 of Loew et al. for the materials of this run: in how many of them each element is.",
    "loew2024_fig3": "Fig. 3 of Loew et al.: errors in the relaxed volume, against the database that the axis names.",
    "loew2024_fig4": "Fig. 4 of Loew et al.: errors in the maximum frequency at the commensurate q-points and, at "
    "300 K and per mole of primitive cells, in entropy, free energy and heat capacity.",
    "loew2024_fig5": "Fig. 5 of Loew et al.: distribution of the maximum frequency at the commensurate q-points.",
    "deng2025_s3_metrics": "Errors of the maximum frequency against DFT, with 95 % bootstrap intervals",
    "phonons_stability": "Dynamical stability under several definitions",
    "loew2024_t1": "After Table I of Loew et al.: relaxation",
    "loew2024_t2": "After Table II of Loew et al.: frequencies and thermodynamics",
    "loew2024_t3": "After Table III of Loew et al.: dynamical stability",
    "loew2024_t4": "After Table IV of Loew et al.: the models",
    "mattersim_mt_s4": "After Table S4 of MatterSim-MT: largest frequency and group velocity",
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
        png files by name (`CAPTIONS`, `PHONON_CAPTIONS`) or by caption.
    phonons
        ``results/phonons``, below which the kept band structures lie.
    phonon_databases
        Level of theory of each database that is run beside the models, by name.
    phonon_manifest
        Manifest of the phonon benchmark, for the formulas.
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
    phonons: Path | None = None
    phonon_databases: Mapping[str, str] = field(default_factory=dict)
    phonon_manifest: Path | None = None

    def files(self) -> dict[str, Path]:
        """Return every input file that is there, by a name for people."""
        found: dict[str, Path | None] = {}
        for kind in ("published", "tables", "records", "conformance", "environments", "figures"):
            found |= {f"{kind}: {name}": path for name, path in sorted(getattr(self, kind).items())}
        found |= {"claims": self.claims, "run configuration": self.run_config, "model registry": self.models}
        found |= {"phonon manifest": self.phonon_manifest}
        return {name: path for name, path in found.items() if path is not None and path.exists()}


def build_report(inputs: ReportInputs, output: Path, extra: Sequence[Section] = ()) -> None:
    """Write the report as one HTML file, and beside it the files of the phonon materials, if there are any.

    Parameters
    ----------
    inputs
        What to show.
    output
        Where to write it, e.g. ``results/report/index.html``.
    extra
        Sections of other benchmarks, shown after surfaces and phonons.

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
        standing_section(standings_of(records)),
        *_surfaces(inputs, runs, records),
        *_phonons(inputs, records, output.parent / FOLDER),
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
    write_atomic(output, render(TITLE, lead(config, records, inputs.phonon_databases), sections))


def build_status(standings: Sequence[Standing], output: Path) -> None:
    """Write how far a run is as a page of its own, also while it goes on."""
    done, wanted = sum(one.done for one in standings), sum(one.wanted for one in standings)
    lead = [f"{done} of {wanted} records are there; {sum(s.running for s in standings)} jobs are at work."]
    write_atomic(output, render("pesbench: status", lead, [standing_section(standings)]))


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


def lead(config: Mapping[str, Any], records: Sequence[Record], databases: Mapping[str, str]) -> list[str]:
    """Return what was run, in a few lines; a database that is run beside the models is named by itself."""
    if not records:
        return ["Nothing has run yet: this page shows the published values alone."]
    n = len({(r.benchmark, r.id) for r in records})
    names = sorted({r.model for r in records}, key=lambda name: (name in databases, name))
    told = [f"{name} (forces on file, {databases[name]})" if name in databases else name for name in names]
    states = [
        f"{sum(r.status == s for r in records)} {word}"
        for s, word in _WORDS.items()
        if any(r.status == s for r in records)
    ]
    versions = sorted({f"{name} {version}" for r in records for name, version in r.versions.items()})
    reference = config.get("reference", "published")
    return [
        f"Ran {', '.join(told)} on {n} material{'s' * (n != 1)}: {', '.join(states)}. Reference: {reference}.",
        f"Software that gave the records: {', '.join(versions) or 'not recorded'}.",
    ]


_WORDS = {"ok": "ok", "not_converged": "not converged in part", "failed": "failed in part"}


def _surfaces(inputs: ReportInputs, runs: pd.DataFrame | None, records: Sequence[Record]) -> list[Section]:
    path = inputs.published.get(SURFACES)
    if path is None or not path.exists():
        return []
    images = tuple(_images(inputs, [name for name in inputs.figures if name not in PHONON_CAPTIONS]))
    return [surfaces_section(read_published(path), runs, images, frozenset(map(anchor, records)))]


def _images(inputs: ReportInputs, names: Sequence[str]) -> list[Figure]:
    captions = CAPTIONS | PHONON_CAPTIONS
    there = [(n, inputs.figures[n]) for n in names if n in inputs.figures and inputs.figures[n].exists()]
    return [image_figure(path, captions.get(name, name)) for name, path in there]


def _phonons(inputs: ReportInputs, records: Sequence[Record], folder: Path) -> list[Section]:
    """Return the section on phonons, and write the files that its band structures come from."""
    table = _phonon_table(inputs)
    if inputs.phonons is None or table is None:
        return []
    published = read_published(inputs.published[PHONONS])
    manifest = inputs.phonon_manifest
    listed = [read_published(manifest)] if manifest and manifest.exists() else []
    run = run_of(records, inputs.phonon_databases, formulas_of(*listed, published), inputs.phonons)
    write_materials(run, folder)
    names = [n for n in PHONON_CAPTIONS if n in inputs.tables and inputs.tables[n].exists()]
    tables = {n: (PHONON_CAPTIONS[n], pd.read_csv(inputs.tables[n])) for n in names}
    return [phonons_section(run, published, table, tables, _images(inputs, list(PHONON_CAPTIONS)))]


def _phonon_table(inputs: ReportInputs) -> pd.DataFrame | None:
    """Return our tidy table; None where the benchmark was not run, and the table is the published one."""
    table = _tidy(inputs.tables.get(PHONONS))
    return table if inputs.phonons and table is not None and "model" in table.columns else None


def _other_tables(inputs: ReportInputs) -> list[Section]:
    """Return the other tidy tables of ours, and the published tables that nothing has rebuilt yet."""
    shown = {SURFACES} if _phonon_table(inputs) is None else {SURFACES, PHONONS, *PHONON_CAPTIONS}
    ours = [
        frame_table(f"table-{name}", CAPTIONS.get(name, name), pd.read_csv(path))
        for name, path in sorted(inputs.tables.items())
        if name not in {*PAPER_TABLES, *shown} and path.exists()
    ]
    published = [
        layout_table(paper_layout(name, read_published(path)))
        for name, path in sorted(inputs.published.items())
        if name in PAPER_TABLES and name not in shown and path.exists()
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
