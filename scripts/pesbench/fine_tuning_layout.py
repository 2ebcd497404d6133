"""The table of fine-tuning for print: a row a (set, model, method, number of labels), over the choices of labels."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from pesbench.typeset import Column, Layout

WORDS = {
    "pretrained": "as published",
    "correction": "times c",
    "last_layer": "last layer",
    "readout": "readout",
    "all": "all weights",
    "scratch": "from scratch",
}
KEYS = ["set", "model", "n_labels", "method"]


def fine_tuning_layout(frame: pd.DataFrame) -> Layout:
    """Lay force errors and slopes on the held-out frames out; runs that failed are counted."""
    titles = (
        *("Set", "Model", "Labels", "Method", "Runs", "Failed", "Frames"),
        *("Force MAE (eV/Å)", "smallest to largest", "95 % interval (one run)", "Slope"),
    )
    kinds = ("text", "text", "number", "text", *["number"] * 7)
    rows = []
    for (name, model, count, method), own in frame.groupby(KEYS, sort=False):
        done = own[own["status"] == "ok"]
        cells = [name, model, str(count), WORDS[method], str(len(own)), str(len(own) - len(done))]
        if done.empty:
            rows.append((*cells, "", "", "", "", ""))
            continue
        error, first = done["force_mae_ev_per_ang"], done.iloc[0]
        spread = f"{error.min():.3f} to {error.max():.3f}" if len(done) > 1 else ""
        bounds = f"{first['force_mae_low_ev_per_ang']:.3f} to {first['force_mae_high_ev_per_ang']:.3f}"
        count_of = str(int(first["n_frames"]))
        rows.append((*cells, count_of, f"{error.mean():.3f}", spread, bounds, f"{done['slope'].mean():.3f}"))
    columns = tuple(Column("", title, kind) for title, kind in zip(titles, kinds, strict=True))
    return Layout(
        "fine_tuning", "Force errors on held-out frames", columns, tuple(rows), tuple(_notes(frame))
    )


def _notes(frame: pd.DataFrame) -> list[str]:
    levels = frame.drop_duplicates("model").set_index("model")["level_of_theory"]
    labels = sorted({str(level) for level in frame["labels_level_of_theory"] if level})
    told = "; ".join(f"{model}: {level}" for model, level in levels.items())
    return [
        "Frames: the set's own test split, never trained on. Means over the choices of labels; the interval is of the "
        "first choice, bootstrap over frames.",
        "One label: of typical forces, the same for the correction and for training; further ones are drawn.",
        f"Level of theory of the published models: {told}. Of the labels: {', '.join(labels)}.",
    ]


LAYOUTS: dict[str, Callable[[pd.DataFrame], Layout]] = {"fine_tuning": fine_tuning_layout}
