"""What the configuration asks for.

INPUTS: config.yaml, data/models.yaml, data/manifests. OUTPUTS: RUN, MODELS, BENCHMARKS, MATERIALS, CHUNKS, REFERENCES;
results/plan.json when a run starts.
"""

import json
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from pesbench import naming
from pesbench.config import benchmark_module, resolve
from pesbench.costs import expected, read_costs
from pesbench.errors import PesbenchError
from pesbench.models.registry import load_registry
from pesbench.models.zoo import is_installed, standing
from pesbench.plan import planned_chunks, read_plan, write_plan
from pesbench.records import digest, file_digest
from pesbench.selection import asked_references, select_materials

try:
    RUN = resolve(config)
    REGISTRY = load_registry(Path("data/models.yaml"))
    MODELS = {name: REGISTRY.get(name) for name in RUN["models"]}
    BENCHMARKS = {name: benchmark_module(name) for name in RUN["benchmarks"]}
    TASKS = {
        name: module.tasks(Path(module.MANIFEST)) for name, module in BENCHMARKS.items()
    }
    COSTS = {
        name: module.costs(Path(module.MANIFEST)) for name, module in BENCHMARKS.items()
    }
    SETS = {
        name: module.sets(Path(module.MANIFEST)) for name, module in BENCHMARKS.items()
    }
    MATERIALS = select_materials(RUN, COSTS, SETS)
    LEARNED = read_costs(*map(Path, naming.COSTS))
except PesbenchError as error:
    raise WorkflowError(str(error)) from None

EARLIER = read_plan(Path(naming.PLAN))
# What chunks are balanced by: what the models take; forces on file take next to nothing.
EXPECTED = {
    name: expected(
        costs,
        {
            model: one
            for model, one in LEARNED.get(name, {}).items()
            if model not in BENCHMARKS[name].REFERENCES
        },
    )
    for name, costs in COSTS.items()
}
CHUNKS = {
    name: planned_chunks(
        EARLIER.get(name, {}),
        {m: EXPECTED[name][m] for m in ids},
        RUN["jobs"]["materials_per_chunk"],
    )
    for name, ids in MATERIALS.items()
}
# Forces on file that are run through a benchmark's own code beside the models: name -> level of theory.
try:
    REFERENCES = asked_references(
        RUN["reference"],
        {name: module.REFERENCES for name, module in BENCHMARKS.items()},
    )
except PesbenchError as error:
    raise WorkflowError(str(error)) from None
# What a run is about to do, for later runs and for `make status`.
PLAN = {
    name: {
        "models": list(RUN["models"]),
        "references": list(REFERENCES[name]),
        "settings": RUN["benchmarks"][name]["settings"],
        "materials_per_chunk": RUN["jobs"]["materials_per_chunk"],
        "chunks": CHUNKS[name],
    }
    for name in BENCHMARKS
}
# The structures that are shipped: listed once, not asked for one by one.
SHIPPED = {path.stem for path in Path("data/prototypes").glob("*.yaml")}
CONDA = "conda" in {
    str(method) for method in workflow.deployment_settings.deployment_method
}
# Supplementary table whose benchmark is not built yet: the published values in the paper's layout.
PUBLISHED_TABLES = ("deng2025_s2_defects",)


wildcard_constraints:
    benchmark="|".join(BENCHMARKS),
    model="|".join(MODELS),
    reference="|".join({r for found in REFERENCES.values() for r in found} or {"none"}),
    chunk=r"\d+",


# A run that computes nothing (environments, weights, tables alone) leaves the plan of the last one that did.
onstart:
    try:
        chunks = {"model_chunk", "reference_chunk"}
        if not chunks.isdisjoint(
            job.rule.name for job in workflow.dag.needrun_jobs()
        ):
            write_plan(Path(naming.PLAN), PLAN)
    except PesbenchError as error:
        raise WorkflowError(str(error)) from None
