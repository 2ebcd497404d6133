"""Figures show the data: each point, each error and count, and the same bytes for the same input."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from pesbench.plots import (
    AXIS_END_EV_PER_ANG2,
    MODEL_COLORS,
    MODEL_MARKERS,
    display_name,
    parity_surfaces,
    reproduction_surfaces,
    save,
)

CHGNET = "chgnet-0.3.0"


def points(figure: Figure, gid: str) -> PathCollection:
    """Return the points drawn under one name."""
    found = [c for axis in figure.axes for c in axis.collections if c.get_gid() == gid]
    assert len(found) == 1 and isinstance(found[0], PathCollection), gid
    return found[0]


def legend(figure: Figure, model: str) -> str:
    """Return the legend of one model's panel."""
    axis = next(a for a in figure.axes if a.get_title() == display_name(model))
    drawn = axis.get_legend()
    assert drawn is not None
    return "\n".join(text.get_text() for text in drawn.get_texts())


def inside(x: pd.Series, y: pd.Series) -> np.ndarray:
    both = np.column_stack([x, y])
    return both[(both <= AXIS_END_EV_PER_ANG2).all(axis=1)]


def test_parity_points_are_the_data(published: pd.DataFrame, runs: pd.DataFrame) -> None:
    figure = parity_surfaces(published, runs)
    dft = published["dft_ev_per_ang2"]
    for model, stem in (
        (CHGNET, "chgnet"),
        ("mace-mp-0-medium", "mace"),
        ("m3gnet-mp-2021.2.8-efs", "m3gnet"),
    ):
        drawn = points(figure, f"{model} published")
        assert np.allclose(drawn.get_offsets(), inside(dft, published[f"{stem}_ev_per_ang2"]))
        assert len(drawn.get_facecolor()) == 0  # hollow
    for model in (CHGNET, "sevennet-0"):
        own = runs[(runs["model"] == model) & (runs["status"] == "ok")]
        drawn = points(figure, f"{model} ours")
        assert np.allclose(drawn.get_offsets(), inside(own["dft_ev_per_ang2"], own["gamma_ev_per_ang2"]))
        assert to_hex(np.asarray(drawn.get_facecolor())[0]).upper() == MODEL_COLORS[model]
        lost = runs[(runs["model"] == model) & (runs["status"] == "not_converged")]
        crosses = points(figure, f"{model} not converged").get_offsets()
        assert np.allclose(crosses, lost[["dft_ev_per_ang2", "gamma_ev_per_ang2"]])


def test_parity_legend_tells_errors_and_counts(published: pd.DataFrame, runs: pd.DataFrame) -> None:
    figure = parity_surfaces(published, runs)
    own = runs[(runs["model"] == CHGNET) & (runs["status"] == "ok")]
    ours = (own["gamma_ev_per_ang2"] - own["dft_ev_per_ang2"]).abs().mean()
    same = (own["published_ev_per_ang2"] - own["dft_ev_per_ang2"]).abs().mean()
    text = legend(figure, CHGNET)
    assert "paper 0.042 (n = 147)" in text and f"ours {ours:.3f} (n = 139 of 147)" in text
    assert f"paper, our rows {same:.3f}" in text and "not converged: 2" in text and "failed: 1" in text
    assert "beyond the axes: 1" in text  # C (1 1 1), 0.77 eV/A^2 in DFT
    assert "paper" not in legend(figure, "sevennet-0") and "(n = 141 of 147)" in legend(figure, "sevennet-0")
    assert legend(figure, "m3gnet-mp-2021.2.8-efs").startswith("paper 0.047 (n = 147)")


def test_parity_follows_the_data(published: pd.DataFrame, runs: pd.DataFrame) -> None:
    far = runs.assign(gamma_ev_per_ang2=runs["gamma_ev_per_ang2"] + 0.5)
    text = legend(parity_surfaces(published, far), "sevennet-0")
    own = far[(far["model"] == "sevennet-0") & (far["status"] == "ok")]
    error = (own["gamma_ev_per_ang2"] - own["dft_ev_per_ang2"]).abs().mean()
    assert f"ours {error:.3f}" in text and "beyond the axes: 141" in text


def test_parity_without_runs_shows_the_paper_alone(published: pd.DataFrame) -> None:
    figure = parity_surfaces(published)
    assert len(figure.axes) == 3
    assert all(
        "ours" not in legend(figure, m) for m in ("m3gnet-mp-2021.2.8-efs", CHGNET, "mace-mp-0-medium")
    )


def test_reproduction_points_are_the_relative_differences(
    published: pd.DataFrame, runs: pd.DataFrame
) -> None:
    figure = reproduction_surfaces(published, runs)
    own = runs[(runs["model"] == CHGNET) & (runs["status"] == "ok")]
    percent = 100 * (own["gamma_ev_per_ang2"] / own["published_ev_per_ang2"] - 1)
    drawn = points(figure, f"{CHGNET} difference").get_offsets()
    assert np.allclose(drawn, np.column_stack([own["row"] - 1, percent]))
    assert len(figure.axes) == 1  # sevennet-0 has nothing to compare with
    title = figure.axes[0].get_title(loc="left")
    within = f"{(percent.abs() <= 2).sum()} within 2 %, {(percent.abs() <= 4).sum()} within 4 %"
    assert "139 of 147 rows" in title and within in title and "3 failed or not converged" in title
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert len(labels) == 29 and labels[0] == "Pt" and "Cr$_{2}$O$_{3}$" in labels


def test_reproduction_says_when_nothing_ran(published: pd.DataFrame) -> None:
    texts = [text.get_text() for axis in reproduction_surfaces(published).axes for text in axis.texts]
    assert texts == ["no model of the paper has run yet"]


@pytest.mark.parametrize("suffix", ["pdf", "png", "svg"])
def test_same_input_same_bytes(
    published: pd.DataFrame, runs: pd.DataFrame, suffix: str, tmp_path: Path
) -> None:
    first, second, other = (tmp_path / f"{name}.{suffix}" for name in ("first", "second", "other"))
    save(parity_surfaces(published, runs), first)
    save(parity_surfaces(published, runs), second)
    save(parity_surfaces(published), other)
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()
    assert b"CreationDate" not in first.read_bytes() and b"<dc:date>" not in first.read_bytes()


def test_colors_are_fixed_by_the_name() -> None:
    assert MODEL_COLORS[CHGNET] != MODEL_COLORS["mace-mp-0-medium"]
    assert (MODEL_COLORS["my-model"], MODEL_MARKERS["my-model"]) == ("#882255", ">")
    names = [f"model-{i}" for i in range(40)]
    assert len({MODEL_COLORS[name] for name in names}) == 9 and "my-model" not in MODEL_COLORS
