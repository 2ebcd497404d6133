"""Refuse a model whose numbers are not the pinned ones: check_conformance.py MODEL OUTPUT.json."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pesbench.errors import PesbenchError
from pesbench.files import write_atomic
from pesbench.gpus import own_gpu
from pesbench.models.conformance import check, load_structures, milliseconds_per_atom, require
from pesbench.models.loaders import load_model, set_threads
from pesbench.models.registry import load_registry


def main() -> int:
    """Return 0 when the model may run; 1, with one line on standard error and no OUTPUT, when not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("output", type=Path)
    parser.add_argument("--registry", type=Path, default=Path("data/models.yaml"))
    parser.add_argument("--structures", type=Path, default=Path("data/conformance/structures.json"))
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    args = parser.parse_args()
    try:
        set_threads(1)
        entry = load_registry(args.registry).get(args.model)
        with own_gpu(args.device):
            model = load_model(entry, args.device)
            structures = load_structures(args.structures)
            result = check(model, entry, structures)
            require(result)
            cost = milliseconds_per_atom(model, structures[result.differences[0].structure])
        kept = {**result.as_dict(), "device": model.device, "milliseconds_per_atom": cost}
        write_atomic(args.output, json.dumps(kept, indent=1) + "\n")
    except PesbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    worst = result.worst
    off = f"{worst.quantity} of {worst.structure}, off by {worst.off_by:.1e} (tolerance {worst.tolerance:g})"
    print(f"{args.model}: conformant in {len(result.differences)} numbers; worst: {off}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
