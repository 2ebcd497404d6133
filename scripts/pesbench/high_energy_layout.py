"""Tables of the high-energy benchmark for print: softening scales of whole sets, and MatterSim-MT's Table S3."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from pesbench.summary import is_missing
from pesbench.typeset import Column, Layout


def _number(value: object, decimals: int = 3) -> str:
    return "" if is_missing(value) else f"{float(str(value)):.{decimals}f}"


def _finished(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["status"] == "ok"]


def _coverage(frame: pd.DataFrame) -> list[str]:
    """Return what was run, what failed, and whose levels of theory are compared."""
    lines = []
    for model, own in frame.groupby("model", sort=True):
        once = own.drop_duplicates("set")
        done = once[once["status"] == "ok"]
        lost = int(done["n_failed"].sum())
        level = str(once["level_of_theory"].iloc[0]) or "unknown"
        told = f"{len(done)} of {len(once)} sets, {lost} frames failed in them; its level of theory: {level}"
        lines.append(f"{model}: {told}.")
    labels = sorted({str(level) for level in _finished(frame)["labels_level_of_theory"]})
    lines.append(f"Level of theory of the labels: {', '.join(labels) or 'nothing has run'}.")
    return lines


def softening_layout(frame: pd.DataFrame) -> Layout:
    """Lay the softening scales of whole sets out, a row a (set, model)."""
    kinds = ("text", "text", *["number"] * 9)
    titles = (
        *("Set", "Model", "Frames", "Components", "Slope", "95 % interval", "With intercept", "Robust"),
        *("Correlation", "MAE (eV/Å)", "cMAE (eV/Å)"),
    )
    rows = []
    for _, line in _finished(frame)[lambda f: f["grouping"] == "set"].iterrows():
        bounds = f"{_number(line['slope_low'])} to {_number(line['slope_high'])}"
        measures = (
            line[n]
            for n in ("free_slope", "robust_slope", "correlation", "mae_ev_per_ang", "cmae_ev_per_ang")
        )
        counts = (str(line["n_frames"]), str(line["n_components"]))
        rows.append(
            (line["set"], line["model"], *counts, _number(line["slope"]), bounds, *map(_number, measures))
        )
    notes = [
        "Slope: model against DFT force components, all of a set pooled, through the origin (Deng et al. 2025).",
        "Interval: bootstrap over frames. Robust: under Huber's loss. cMAE: error after the slope is brought to 1.",
        *_coverage(frame),
    ]
    columns = tuple(Column("", title, kind) for title, kind in zip(titles, kinds, strict=True))
    return Layout("high_energy_softening", "Softening scales", columns, tuple(rows), tuple(notes))


def errors_layout(frame: pd.DataFrame) -> Layout:
    """Lay our errors out beside those of Table S3, a row a (set, model)."""
    shown = (
        ("Energy (eV/atom)", "energy_mae_ev_per_atom", "energy_mae_ev_per_atom"),
        ("Force (eV/Å)", "force_vector_error_ev_per_ang", "force_mae_ev_per_ang"),
        ("Stress (GPa)", "stress_mae_gpa", "stress_mae_gpa"),
    )
    columns = [Column("", "Set", "text"), Column("", "Model", "text"), Column("", "Frames", "number")]
    for group, _, _ in shown:
        columns += [Column(group, title, "number") for title in ("ours", "published")]
    columns += [Column("Force component (eV/Å)", "ours", "number")]
    rows = []
    for _, line in _finished(frame).iterrows():
        values = [_number(line[n]) for _, ours, theirs in shown for n in (ours, f"published_{theirs}")]
        own = _number(line["force_mae_ev_per_ang"])
        rows.append((line["set"], line["model"], str(line["n_frames"]), *values, own))
    notes = [
        "Force: length of the error of an atom's force, mean over the atoms of a frame, then over frames.",
        "Published: Table S3 of MatterSim-MT. Energies as the models give them, nothing shifted.",
        *_coverage(frame),
    ]
    caption = "Errors on labelled sets, beside Table S3 of MatterSim-MT"
    return Layout("mattersim_mt_s3", caption, tuple(columns), tuple(rows), tuple(notes))


LAYOUTS: dict[str, Callable[[pd.DataFrame], Layout]] = {
    "high_energy_softening": softening_layout,
    "mattersim_mt_s3": errors_layout,
}
