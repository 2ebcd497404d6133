"""Tables and figure of effective temperatures (MatterSim-MT, Fig. S6), from the records of the relaxed frames."""

from __future__ import annotations

from collections.abc import Iterable

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pesbench.metrics import coverage_of, whole_counts
from pesbench.plots import FULL_WIDTH_IN, MODEL_COLORS, STYLE, display_name
from pesbench.records import Record

MEASURES = ("effective_temperature_kelvin", "harmonic_temperature_kelvin", "pressure_gpa")
COLUMNS = (
    *("set", "model", "id", "status", "message", "frame", "material", "n_atoms", "level_of_theory"),
    *(
        "energy_ev_per_atom",
        "relaxed_energy_ev_per_atom",
        *MEASURES,
        "steps",
        "fmax_ev_per_ang",
        "wall_seconds",
    ),
)
QUANTILES = (0.05, 0.5, 0.95)


def frames_table(records: Iterable[Record]) -> pd.DataFrame:
    """Return one line a (set, model, frame): temperatures in K, energies in eV/atom, pressure in GPa."""
    lines = [
        {
            **record.values,
            "set": record.id.rsplit("-", 1)[0],
            "model": record.model,
            "id": record.id,
            "status": record.status,
            "message": record.message,
            "wall_seconds": record.wall_seconds,
        }
        for record in records
    ]
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(MEASURES, float)).sort_values(["model", "set", "id"], ignore_index=True)


def sets_table(frames: pd.DataFrame) -> pd.DataFrame:
    """Return one line a (set, model): coverage, and 5, 50, 95 % and the largest of each measure.

    Frames that did not meet the threshold count with what they reached: their temperature is a lower bound.
    """
    lines = []
    for (name, model), own in frames.groupby(["set", "model"], sort=True):
        line = {"set": name, "model": model, "n_frames": len(own), **coverage_of(own["status"])}
        for measure in MEASURES:
            found = own[measure].dropna().to_numpy()
            stem, _, unit = measure.rpartition("_")
            marks = np.quantile(found, [*QUANTILES, 1.0]) if len(found) else [float("nan")] * 4
            for word, value in zip(("p05", "median", "p95", "largest"), marks, strict=True):
                line[f"{stem}_{word}_{unit}"] = float(value)
        lines.append(line)
    return whole_counts(pd.DataFrame(lines)) if lines else pd.DataFrame(columns=["set", "model", "n_frames"])


def figure(frames: pd.DataFrame) -> Figure:
    """Draw effective temperature (K) against pressure (GPa): a row a model, a panel a set.

    Hollow: the relaxation did not meet its threshold, so that the temperature is a lower bound.
    """
    told = frames.dropna(subset=["effective_temperature_kelvin", "pressure_gpa"])
    models, sets = (list(dict.fromkeys(told[name])) for name in ("model", "set"))
    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=(FULL_WIDTH_IN, 2.6 * max(1, len(models))), layout="constrained")
        axes = drawn.subplots(max(1, len(models)), max(1, len(sets)), squeeze=False, sharex=True, sharey=True)
        for row, model in zip(axes, models, strict=False):
            for axis, name in zip(row, sets, strict=False):
                _panel(axis, told[(told["model"] == model) & (told["set"] == name)], model, name)
        if not models:
            axes[0, 0].text(0.5, 0.5, "no frame has been relaxed yet", ha="center")
            axes[0, 0].set_axis_off()
        drawn.supxlabel("Effective temperature (K)", fontsize=7.5)
        drawn.supylabel("Pressure of the DFT label (GPa)", fontsize=7.5)
    return drawn


def _panel(axis: Axes, own: pd.DataFrame, model: str, name: str) -> None:
    for status, face in (("ok", MODEL_COLORS[model]), ("not_converged", "none")):
        part = own[own["status"] == status]
        axis.scatter(
            part["effective_temperature_kelvin"],
            part["pressure_gpa"],
            s=7,
            facecolors=face,
            edgecolors=MODEL_COLORS[model],
            linewidths=0.5,
            alpha=0.7,
            label=f"{status.replace('_', ' ')}, n = {len(part)}",
        )
    axis.set_title(f"{display_name(model)}\n{name}")
    axis.legend(loc="upper right", frameon=False)
