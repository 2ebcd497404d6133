"""Rebuild tables and figures from an archive alone, and compare bytes: verify_archive.py ARCHIVE."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from pesbench.bundle import differing, unpack
from pesbench.errors import ArchiveError

#: What makes the results from records; every other rule is out of bounds, so that nothing is computed anew.
MAKERS = re.compile(r"\w+_tables|\w+_figures|published_table|claims")


def main() -> int:
    """Return 0 where every file was rebuilt with the same bytes; 1, naming those that were not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    archive = parser.parse_args().archive
    with tempfile.TemporaryDirectory() as folder:
        try:
            kept, fresh = (unpack(archive, Path(folder, name)) for name in ("kept", "fresh"))
        except ArchiveError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        made = [p for part in ("tables", "figures") for p in sorted((kept / "results" / part).glob("*"))]
        names = [str(p.relative_to(kept)) for p in [*made, *sorted((kept / "results").glob("claims.*"))]]
        for name in names:
            (fresh / name).unlink()
        rules = MAKERS.findall(" ".join(re.findall(r"^rule (\w+):", _rules(fresh), flags=re.MULTILINE)))
        words = ["snakemake", "--cores", "1", "--quiet", "all", "--nolock", "--allowed-rules", *rules]
        done = subprocess.run([sys.executable, "-m", *words, "--", *names], cwd=fresh, check=False)
        problems = differing(kept, fresh, names)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{archive}: {len(names) - len(problems)} of {len(names)} files rebuilt with the same bytes")
    return int(bool(problems) or done.returncode != 0)


def _rules(root: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(root.glob("rules/*.smk")))


if __name__ == "__main__":
    sys.exit(main())
