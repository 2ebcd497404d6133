"""The workflow's plan: which jobs, what an edit runs again, what a new model or benchmark needs, its form."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from services import Page, Service, serving

from pesbench.models.registry import load_registry

ROOT = Path(__file__).resolve().parents[2]
RULE_FILES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
CHUNK = yaml.safe_load((ROOT / "config.yaml").read_text())["jobs"]["materials_per_chunk"]
BENCHMARKS = yaml.safe_load((ROOT / "config.yaml").read_text())["benchmarks"]
DEFAULT = [len(benchmark["default_materials"]) for benchmark in BENCHMARKS.values()]
#: Rules that run a model, or build what it runs in.
DEAR = {"environment", "conformance", "model_chunk"}
#: Jobs that the default configuration needs beside the models'; one table is published values alone.
SINGLE = "run_config claims report_page checks all published_table"
SCORING = (
    "surfaces_tables surfaces_figures phonons_tables phonons_figures high_energy_tables high_energy_figures"
)
ONCE = dict.fromkeys(f"{SINGLE} {SCORING}".split(), 1)


def expected(models: int, *materials: int, labelled: int = 0) -> dict[str, int]:
    """Return the plan for models with an environment of their own to build, and so many materials a benchmark.

    ``labelled``: files of labelled frames to fetch; by default there are none.
    """
    chunks = sum(math.ceil(number / CHUNK) for number in materials)
    each = dict.fromkeys(("environment", "conformance"), models)
    each |= {"labelled": labelled} if labelled else {}
    return {**ONCE, **each, "merge_records": models * len(materials), "model_chunk": models * chunks}


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of this Python's environment in the repository."""
    words = [str(Path(sys.executable).with_name(name)), *arguments]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def unbuilt(workflow: Any) -> Any:
    """The workflow with its default configuration on a machine that has no environment yet."""
    (workflow.root / ".venvs").unlink()
    workflow.configfile = ""
    return workflow


# ------------------------------------------------------------------ the plan


def test_the_default_configuration_plans_two_models(unbuilt: Any) -> None:
    assert unbuilt.plan() == expected(2, *DEFAULT)


def test_all_materials_are_planned_in_chunks(unbuilt: Any) -> None:
    plan = unbuilt.plan(config={"materials": "all"})
    chunks = math.ceil(597 / CHUNK)
    assert plan == expected(2, 29, 597, 19, labelled=5) | {"archives": chunks}
    assert plan["model_chunk"] == 2 * (math.ceil(29 / CHUNK) + chunks + math.ceil(19 / CHUNK))


def test_a_paper_s_set_is_planned_with_its_reference(unbuilt: Any) -> None:
    """The 229 materials of a supplementary table, no surface, and the database's own forces as a third 'model'."""
    plan = unbuilt.plan(config={"materials": "deng2025_s3", "reference": "fetched"})
    chunks = math.ceil(229 / CHUNK)
    each = {"model_chunk": 2 * chunks, "reference_chunk": chunks, "archives": chunks, "merge_records": 7}
    assert plan == expected(2, 0, 229, 0) | each


def test_the_cluster_profile_plans_the_same(unbuilt: Any) -> None:
    words = [
        word for word in unbuilt.command("--profile", "cluster", "--dry-run") if word not in ("--cores", "1")
    ]
    done = subprocess.run(
        words, cwd=unbuilt.root, env=unbuilt.environment(), capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "Using profile cluster" in output
    jobs = dict(re.findall(r"^([a-z_]+) +(\d+)$", output, flags=re.MULTILINE))
    assert {rule: int(n) for rule, n in jobs.items() if rule != "total"} == expected(2, *DEFAULT)
    # What the model jobs ask for comes from config.yaml and what was learned, and where they run from the profile.
    chunk = next(
        line for line in output[output.index("rule model_chunk") :].splitlines() if "resources:" in line
    )
    asked = dict(part.split("=", 1) for part in chunk.partition(": ")[2].split(", "))
    assert int(asked["mem_mb"]) >= 3000 and int(asked["runtime"]) >= 120
    assert (asked["slurm_partition"], asked["gres"]) == ("gpu", "gpu:1")
    tables = output[output.index("rule surfaces_tables") :].partition("\n\n")[0]
    assert "gres" not in tables


def test_one_workstation_gives_each_model_job_a_gpu(unbuilt: Any) -> None:
    words = [
        w for w in unbuilt.command("--profile", "cluster/local-gpu", "-n", "-p") if w not in ("--cores", "1")
    ]
    done = subprocess.run(
        words, cwd=unbuilt.root, env=unbuilt.environment(), capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    chunk = output[output.index("rule model_chunk") :].partition("\n\n")[0]
    assert ", gpu=1" in chunk and '"device": "cuda"' in output
    proof = output[output.index("rule conformance") :].partition("\n\n")[0]
    assert ", gpu=1" in proof and "--device cuda" in output, "proven on the hardware that it runs on"


@pytest.mark.parametrize("name", ["cluster", "cluster/local-gpu"])
def test_every_entry_of_a_profile_is_explained(name: str) -> None:
    lines = (ROOT / name / "config.yaml").read_text().splitlines()
    entries = [n for n, line in enumerate(lines) if re.match(r" *[a-z_-]+:( +\S|$)", line)]
    assert len(entries) >= 10
    for number in entries:
        assert lines[number - 1].lstrip().startswith("#"), (
            f"{name}, line {number + 1}: {lines[number].strip()}"
        )


def test_the_cluster_profile_has_what_slurm_needs() -> None:
    path = ROOT / "cluster" / "config.yaml"
    profile = yaml.safe_load(path.read_text())
    assert profile["executor"] == "slurm" and profile["retries"] == 2
    assert profile["keep-going"] is True and profile["rerun-incomplete"] is True
    assert profile["scheduler"] == "greedy" and profile["scheduler-subsample"] == 1000
    assert profile["default-resources"]["mem_mb"] >= 600
    assert {"jobs", "latency-wait", "set-resources", "slurm-logdir"} <= profile.keys()


def test_memory_and_time_follow_what_was_learned(unbuilt: Any) -> None:
    """One model takes 9 GB and a minute a unit of cost; what it asks for rises, the other's stays as configured."""
    law = {"scale_seconds": 60.0, "exponent": 1.0, "spread": 0.1, "records": 9, "largest_cost": 1e9}
    learned = {"surfaces": {"chgnet-0.3.0": {**law, "peak_memory_mb": 9000.0}}}
    (unbuilt.root / "results").mkdir()
    costs = unbuilt.root / "results/costs.json"
    costs.write_text(json.dumps({"source": "a test", "learned": learned}))
    output = unbuilt.succeed("--dry-run", "results/tables/deng2025_s1_surfaces.csv")
    asked: dict[str, list[tuple[int, int]]] = {}
    for block in output.split("rule model_chunk:")[1:]:
        model, memory, minutes = (
            re.search(pattern, block) for pattern in (r"model=([\w.-]+)", r"mem_mb=(\d+)", r"runtime=(\d+)")
        )
        assert model and memory and minutes
        asked.setdefault(model[1], []).append((int(memory[1]), int(minutes[1])))
    assert {memory for memory, _ in asked["chgnet-0.3.0"]} == {round(1.3 * 9000)}
    assert min(minutes for _, minutes in asked["chgnet-0.3.0"]) > 1000
    assert {memory for memory, _ in asked["sevennet-0"]} == {3000}
    costs.write_text("{}")
    assert "results/costs.json: not a file of learned costs" in unbuilt.fail("--dry-run")


# ------------------------------------------------------------------ what runs again


def test_a_second_run_has_nothing_to_do(finished: Any) -> None:
    before = finished.tables()
    output = finished.succeed()
    assert "Nothing to be done" in output
    assert finished.tables() == before


@pytest.mark.parametrize(
    ("module", "rerun", "kept"),
    [
        (
            "benchmarks/surfaces",
            {"surfaces_tables", "surfaces_figures", "claims", "report_page", "checks"},
            set(),
        ),
        ("records", {"merge_records", "surfaces_tables"}, {"published_table"}),
        ("plots", {"surfaces_figures", "report_page"}, {"surfaces_tables", "claims", "published_table"}),
        ("claims/ledger", {"claims", "report_page", "checks"}, {"surfaces_tables", "surfaces_figures"}),
        ("report/page", {"report_page"}, {"surfaces_tables", "surfaces_figures", "claims", "checks"}),
    ],
)
def test_a_package_module_reruns_what_it_serves(
    finished: Any, module: str, rerun: set[str], kept: set[str]
) -> None:
    with open(finished.root / f"scripts/pesbench/{module}.py", "a") as handle:
        handle.write("\n# edited\n")
    plan = finished.plan().keys()
    assert rerun <= plan
    assert not plan & (DEAR | kept | {"run_config"})


def test_a_setting_reruns_what_depends_on_it(finished: Any) -> None:
    always = {"run_config", "report_page", "all", "checks"}
    plan = finished.plan(config={"benchmarks": {"surfaces": {"fmax_ev_per_ang": 0.04}}})
    assert plan["model_chunk"] == 2 and "surfaces_tables" in plan
    assert not plan.keys() & {"conformance", "published_table"}
    plan = finished.plan(config={"seed": 7})
    assert {"surfaces_tables", "claims"} <= plan.keys() and not plan.keys() & (
        DEAR | {"merge_records", "published_table"}
    )
    assert finished.plan(config={"jobs": {"mem_mb": 2000}}).keys() == always


def test_a_changed_prototype_is_computed_alone(finished: Any) -> None:
    before, lines = finished.records(), finished.journal()
    with open(finished.root / "data/prototypes/mp-30.yaml", "a") as handle:
        handle.write("# looked at again\n")
    finished.succeed("results/surfaces/emt/records.jsonl")
    after = finished.records()
    added = finished.journal()
    for line in lines:
        added.remove(line)
    assert [record["id"] for record in added] == ["mp-30"] and added[0]["evaluations"] > 10
    assert after["mp-30"]["digests"]["input"] != before["mp-30"]["digests"]["input"]
    assert {m: after[m] for m in ("mp-124", "mp-81")} == {m: before[m] for m in ("mp-124", "mp-81")}


def test_another_chunking_computes_nothing_again(finished: Any) -> None:
    before = finished.tables()
    finished.succeed("results/tables/deng2025_s1_surfaces.csv", config={"jobs": {"materials_per_chunk": 1}})
    assert len(finished.journal()) == 3
    assert finished.tables() == before


def test_materials_that_are_added_get_jobs_of_their_own(finished: Any) -> None:
    """And a run that computes nothing, of another configuration, does not make the plan forget its chunks."""
    chunks = sorted((finished.root / "results/surfaces/emt/chunks").iterdir())
    finished.succeed("results/run_config.yaml", "--force", config={"materials": ["mp-30"]})
    more = {"materials": ["mp-30", "mp-124", "mp-81", "mp-127"]}
    assert finished.plan(config=more)["model_chunk"] == 1
    finished.succeed("results/surfaces/emt/records.jsonl", config=more)
    after = sorted((finished.root / "results/surfaces/emt/chunks").iterdir())
    assert len(after) == len(chunks) + 1 and len(finished.journal()) == 4
    assert [path.stat().st_mtime for path in after[:-1]] <= [after[-1].stat().st_mtime] * len(chunks)


# ------------------------------------------------------------------ new models, new benchmarks


def test_two_models_are_added_in_the_registry_alone(finished: Any) -> None:
    path = finished.root / "data" / "models.yaml"
    registry = yaml.safe_load(path.read_text())
    for name in ("emt-twin", "emt-other"):
        registry["models"][name] = {**registry["models"]["emt"], "note": name}
    path.write_text(yaml.safe_dump(registry))
    models = ["emt", "emt-twin", "emt-other"]
    plan = finished.plan(config={"models": models})
    assert plan["conformance"] == 2 and plan["model_chunk"] == 2 * 2
    assert plan["merge_records"] == 2 * len(BENCHMARKS), "a benchmark without materials has no records to run"
    old = finished.journal()
    output = finished.succeed("results/tables/deng2025_s1_surfaces.csv", config={"models": models}, cores=2)
    assert "surfaces emt-twin" in output and "surfaces emt 0" not in output
    assert finished.journal() == old
    table = (finished.root / "results/tables/deng2025_s1_surfaces.csv").read_text().splitlines()
    for model in models:
        assert sum(f",{model}," in line and ",ok," in line for line in table) == 18


DUMMY_MODULE = '''"""Energy of the unrelaxed structure."""

from dataclasses import dataclass
from pathlib import Path

PROTOCOL = 1
MANIFEST = "data/prototypes"
TABLES = ("dummy_energies",)
FIGURES = ()
REFERENCES = {}


@dataclass(frozen=True)
class Settings:
    """One number to multiply with."""

    scale: float = 1.0


def costs(path: Path) -> dict[str, float]:
    """Return one for every structure."""
    return {file.stem: 1.0 for file in path.glob("*.yaml")}


def sets(path: Path) -> dict[str, list[str]]:
    """No named lists."""
    return {}


def tasks(path: Path) -> dict[str, list[int]]:
    """Nothing but the structure."""
    return {file.stem: [] for file in path.glob("*.yaml")}


def run(structure, task, calculator, settings):
    """Evaluate the structure once."""
    from pymatgen.io.ase import AseAtomsAdaptor

    from pesbench.sources.prototypes import load_prototype

    atoms = AseAtomsAdaptor.get_atoms(load_prototype(structure).structure, msonable=False)
    atoms.calc = calculator
    return {"energy_ev_per_atom": settings.scale * atoms.get_potential_energy() / len(atoms)}


def tables(records, levels, seed):
    """One row a material and model."""
    import pandas as pd

    rows = [
        {"mp_id": r.id, "model": model, "status": r.status, **r.values}
        for model, of_model in records.items()
        for r in of_model
    ]
    return {"dummy_energies": pd.DataFrame(rows, columns=["mp_id", "model", "status", "energy_ev_per_atom"])}
'''
DUMMY_RULES = '''"""A dummy benchmark. INPUTS: merged records. OUTPUTS: results/tables/dummy_energies.csv."""


localrules:
    dummy_tables,


rule dummy_tables:
    """Put every model's energies in a table."""
    input:
        records=lambda wildcards: to_score("dummy"),
        code=package("benchmarks/dummy", "tables"),
    output:
        energies=naming.table("dummy_energies"),
    log:
        "results/logs/dummy/tables.log",
    benchmark:
        "results/benchmarks/dummy/tables.tsv"
    conda:
        "../envs/driver.yaml"
    params:
        benchmark="dummy",
        levels=levels("dummy"),
        seed=RUN["seed"],
        at_hand=lambda wildcards: jobs_at_hand("dummy"),
    script:
        "../scripts/benchmark_tables.py"
'''


def emt_of_copper() -> float:
    """Return EMT's energy an atom (eV) of copper with the prototype's lattice constant, by ASE alone."""
    from ase.build import bulk
    from ase.calculators.emt import EMT

    lattice = yaml.safe_load((ROOT / "data/prototypes/mp-30.yaml").read_text())["lattice"]
    atoms = bulk("Cu", "fcc", a=lattice["a_ang"], cubic=True)
    atoms.calc = EMT()
    return float(atoms.get_potential_energy()) / len(atoms)


def test_a_benchmark_is_added_in_three_places(finished: Any) -> None:
    """A module, a rule file, an entry in config.yaml; mp-1138 has elements that EMT does not know."""
    (finished.root / "scripts/pesbench/benchmarks/dummy.py").write_text(DUMMY_MODULE)
    (finished.root / "rules/dummy.smk").write_text(DUMMY_RULES)
    with open(finished.root / "config.yaml", "a") as handle:
        handle.write("\n  dummy:\n    default_materials: [mp-30, mp-1138]\n    scale: 2.0\n")
    finished.edit("tests/configs/emt.yaml", "materials: [mp-30, mp-124, mp-81]", "materials: default")
    output = finished.succeed(cores=2)
    assert "dummy emt" in output
    records = finished.records(benchmark="dummy")
    assert {m: r["status"] for m, r in records.items()} == {"mp-30": "ok", "mp-1138": "failed"}
    assert records["mp-30"]["values"]["energy_ev_per_atom"] == pytest.approx(2 * emt_of_copper(), abs=1e-5)
    assert "does not know F, Li" in records["mp-1138"]["message"]
    assert len(finished.journal()) == 3, "the surfaces were computed again"
    lines = (finished.root / "results/tables/dummy_energies.csv").read_text().splitlines()
    assert lines[0] == "mp_id,model,status,energy_ev_per_atom" and len(lines) == 3
    page = (finished.root / "results/report/index.html").read_text()
    assert "dummy_energies" in page and "does not know F, Li" in page and "surfaces" in page
    finished.succeed("supplement")
    assert (finished.root / "results/tables/dummy_energies.csv").read_text().splitlines() == lines
    assert "good condition" in finished.succeed("--lint")


# ------------------------------------------------------------------ the supplement, the report


def test_the_supplement_needs_no_run(workflow: Any) -> None:
    """Published values alone, no model, in less than 20 s (of processor time: the machine may be busy)."""
    before = os.times()
    output = workflow.succeed("supplement")
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    assert 0 < spent < 20
    ran = set(re.findall(r"^(?:local)?rule (\w+):", output, flags=re.MULTILINE))
    tables = {"surfaces_tables", "phonons_tables", "high_energy_tables", "published_table"}
    assert tables <= ran <= tables | {"supplement"}
    assert not (workflow.root / "results/surfaces").exists()
    assert not (workflow.root / "results/conformance").exists()
    folder = workflow.root / "results/tables"
    for name, rows in (("s1_surfaces", 147), ("s2_defects", 129), ("s3_phonons", 229)):
        assert len((folder / f"deng2025_{name}.csv").read_text().splitlines()) == rows + 1
        assert "0.094540" in (folder / f"deng2025_{name}.md").read_text() or name != "s1_surfaces"
        assert r"\begin{" in (folder / f"deng2025_{name}.tex").read_text()
    assert workflow.tables()["results/tables/deng2025_s1_surfaces.csv"].count(b",not_run,") == 147


def test_the_supplement_uses_what_a_cut_off_run_left(finished: Any) -> None:
    """Journals are enough; and the run that follows makes the same table."""
    wanted, lines = finished.tables(), finished.journal()
    for path in [
        *(finished.root / "results/tables").iterdir(),
        *(finished.root / "results/surfaces/emt").rglob("*.jsonl"),
    ]:
        if path.parent.name != "journal":
            path.unlink()
    finished.succeed("supplement")
    assert finished.tables() == wanted and finished.journal() == lines
    journals = (finished.root / "results/surfaces/emt/journal").iterdir()
    journal = max(journals, key=lambda path: path.stat().st_size)
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:1]))
    left = len(finished.journal())
    finished.succeed("supplement")
    surfaces = finished.tables()["results/tables/deng2025_s1_surfaces.csv"]
    assert left == 2 and surfaces.count(b",ok,") == 12 and surfaces.count(b",not_run,") == 135
    finished.succeed()
    assert finished.tables() == wanted


def test_a_supplement_of_more_does_not_stay_in_the_tables_of_a_run(finished: Any) -> None:
    """A run of one material, the supplement of all three at hand, and the run again: its table is that of one."""
    finished.succeed("--config", "materials=mp-30", "--configfile", "tests/configs/emt.yaml")
    one = finished.tables()["results/tables/deng2025_s1_surfaces.csv"]
    finished.succeed("supplement")
    assert finished.tables()["results/tables/deng2025_s1_surfaces.csv"].count(b",ok,") > one.count(b",ok,")
    finished.succeed("--config", "materials=mp-30", "--configfile", "tests/configs/emt.yaml")
    assert finished.tables()["results/tables/deng2025_s1_surfaces.csv"] == one


def test_snakemake_s_own_report_works(finished: Any) -> None:
    finished.succeed("--report", "page.html")
    page = (finished.root / "page.html").read_text(errors="replace")
    assert len(page) > 100_000
    assert "Deng 2025, S-Table I" in page


# ------------------------------------------------------------------ the rules' form


def rules_of(path: Path) -> dict[str, str]:
    """Return the text of every rule of a file."""
    parts = re.split(r"^rule (\w+):$", path.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


COLLECTORS = (
    "all",
    "supplement",
    "fetch_inputs",
    "fetch_weights",
    "prove_models",
    "hot_states",
    "hot_labels",
    "rattled_labels",
    "check",
    "fine_tuning",
)
RULES = {name: text for path in RULE_FILES for name, text in rules_of(path).items() if name not in COLLECTORS}


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_says_what_it_does_and_keeps_a_log(name: str) -> None:
    text = RULES[name]
    assert re.match(r'\n    """[^"]{20,}"""', text), f"{name}: no docstring first"
    assert "\n    log:" in text and "\n    conda:" in text
    assert "\n    benchmark:" in text
    assert "retries:" not in text and "ancient(" not in text


def test_there_are_as_many_rules_as_snakemake_lists() -> None:
    listed = re.findall(r"^(\w+)", tool("snakemake", "--list-rules").stdout, flags=re.MULTILINE)
    assert sorted([*RULES, *COLLECTORS]) == sorted(listed)
    assert len(RULES) >= 12


def test_files_are_short() -> None:
    """build_environment.py is no workflow script but a program of its own, which make runs first of all."""
    limits = dict.fromkeys(RULE_FILES, 120) | {ROOT / "Snakefile": 60}
    limits |= {path: 50 for path in (ROOT / "scripts").glob("*.py") if path.name != "build_environment.py"}
    limits |= dict.fromkeys((ROOT / "scripts" / "pesbench").rglob("*.py"), 500)
    lines = {path: len(path.read_text().splitlines()) for path in limits}
    assert len(limits) > 40
    assert {path.name: n for path, n in lines.items() if n > limits[path]} == {}


def test_lint_and_format_are_clean() -> None:
    lint = tool("snakemake", "--lint")
    assert lint.returncode == 0 and "good condition" in lint.stdout + lint.stderr, lint.stdout + lint.stderr
    form = tool("snakefmt", "--check", "Snakefile", "rules")
    assert form.returncode == 0, form.stderr


def test_what_a_job_is_told_is_json(unbuilt: Any) -> None:
    """Each job gets its own materials, every material goes to one job of each model."""
    output = unbuilt.succeed("--dry-run", "--printshellcmds", config={"materials": "all"})
    jobs = [json.loads(text) for text in re.findall(r"run_chunk\.py '(\{.*?\})' results", output)]
    for benchmark, number in {"surfaces": 29, "phonons": 597, "high_energy": 19}.items():
        for model in ("chgnet-0.3.0", "sevennet-0"):
            own = [job for job in jobs if (job["benchmark"], job["model"]) == (benchmark, model)]
            given = [material for job in own for material in job["structures"]]
            assert len(own) == math.ceil(number / CHUNK) and len(given) == len(set(given)) == number


# ------------------------------------------------------------------ fetched weights


def test_weights_come_from_a_mirror_and_are_verified(workflow: Any, tmp_path: Path) -> None:
    model, listing = "m3gnet-matgl-pes", "results/inputs/weights/m3gnet-matgl-pes.sha256"
    checkpoint = load_registry(ROOT / "data/models.yaml").get(model).checkpoint
    folder = tmp_path / "mirror" / checkpoint.mirror
    folder.mkdir(parents=True)
    for name, sha256 in checkpoint.files.items():
        (folder / name).write_bytes(name.encode())
        workflow.edit("data/models.yaml", sha256, hashlib.sha256(name.encode()).hexdigest())
    here = {"PESBENCH_WEIGHTS": str(tmp_path / "mirror")}
    workflow.succeed(listing, env=here)
    assert (workflow.root / "results/inputs/weights" / model / "state.pt").read_bytes() == b"state.pt"
    (folder / "state.pt").write_bytes(b"another file")
    shutil.rmtree(workflow.root / "results/inputs")
    output = workflow.fail(listing, env=here)
    assert "state.pt: came with sha256" in output and "copy it there again" in output
    assert not (workflow.root / listing).exists()


# ------------------------------------------------------------------ other inputs


def test_a_mirror_of_the_configuration_counts_before_the_environment(workflow: Any, tmp_path: Path) -> None:
    """It lacks the file: what is missing, and where, is one line of the run and of the log."""
    target = "results/inputs/labelled/water.extxyz"
    output = workflow.fail(
        target,
        config={"sources": {"labelled": {"mirror": str(tmp_path / "mine")}}},
        env={"PESBENCH_MIRROR": str(tmp_path / "everybody's")},
    )
    line = f"error: water: {tmp_path}/mine/water/high_level_water.xyz: No such file or directory; complete the mirror"
    assert line in output and "Traceback" not in output
    assert line in (workflow.root / "results/logs/labelled/water.log").read_text()
    assert not (workflow.root / target).exists()


def test_missing_inputs_name_the_target_that_brings_them(workflow: Any) -> None:
    """No network: a proxy that is not there stands for it."""
    away = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY"), "http://127.0.0.1:9")
    output = workflow.fail("results/inputs/mdr/mp-149.zip", env={**away, "PESBENCH_MIRROR": ""})
    assert "run the target fetch_inputs where there is one" in output and "Traceback" not in output


def test_fetch_inputs_brings_archives_and_weights_of_what_is_configured(unbuilt: Any) -> None:
    asked = {"models": ["m3gnet-matgl-pes"], "materials": "deng2025_s3", "reference": "fetched"}
    plan = unbuilt.plan("fetch_inputs", config=asked)
    assert plan == {"archives": math.ceil(229 / CHUNK), "weights": 1, "fetch_inputs": 1}


def test_a_key_reaches_no_file_and_no_output(workflow: Any) -> None:
    """The API refuses the key and repeats it in its answer; logs, Snakemake's own records and outputs are searched."""
    key = "K0123456789abcdefghijklmnopqrstu"
    refusal = Page(json.dumps({"message": f"Invalid key {key}"}).encode(), "application/json", status=401)
    with serving(Service(missing=lambda path: refusal)) as api:
        environment = {"MP_API_KEY": key, "MP_API_ENDPOINT": f"{api.url}/", "no_proxy": "127.0.0.1"}
        for name in ("mp-30.yaml", "surfaces/mp-30.json", "elements.json"):
            output = workflow.fail(f"results/inputs/materials_project/{name}", env=environment)
            assert "refused the key in MP_API_KEY (HTTP 401)" in output and key not in output
        assert any(key in headers.values() for headers in api.headers), "the key was not sent at all"
    left = [path for path in workflow.root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert any("materials_project" in str(path) for path in left)
    assert [path for path in left if key.encode() in path.read_bytes()] == []
