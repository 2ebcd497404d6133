"""Print which models could run here, or with --environments and --sizes what installing them means."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pesbench.errors import PesbenchError
from pesbench.models.registry import load_registry
from pesbench.models.zoo import overview, size_gb


def main() -> int:
    """Return 0, or 1 with one line on standard error when the registry cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", action="store_true", help="names of the families' environments")
    parser.add_argument("--sizes", nargs="*", metavar="ENVIRONMENT", help="disk that these take")
    arguments = parser.parse_args()
    try:
        registry = load_registry(Path("data/models.yaml"))
    except PesbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if arguments.environments:
        print(*sorted(set(registry.environments().values()) - {"driver"}))
    elif arguments.sizes is not None:
        sizes = {name: size_gb(Path("envs", f"{name}.txt")) for name in arguments.sizes}
        each = ", ".join(f"{name} {size:.1f}" for name, size in sizes.items())
        print(f"{len(sizes)} environments, {sum(sizes.values()):.1f} GB on disk ({each})")
    else:
        print(overview(registry, Path()), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
