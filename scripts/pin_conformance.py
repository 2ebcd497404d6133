"""Print the conformance block of a model for data/models.yaml: pin_conformance.py MODEL (in its environment).

Where the entry says `parameters: unknown`, the line with their number comes first: it replaces that line.

Run it only where the checkpoint is known to be right, by comparison with the package's own documented use.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pesbench.errors import PesbenchError
from pesbench.models.conformance import load_structures, pin
from pesbench.models.loaders import load_model, set_threads
from pesbench.models.registry import load_registry

# About ten times what float32 differs between processors and numbers of threads.
TOLERANCE = {"ev_per_atom": 0.0001, "ev_per_ang": 0.001, "gpa": 0.01}


def main() -> int:
    """Return 0 with the YAML block on standard output, 1 with one line on standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--registry", type=Path, default=Path("data/models.yaml"))
    parser.add_argument("--structures", type=Path, default=Path("data/conformance/structures.json"))
    args = parser.parse_args()
    try:
        set_threads(1)
        entry = load_registry(args.registry).get(args.model)
        model = load_model(entry)
        if entry.parameters is None:
            print(f"    parameters: {model.parameters}")
        print(pin(model, load_structures(args.structures), TOLERANCE), end="")
    except PesbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
