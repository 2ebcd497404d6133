"""Phonons through the workflow: one's own structure, a reference, files that are not what they should be."""

from __future__ import annotations

import json
import lzma
import os
import shutil
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
