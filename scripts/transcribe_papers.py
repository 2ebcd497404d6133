"""Transcribe the papers' tables to CSV: transcribe_papers.py <folder with their text> <output folder>."""

import argparse
import sys
from pathlib import Path

from pesbench.errors import PesbenchError
from pesbench.sources.papers import transcribe


def main() -> int:
    """Transcribe, print the files, and return the exit status."""
    parser = argparse.ArgumentParser(description="Transcribe the papers' tables to CSV files.")
    parser.add_argument("papers", type=Path, help="folder with the papers' text (*.md)")
    parser.add_argument("output", type=Path, help="folder for the tables, such as data/published")
    arguments = parser.parse_args()
    try:
        for path in transcribe(arguments.papers, arguments.output):
            print(path)
    except PesbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
