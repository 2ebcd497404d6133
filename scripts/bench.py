"""Measure a model's throughput: bench.py FOLDER MODEL (in its environment); bench.py FOLDER puts all in one table."""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

from pesbench.errors import PesbenchError
from pesbench.models.loaders import set_threads
from pesbench.models.registry import load_registry
from pesbench.throughput import DEVICES, collect, draw, keep, measure

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", type=Path)
parser.add_argument("model", nargs="?")
arguments = parser.parse_args()
if arguments.model:
    set_threads(1)
    warnings.simplefilter("ignore")  # of libraries
    try:
        entry = load_registry(Path("data/models.yaml")).get(arguments.model)
        for device in DEVICES:
            with tempfile.TemporaryDirectory() as work:
                keep(measure(entry, device, Path(work)), arguments.folder)
    except PesbenchError as error:
        sys.exit(f"error: {error}")
else:
    frame = collect(arguments.folder)
    frame.to_csv(arguments.folder / "throughput.csv", index=False)
    draw(frame, arguments.folder / "throughput.png")
    print(frame.drop(columns=["wall_s", "cpu_s"]).to_string(index=False, na_rep="-"))
