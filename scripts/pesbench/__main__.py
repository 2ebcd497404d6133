"""Look after a run: python -m pesbench status | costs | verdict."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from pesbench.errors import PesbenchError


def status(arguments: argparse.Namespace) -> None:
    """Say how far the run in this folder is, and write the same as a page."""
    from pesbench.status import look, told

    standings = look()
    print(told(standings))
    if arguments.html:
        from pesbench.report.page import build_status

        build_status(standings, arguments.html)
        print(f"page: {arguments.html}")


def costs(arguments: argparse.Namespace) -> None:
    """Learn from the journals what materials cost, for the chunks and the resources of later runs."""
    from pesbench.costs import write_costs
    from pesbench.status import learn

    learned = learn()
    for benchmark, models in learned.items():
        for model, one in models.items():
            law = f"{one.scale_seconds:.3g} s x cost^{one.exponent:.2f}, off by a factor of {math.exp(one.spread):.1f}"
            print(f"{benchmark} {model}: {law}; {one.records} records, {one.peak_memory_mb:.0f} MB")
    write_costs(arguments.output, learned, "the journals of this folder")
    print(f"written: {arguments.output}")


def verdict(arguments: argparse.Namespace) -> None:
    """Print the first lines of a check's page, and where it is."""
    path = arguments.folder / "check.json"
    try:
        lead = json.loads(path.read_text(encoding="utf-8"))["lead"]
    except (OSError, ValueError, KeyError) as error:
        raise PesbenchError(
            f"{path}: no check to tell ({type(error).__name__}); run make check first"
        ) from error
    print("\n".join(["", *lead, "", f"page: {arguments.folder / 'index.html'}"]))


def main() -> int:
    """Return 0, or 1 with one line on standard error."""
    parser = argparse.ArgumentParser(prog="pesbench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = commands.add_parser("status", help="how far the run in this folder is, also while it goes on")
    add.add_argument("--html", type=Path, help="write the same as a page, e.g. results/report/status.html")
    add.set_defaults(call=status)
    add = commands.add_parser("costs", help="learn from the journals what materials cost, for the next plan")
    add.add_argument("output", type=Path, nargs="?", default=Path("results/costs.json"))
    add.set_defaults(call=costs)
    add = commands.add_parser("verdict", help="the first lines of a check of a material of your own")
    add.add_argument("folder", type=Path, help="results/check/NAME")
    add.set_defaults(call=verdict)
    arguments = parser.parse_args()
    try:
        arguments.call(arguments)
    except PesbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
