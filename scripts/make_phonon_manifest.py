"""Write data/manifests/phonons.csv anew: make_phonon_manifest.py MIRROR (holds phonondb/index.csv, archives/)."""

import argparse
import csv
import json
from pathlib import Path

import pandas as pd
import spglib
from pymatgen.core import Composition

from pesbench.files import write_atomic
from pesbench.sources.phonon_files import read_phonon_file
from pesbench.sources.phonondb import MIRROR_FOLDER, content_sha256

MANIFEST = Path("data/manifests/phonons.csv")
PAPERS = ("deng2025_table_s3", "loew_sample", "mattersim_table_s5")
SETS = dict(zip(PAPERS, ("deng2025_s3", "loew2024", "mattersim_mt_s5"), strict=True))
HEAD = """\
# The materials of the phonon benchmarks, one archive of PhononDB each (VASP, PBEsol, displacements of 0.01 A).
# Source: A. Togo, phonon database at Kyoto University, 2018-04-17, CC BY 4.0, from github.com/WMD-group/phononDB.
# Made by scripts/make_phonon_manifest.py; content_sha256: see pesbench.sources.phonondb.
"""

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("mirror", type=Path)
mirror = parser.parse_args().mirror
deng = pd.read_csv("data/published/deng2025_s3_phonons.csv", comment="#").set_index("mp_id")["formula"]
lines = []
for row in csv.DictReader((mirror / "phonondb" / "index.csv").read_text(encoding="utf-8").splitlines()):
    path, material = mirror / MIRROR_FOLDER / row["archive"], row["mp_id"]
    file = read_phonon_file(path)
    lines.append(
        {
            "mp_id": material,
            "formula": deng.get(material, Composition(file.unitcell.formula).reduced_formula),
            "space_group": spglib.get_symmetry_dataset(file.unitcell.totuple(), symprec=1e-5).number,
            "archive": row["formula_spacegroup"],
            "content_sha256": content_sha256(path),
            "n_atoms_supercell": file.dataset["natom"],
            "n_displacements": len(file.dataset["first_atoms"]),
            "supercell_matrix": json.dumps(file.supercell_matrix.tolist()),
            "primitive_matrix": json.dumps(file.primitive_matrix.round(12).tolist()),
            "has_born": int(file.nac_params is not None),
            "sets": " ".join(name for column, name in SETS.items() if row[f"in_{column}"] == "1"),
        }
    )
write_atomic(MANIFEST, HEAD + pd.DataFrame(lines).to_csv(index=False, lineterminator="\n"))
