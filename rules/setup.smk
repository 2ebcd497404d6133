"""What the configuration asks for.

INPUTS: config.yaml, data/models.yaml, data/manifests. OUTPUTS: RUN, MODELS, BENCHMARKS, MATERIALS, CHUNKS, REFERENCES.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from pesbench import naming
from pesbench.chunks import balanced_chunks
from pesbench.config import benchmark_module, resolve, select_materials
from pesbench.errors import PesbenchError
from pesbench.models.registry import load_registry
from pesbench.models.zoo import is_installed, standing
from pesbench.records import digest

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
except PesbenchError as error:
    raise WorkflowError(str(error)) from None

CHUNKS = {
    name: balanced_chunks(
        {m: COSTS[name][m] for m in ids}, RUN["jobs"]["materials_per_chunk"]
    )
    for name, ids in MATERIALS.items()
}
# Forces on file that are run through a benchmark's own code beside the models: name -> level of theory.
REFERENCES = {
    name: module.REFERENCES if RUN["reference"] == "fetched" else {}
    for name, module in BENCHMARKS.items()
}
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
