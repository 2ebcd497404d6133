"""Published sets of labelled frames: where each is, what it must hash to, and how it becomes this project's frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from pesbench.sources.archives import read_zipped
from pesbench.sources.frames import Frame, LabelError, stress_of_vasp
from pesbench.sources.label_checks import check_frames
from pesbench.sources.label_readers import frame_of, read_json
from pesbench.sources.labelled import read_extxyz

#: These elements' stresses are listed xx yy zz xy xz yz, the others' as VASP lists them (xx yy zz xy yz xz). Found by
#: comparing 25 strained and hot frames an element with EMT (Ni, Cu) and CHGNet: each off-diagonal component has a
#: correlation of 0.88 to 1.00 in this order and below 0.25 in any other.
MLEARN_XZ_FIRST = ("Ni", "Cu", "Mo")
#: Frames of each element that Zuo et al. trained on; the publisher lists them before those for testing.
MLEARN_TRAIN = {"Ni": 263, "Cu": 262, "Mo": 194, "Ge": 228, "Si": 214, "Li": 241}
MATTERSIM = "https://github.com/microsoft/mattersim/raw/2966303/data"
MP_LEVEL = "PBE and PBE+U (Materials Project)"
#: A total energy per atom nearer to zero than this, in half of all frames, is an energy per atom divided once more.
LEAST_ENERGY_EV_PER_ATOM = 0.5


@dataclass(frozen=True)
class LabelSet:
    """One published set.

    Attributes
    ----------
    url, mirror
        Where its file is: the publisher's address, and its path in a local mirror.
    sha256
        Of that file. Empty where an ``article`` of figshare is named: its record states a digest, and the one of
        what came is kept in the provenance.
    also
        Other addresses of the file.
    frames
        How many it holds; 0: not known before it was fetched.
    """

    name: str
    convert: Callable[[Path], Iterator[Frame]]
    url: str
    mirror: str
    sha256: str
    frames: int
    level_of_theory: str
    version: str
    licence: str
    citation: str
    repeats_allowed: bool = False
    article: str = ""
    also: tuple[str, ...] = ()


def read_mlearn(path: Path) -> Iterator[Frame]:
    """Yield the frames of Zuo et al. as JARVIS packs them: total energies (eV), forces (eV/A), stress in kbar."""
    from ase import Atoms

    try:
        data = json.loads(read_zipped(path, "mlearn.json"))
        for element, group in groupby(data, key=lambda record: record["jid"].split("-")[0]):
            for number, record in enumerate(group):
                box = record["atoms"]
                atoms = Atoms(
                    box["elements"], scaled_positions=box["coords"], cell=box["lattice_mat"], pbc=True
                )
                where = f"{path}, {record['jid']}"
                order = (0, 1, 2, 3, 5, 4) if element in MLEARN_XZ_FIRST else (0, 1, 2, 3, 4, 5)
                stress = stress_of_vasp([record["stresses"][i] for i in order], where)
                values = {"energy": record["energy"], "forces": record["forces"], "stress": stress}
                split = "train" if number < MLEARN_TRAIN[element] else "test"
                yield frame_of(where, atoms, values, "PBE", element, record["jid"], split)
    except (ValueError, KeyError, TypeError) as error:
        raise LabelError(f"{path}: is not the mlearn set ({type(error).__name__}); fetch it again") from error


def read_pbe_xyz(path: Path) -> Iterator[Frame]:
    """Yield the frames of one of MatterSim's sets of PBE labels."""
    yield from read_extxyz(path, "PBE")


def read_water(path: Path) -> Iterator[Frame]:
    """Yield MatterSim's water cells, labelled with revPBE0-D3."""
    yield from read_extxyz(path, "revPBE0-D3")


def read_wbm_states(path: Path) -> Iterator[Frame]:
    """Yield Deng's high-energy states: ``{wbm-id: {state: {structure, vasp_e, vasp_f, vasp_s}}}``, stress in kbar.

    Raises
    ------
    LabelError
        Not such a file, or its energies are per atom where whole cells are expected.
    """
    frames = list(read_json(path, MP_LEVEL))
    per_atom = [abs(frame.energy_ev) / len(frame.atoms) for frame in frames]
    # ASSUME: vasp_e is the energy of the cell. The publisher does not say so; this tells where it is not.
    if per_atom and float(np.median(per_atom)) < LEAST_ENERGY_EV_PER_ATOM:
        raise LabelError(
            f"{path}: its energies are per atom (median {np.median(per_atom):.3f} eV after division)"
        )
    yield from frames


def _mattersim(name: str, file: str, sha256: str, frames: int, **more: Any) -> LabelSet:
    return LabelSet(
        name=name,
        convert=read_pbe_xyz,
        url=f"{MATTERSIM}/benchmarks/{file}",
        mirror=f"mattersim_tp/{file}",
        sha256=sha256,
        frames=frames,
        level_of_theory="PBE",
        version="microsoft/mattersim @ 2966303",
        licence="MIT",
        citation="Yang et al., arXiv:2405.04967",
        **more,
    )


LABEL_SETS = {
    entry.name: entry
    for entry in (
        LabelSet(
            name="mlearn",
            convert=read_mlearn,
            url="https://ndownloader.figshare.com/files/40357663",
            also=("https://api.figshare.com/v2/file/download/40357663",),
            mirror="mlearn/mlearn.json.zip",
            sha256="f731b3ad5ac3e1b083a7ce12936a9e0e6aa2704de2a1b95150429823c1398a28",
            frames=1566,
            level_of_theory="PBE",
            version="figshare file 40357663",
            licence="BSD-3-Clause",
            citation="Zuo et al., J. Phys. Chem. A 124, 731 (2020)",
        ),
        _mattersim(
            "mpf_tp",
            "mpf-TP.xyz",
            "5d07c81a4061ee314c84d6e5fb5913dc527e8536bc359fa00090bd206965d516",
            1069,
            repeats_allowed=True,  # frames 128 and 852 are the same
        ),
        _mattersim(
            "mpf_alkali_tp",
            "mpf-alkali-TP.xyz",
            "52a7d4b202e2abd5b294f5bbcdb73072a1f2813d301ec878a5bf0641b1c15c8c",
            460,
        ),
        _mattersim(
            "random_tp",
            "random-TP.xyz",
            "c14473dcf4bd71e1ed11556ac9ff12b68e7a423d813f939bc9eedaef663054d9",
            693,
        ),
        LabelSet(
            name="water",
            convert=read_water,
            url="https://github.com/microsoft/mattersim/raw/2966303/tests/data/high_level_water.xyz",
            mirror="water/high_level_water.xyz",
            sha256="46c7ad6375ca6596a39fc5c15c8a0a76e7ead90ec74189b370fae3fcc726e779",
            frames=10,
            level_of_theory="revPBE0-D3",
            version="microsoft/mattersim @ 2966303",
            licence="MIT",
            citation="Yang et al., arXiv:2405.04967",
        ),
        LabelSet(
            name="wbm_high_energy",
            convert=read_wbm_states,
            url="https://figshare.com/articles/dataset/WBM_high_energy_states/27307776",
            mirror="figshare/27307776/WBM_high_energy_states.json",
            sha256="",
            frames=0,
            level_of_theory=MP_LEVEL,
            version="figshare article 27307776",
            licence="CC BY 4.0",
            citation="Deng et al., npj Comput. Mater. 11, 9 (2025)",
            article="27307776",
        ),
    )
}


def convert(entry: LabelSet, path: Path) -> list[Frame]:
    """Return the frames of a published set's file, checked and counted.

    Raises
    ------
    LabelError, ArchiveError
        See `check_frames`; or another number of frames than the set has.
    """
    frames = list(entry.convert(path))
    check_frames(frames, path, entry.repeats_allowed)
    if entry.frames and len(frames) != entry.frames:
        raise LabelError(
            f"{path}: holds {len(frames)} frames where {entry.name} has {entry.frames}; fetch it again"
        )
    return frames
