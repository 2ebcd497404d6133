"""Write VASP's decks for sampled frames: write_decks.py SETTINGS_JSON SAMPLED LISTING (in the environment vasp)."""

import argparse
import json
import sys
from pathlib import Path

from pesbench.dft.settings import DftSettings
from pesbench.errors import PesbenchError
from pesbench.label_jobs import write_decks

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("settings")
parser.add_argument("sampled", type=Path)
parser.add_argument("listing", type=Path)
arguments = parser.parse_args()
try:
    write_decks(DftSettings(**json.loads(arguments.settings)), arguments.sampled, arguments.listing)
except PesbenchError as error:
    sys.exit(f"error: {error}")
