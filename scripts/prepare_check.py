"""Check what a user asks for and keep it for the workflow: prepare_check.py STRUCTURE LABELS DFT LEVEL MODEL."""

import argparse
import sys
from pathlib import Path

import yaml

from pesbench.check.request import load_request, prepare, words
from pesbench.errors import PesbenchError
from pesbench.models.registry import load_registry

parser = argparse.ArgumentParser(description=__doc__)
for name in ("structure", "labels", "dft", "level", "models"):
    parser.add_argument(f"--{name}", default="")
asked = parser.parse_args()
try:
    configured = yaml.safe_load(Path("config.yaml").read_text(encoding="utf-8"))["models"]
    registry = load_registry(Path("data/models.yaml"))
    run = prepare(asked.structure, asked.labels, asked.dft, asked.level, asked.models, configured, registry)
except PesbenchError as error:
    sys.exit(f"error: {error}")
print(words(load_request(run.parents[1].name)), file=sys.stderr)
print(run)
