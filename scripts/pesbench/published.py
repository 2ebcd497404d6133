"""What the papers call a model, which column is its, and why a value of ours is off (standard library only)."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

#: Deng et al. 2025, surfaces (Supplementary Table I): our model -> (stem of the published column, printed name).
#: Its "M3GNet" is the original TensorFlow model there.
PAPER_MODELS: Mapping[str, tuple[str, str]] = {
    "m3gnet-mp-2021.2.8-efs": ("m3gnet", "M3GNet"),
    "chgnet-0.3.0": ("chgnet", "CHGNet"),
    "mace-mp-0-medium": ("mace", "MACE"),
}

#: The same for phonons (Supplementary Table III), whose "M3GNet" is the matgl port.
PHONON_MODELS: Mapping[str, tuple[str, str]] = {
    "m3gnet-matgl-pes": ("m3gnet", "M3GNet"),
    "chgnet-0.3.0": ("chgnet", "CHGNet"),
    "mace-mp-0-medium": ("mace", "MACE"),
}

#: Loew et al. 2024, Tables I-IV: our model -> printed name. Their scripts (github.com/hyllios/utils, benchmark_ph)
#: load the TensorFlow M3GNet (EFS2021), MACE 2023-12-03 128-L1, 7net-0 of 11 July 2024, MatterSim v1.0.0-5M,
#: orb-v2 and eqV2_86M_omat_mp_salex.
LOEW_MODELS: Mapping[str, str] = {
    "m3gnet-mp-2021.2.8-efs": "M3GNet",
    "chgnet-0.3.0": "CHGNet",
    "mace-mp-0-medium": "MACE",
    "sevennet-0": "SevenNet",
    "mattersim-v1-5m": "MatterSim",
    "orb-v2": "ORB",
    "eqv2-m-omat-mp-salex": "OMat24",
}

#: MatterSim-MT, Table S4: our model -> printed name (section S4.1 names the checkpoints; the matgl port of M3GNet, the
#: large MACE-MP-0). "MatterSim (10M)" has no published checkpoint of ours.
MATTERSIM_MT_MODELS: Mapping[str, str] = {
    "eqv2-m-omat-mp-salex": "OMat24",
    "orb-v2": "ORB-V2",
    "sevennet-0": "SevenNet",
    "m3gnet-matgl-pes": "M3GNet",
    "chgnet-0.3.0": "CHGNet",
    "mace-mp-0-large": "MACE-MP-0",
    "mattersim-mt-10m": "MatterSim (10M)",
}

EXPLANATIONS = "data/explanations.csv"
#: (row of a published table, model or ``*``) -> why our value is off.
Explanations = Mapping[tuple[str, str], str]


def read_explanations(table: str, path: Path = Path(EXPLANATIONS)) -> Explanations:
    """Return what was found out by hand about the rows of one published table."""
    with open(path, encoding="utf-8") as handle:
        lines = [
            line
            for line in csv.DictReader(text for text in handle if text[0] != "#")
            if line["item"] == table
        ]
    found: dict[tuple[str, str], str] = {}
    for line in lines:
        key = line["row"], line["model"]
        found[key] = "; ".join(part for part in (found.get(key), line["explanation"]) if part)
    return found


def explain(explanations: Explanations, row: str, model: str) -> str:
    """Return why a model's value in one row is off, as far as it was found out."""
    found = (explanations.get((row, key)) for key in (model, "*"))
    return "; ".join(text for text in found if text)
