"""Print the SHA-256 of a model's downloaded files for data/models.yaml: pin_checkpoint.py MODEL FOLDER.

Nothing is opened. Compare what it prints with what the publisher says before you paste it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pesbench.errors import PesbenchError
from pesbench.models.pinning import hashes
from pesbench.models.registry import load_registry


def main() -> int:
    """Return 0 with the lines on standard output, 1 with one line on standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path, help="where the downloaded files are")
    parser.add_argument("--registry", type=Path, default=Path("data/models.yaml"))
    args = parser.parse_args()
    try:
        checkpoint = load_registry(args.registry).get(args.model).checkpoint
        print(hashes(args.model, checkpoint.url, checkpoint.files, args.folder), end="")
    except PesbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
