"""Phonons through the workflow: one's own structure, a reference, files that are not what they should be."""

from __future__ import annotations

import bz2
import csv
import json
import lzma
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest

MIRROR = os.environ.get("PESBENCH_MIRROR")
needs_mirror = pytest.mark.skipif(
    not MIRROR, reason="PESBENCH_MIRROR is not set: no archive of the phonon database at hand"
)
COPPER = """copper
{scale}
 3.6 0 0
 0 3.6 0
 0 0 3.6
Cu
4
Direct
0 0 0
0 0.5 0.5
0.5 0 0.5
0.5 0.5 0
"""


def own_structure(workflow: Any, text: str, name: str = "copper.vasp") -> str:
    """Put a structure where the workflow looks for a user's own, and return the record's target."""
    path = workflow.root / "structures" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return f"results/phonons/emt/materials/{name.partition('.')[0]}.json"


def test_one_s_own_poscar_becomes_a_record_and_a_phonopy_file(workflow: Any) -> None:
    """EMT's copper: stable, branches up to 7 THz (experiment 7.3), C_V near 3 R; phonopy goes on with it."""
    import phonopy

    workflow.succeed(own_structure(workflow, COPPER.format(scale=1.0)))
    record = json.loads((workflow.root / "results/phonons/emt/materials/copper.json").read_text())
    values = record["values"]
    assert record["status"] == "ok" and values["space_group"] == 225 and values["free"] is None
    assert (values["n_atoms_primitive"], values["n_atoms_supercell"], values["n_displacements"]) == (
        1,
        256,
        1,
    )
    assert 6 < values["path"]["max_frequency_thz"] < 9 and values["path"]["min_frequency_thz"] > -1e-3
    assert 0.9 * 3 * 8.3145 < values["mesh"]["heat_capacity_j_per_k_mol"] < 3 * 8.3145
    kept = workflow.root / "results/phonons/emt/files/copper.yaml.xz"
    phonon = phonopy.load(kept, log_level=0)
    phonon.symmetrize_force_constants()
    at_x = phonon.run_qpoints([[0.5, 0.5, 0.0]]).frequencies[0].max()
    assert at_x == pytest.approx(values["commensurate"]["max_frequency_thz"], rel=1e-6)
    bands = json.loads(lzma.decompress(kept.with_name("copper.bands.json.xz").read_bytes()))
    assert max(max(f) for s in bands["segments"] for f in s["frequencies_thz"]) == pytest.approx(
        at_x, rel=0.02
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (COPPER.format(scale=0.05), "0.127 A apart"),
        (COPPER.replace("Cu", "Xx").format(scale=1.0), "no element"),
        (COPPER[: len(COPPER) // 2].format(scale=1.0), "write it as VASP 5 does"),
    ],
)
def test_a_bad_structure_is_a_record_that_says_why(workflow: Any, text: str, words: str) -> None:
    target = own_structure(workflow, text)
    workflow.succeed(target)
    record = json.loads((workflow.root / target).read_text())
    assert record["status"] == "failed" and record["stage"] == "structure"
    assert "copper.vasp" in record["message"]
    assert words in record["message"]


def test_a_structure_that_is_not_there_is_named_before_anything_runs(workflow: Any) -> None:
    output = workflow.fail("results/phonons/emt/materials/nowhere.json")
    assert "structures/nowhere.vasp" in output


@needs_mirror
def test_the_database_s_forces_give_the_published_dft_values(workflow: Any) -> None:
    """Two materials of Supplementary Table III, without any model."""
    config = {"materials": ["mp-1265", "mp-2691"], "reference": "fetched"}
    workflow.succeed("results/phonons/phonondb-2018/records.jsonl", config=config)
    records = workflow.records(model="phonondb-2018", benchmark="phonons")
    found = {name: record["values"]["path"]["max_frequency_thz"] for name, record in records.items()}
    assert found == pytest.approx({"mp-1265": 18.291675, "mp-2691": 5.876200}, rel=1e-3)
    assert all(record["values"]["gamma_nac"] for record in records.values())


@needs_mirror
def test_a_truncated_archive_is_named_with_the_mend_and_the_others_come(
    workflow: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "mirror" / "phonondb" / "archives"
    folder.mkdir(parents=True)
    for name in ("mp-1265", "mp-2691"):
        shutil.copy(Path(str(MIRROR), "phonondb/archives", f"{name}.tar.xz"), folder)
    whole = (folder / "mp-1265.tar.xz").read_bytes()
    (folder / "mp-1265.tar.xz").write_bytes(whole[: len(whole) // 2])
    env = {"PESBENCH_MIRROR": str(tmp_path / "mirror")}
    config = {"materials": ["mp-1265", "mp-2691"], "reference": "fetched"}
    output = workflow.fail("fetch_inputs", config=config, env=env)
    assert "mp-1265" in output and "copy it there again" in output
    assert (workflow.root / "results/inputs/phonondb/mp-2691.tar.xz").exists()
    (folder / "mp-1265.tar.xz").write_bytes(whole)
    workflow.succeed("fetch_inputs", config=config, env=env)


def other_releases(mirror: Path, material: str) -> None:
    """Write PhononDB's forces on a material as NIMS has them, and as Alexandria has them, 0.81 times as large."""
    import phonopy

    from pesbench.sources.phonon_files import read_phonon_file

    folder = mirror / "alexandria" / "pbe"
    for made in (mirror / "mdr", folder):
        made.mkdir(parents=True, exist_ok=True)
    file = read_phonon_file(Path(str(MIRROR), "phonondb/archives", f"{material}.tar.xz"))
    phonon = phonopy.Phonopy(file.unitcell, file.supercell_matrix, file.primitive_matrix)
    phonon.dataset = file.dataset
    phonon.save(mirror / "raw.yaml", settings={"force_sets": True, "displacements": True})
    raw = (mirror / "raw.yaml").read_bytes()
    with zipfile.ZipFile(mirror / "mdr" / f"{material}.zip", "w") as archive:
        archive.writestr("phonopy_params.yaml.xz", lzma.compress(raw))
    phonon.forces = 0.81 * phonon.forces
    phonon.save(mirror / "raw.yaml", settings={"force_sets": True, "displacements": True})
    (folder / f"{material}.yaml.bz2").write_bytes(bz2.compress((mirror / "raw.yaml").read_bytes()))


@needs_mirror
def test_every_database_goes_through_one_reader_and_one_that_lacks_a_material_says_so(
    workflow: Any, tmp_path: Path
) -> None:
    """Same forces, same frequencies; 0.81 times the forces, 0.9 times the frequencies: the yardstick of Loew et al."""
    mirror, names = tmp_path / "mirror", ("mp-1265", "mp-2691")
    (mirror / "phonondb").mkdir(parents=True)
    (mirror / "phonondb" / "archives").symlink_to(Path(str(MIRROR), "phonondb/archives"))
    for name in names:
        other_releases(mirror, name)
    numbers = [1265, *range(100_000, 109_000)]
    row = "| {} | X | P1 (1) | page | [key{}.zip](x) |\n"
    (mirror / "mdr" / "index.md").write_text("".join(row.format(n, n) for n in numbers))
    links = "".join(f'<a href="mp-{n}.yaml.bz2">x</a>' for n in [2691, *numbers])
    (mirror / "alexandria" / "pbe" / "index.html").write_text(links)
    config = {"materials": list(names), "reference": ["phonondb-2018", "mdr", "alexandria-pbe"]}
    env = {"PESBENCH_MIRROR": str(mirror)}
    workflow.succeed("results/tables/loew2024_t2.csv", config=config, env=env)

    def found(database: str) -> dict[str, Any]:
        return workflow.records(model=database, benchmark="phonons")

    def highest(database: str, material: str) -> float:
        return float(found(database)[material]["values"]["path"]["max_frequency_thz"])

    old = highest("phonondb-2018", "mp-1265")
    assert old == pytest.approx(18.291675, rel=1e-3)
    assert highest("mdr", "mp-1265") == pytest.approx(old, rel=1e-6)
    assert highest("alexandria-pbe", "mp-1265") == pytest.approx(0.9 * old, rel=1e-6)
    lacking = found("mdr")["mp-2691"]
    assert lacking["status"] == "failed" and "has no such material" in lacking["message"]
    with (workflow.root / "results/tables/loew2024_t2.csv").open() as handle:
        lines = [
            x for x in csv.DictReader(handle) if x["model"] == "phonondb-2018" and x["set"] == "finished"
        ]
    [line] = [x for x in lines if x["reference"] == "alexandria-pbe"]
    highest_kelvin = [
        found("phonondb-2018")[m]["values"]["commensurate"]["max_frequency_thz"] * 47.99243 for m in names
    ]
    assert line["published_as"] == "PBEsol"
    assert float(line["mae_max_frequency_kelvin"]) == pytest.approx(0.1 * sum(highest_kelvin) / 2, rel=1e-5)
