"""Write data/manifests/deng2025_s1.csv anew: every termination, matched to the published rows by CHGNet's values.

make_surface_manifest.py [RECORDS]: CHGNet's merged records; without them every row gets the first termination.
"""

import argparse
import json
from pathlib import Path

from pesbench.benchmarks.surfaces import MANIFEST, PUBLISHED, Settings
from pesbench.files import write_atomic
from pesbench.manifests import gammas_of, surface_manifest
from pesbench.sources.prototypes import load_prototype
from pesbench.tables import read_published

HEAD = """\
# Every symmetric, stoichiometric termination at the Miller indices of Deng et al. 2025, Supplementary Table I.
# row: the published row that it stands for, matched one to one by the published CHGNet values; empty: none.
# shift: height of the cut in the oriented unit cell. Made by scripts/make_surface_manifest.py.
"""

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("records", type=Path, nargs="?")
arguments = parser.parse_args()
published, settings = read_published(Path(PUBLISHED)), Settings()
ids = published["mp_id"].unique()
structures = {i: load_prototype(Path(f"data/prototypes/{i}.yaml")).structure for i in ids}
lines = arguments.records.read_text(encoding="utf-8").splitlines() if arguments.records else []
gammas = gammas_of(json.loads(line)["record"] for line in lines)
frame = surface_manifest(
    structures,
    published,
    "chgnet_ev_per_ang2",
    gammas,
    settings.min_slab_ang,
    settings.min_vacuum_ang,
)
write_atomic(Path(MANIFEST), HEAD + frame.to_csv(index=False, lineterminator="\n"))
