"""A model's answers on labelled frames: label_answers.py MODEL ANSWERS [FRAMES...] (in the model's environment)."""

import argparse
import sys
from pathlib import Path

from pesbench.engine.predictions import to_bytes
from pesbench.errors import PesbenchError
from pesbench.files import write_atomic
from pesbench.label_answers import answers, as_text
from pesbench.models.loaders import load_model, set_threads
from pesbench.models.registry import load_registry

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model")
parser.add_argument("answers", type=Path)
parser.add_argument("frames", type=Path, nargs="*")
arguments = parser.parse_args()
try:
    set_threads(1)
    model = load_model(load_registry(Path("data/models.yaml")).get(arguments.model))
    found = answers(model.calculator, arguments.frames)
except PesbenchError as error:
    sys.exit(f"error: {error}")
write_atomic(arguments.answers, to_bytes(found))
print(as_text(found))
