"""Slope of a model's forces against DFT's: label_slopes.py MODEL TABLE FRAMES... (in the model's environment)."""

import argparse
import sys
from pathlib import Path

from pesbench.errors import PesbenchError
from pesbench.label_slopes import as_text, slopes, write_csv
from pesbench.models.loaders import load_model, set_threads
from pesbench.models.registry import load_registry

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model")
parser.add_argument("table", type=Path)
parser.add_argument("frames", type=Path, nargs="+")
arguments = parser.parse_args()
try:
    set_threads(1)
    model = load_model(load_registry(Path("data/models.yaml")).get(arguments.model))
    rows = slopes(model.calculator, arguments.frames)
except PesbenchError as error:
    sys.exit(f"error: {error}")
write_csv(arguments.table, rows, arguments.model)
print(as_text(rows, arguments.model))
