"""Run the lines that load a correction: prove_correction.py LINES STRUCTURE PROOF (in the model's environment)."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from pesbench.check.proof import prove
from pesbench.errors import PesbenchError

parser = argparse.ArgumentParser(description=__doc__)
for name in ("lines", "structure", "proof"):
    parser.add_argument(name, type=lambda text: Path(text).resolve())
asked = parser.parse_args()
os.chdir(tempfile.gettempdir())  # the lines have to work from any folder
try:
    prove(asked.lines, asked.structure, asked.proof)
except PesbenchError as error:
    sys.exit(f"error: {error}")
