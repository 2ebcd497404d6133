"""The phonon figures hold the data: curves, ratios, deviations, errors and counts; nothing run is no crash."""

import json
import lzma
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pesbench.loew_plots import (
    dataset_figure,
    elements_figure,
    frequency_figure,
    thermal_figure,
    volume_figure,
)
from pesbench.phonon_plots import Row, bands_figure, dashes, ratio_figure, reproduction_phonons, violins
from pesbench.phonon_run import (
    FREQUENCY,
    PhononRun,
    crystal_system,
    elements_of,
    path_ticks,
    read_run,
    run_of,
)
from pesbench.plots import MODEL_COLORS, save
from pesbench.records import Record, write_records
from pesbench.tables import read_published

CHGNET, M3GNET, SEVENNET, DFT = "chgnet-0.3.0", "m3gnet-matgl-pes", "sevennet-0", "phonondb-2018"
FACTORS = {DFT: 1.0, CHGNET: 0.9, M3GNET: 0.8, SEVENNET: 1.05}
MATERIALS = ("mp-1265", "mp-2691", "mp-2998", "mp-5967", "mp-6037", "mp-6265")
DATA = Path(__file__).parents[2] / "data" / "published" / "deng2025_s3_phonons.csv"


def band_file(factor: float) -> dict[str, object]:
    """Two atoms on the path X-Γ-L, then a jump to W-K: a chain's optical and acoustic branch, stretched."""
    q = np.linspace(0, 1, 26)
    acoustic, optical = factor * 10 * np.sin(np.pi * q / 2), factor * (15 - 2 * q)
    segment = np.sort(np.column_stack([acoustic, acoustic, 1.1 * acoustic, optical, optical, optical]))
    ends = [(0.0, 1.0), (1.0, 1.8), (1.8, 2.1)]
    segments = [
        {"distance": np.linspace(*pair, 26).tolist(), "frequencies_thz": (segment - 0.5 * i).tolist()}
        for i, pair in enumerate(ends)
    ]
    dos = {"frequency_thz": np.linspace(-1, 16, 201).tolist(), "states_per_thz": [0.35] * 201}
    return {"labels": ["X", "GAMMA", "GAMMA", "L", "W_1", "K"], "segments": segments, "dos": dos}


def record(material: str, model: str, number: int) -> Record:
    factor = FACTORS[model] * (1 + 0.01 * number * (model != DFT))
    values = {
        "space_group_start": (225, 14, 62, 148, 194, 2)[number],
        "volume_ang3_per_atom": 10 + number + (model != DFT) * 0.1 * (number + 1),
        "path": {"max_frequency_thz": 15 * factor},
        "commensurate": {"max_frequency_thz": 14 * factor},
        "mesh": {
            "entropy_j_per_k_mol": 100 / factor,
            "free_energy_kj_per_mol": 5 * factor,
            "heat_capacity_j_per_k_mol": 40 / factor,
        },
    }
    return Record(material, "phonons", model, "ok", {"settings": "0"}, values=values)


@pytest.fixture
def published() -> pd.DataFrame:
    return read_published(DATA)


@pytest.fixture
def run(published: pd.DataFrame, tmp_path: Path) -> PhononRun:
    """Six materials with three models and DFT; one of M3GNet's failed."""
    records = [record(m, model, i) for model in FACTORS for i, m in enumerate(MATERIALS)]
    failed = Record("mp-2691", "phonons", M3GNET, "failed", {}, stage="forces", message="not finite")
    records = [r for r in records if (r.id, r.model) != (failed.id, M3GNET)] + [failed]
    for r in records:
        path = tmp_path / r.model / "files" / f"{r.id}.bands.json.xz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lzma.compress(json.dumps(band_file(FACTORS[r.model])).encode()))
    formulas = dict(zip(published["mp_id"], published["formula"], strict=True))
    return run_of(records, {DFT: "PBEsol"}, formulas, tmp_path)


@pytest.fixture
def table(published: pd.DataFrame) -> pd.DataFrame:
    """Our tidy table, planted: CHGNet 0.1 % too high (three rows 3 %, one 20 %), SevenNet on the first ten rows."""
    lines = [
        {
            **{"row": r["row"], "mp_id": r["mp_id"], "formula": r["formula"], "model": model},
            "max_freq_thz": _planted(model, r),
            "published_thz": r["chgnet_thz"] if model == CHGNET else float("nan"),
            "dft_thz": r["dft_thz"] * 1.001 if r["row"] <= 100 else float("nan"),
            "dft_published_thz": r["dft_thz"],
            "status": _status(model, r["row"]),
            "level_of_theory": "PBE (MP)",
        }
        for model in (CHGNET, SEVENNET)
        for r in published.to_dict("records")
    ]
    return pd.DataFrame(lines)


def _planted(model: str, row: dict[str, float]) -> float:
    if _status(model, int(row["row"])) != "ok":
        return float("nan")
    factor = {1: 1.03, 2: 1.03, 3: 0.97, 4: 1.2}.get(int(row["row"]), 1.001)
    return row["chgnet_thz"] * factor if model == CHGNET else row["dft_thz"] * (0.9 + 0.02 * row["row"])


def _status(model: str, row: int) -> str:
    if model == SEVENNET:
        return "ok" if row <= 10 else "not_run"
    return {9: "failed", 12: "not_converged"}.get(row, "ok")


def texts(figure: Figure) -> str:
    """Return every text of a figure: titles, labels, annotations, ticks."""
    parts = [text.get_text() for text in figure.findobj(matplotlib.text.Text)]
    return "\n".join(part for part in parts if part)


def quartiles(axis: Axes, gid: str) -> list[float]:
    """Return where the quartile lines of a violin lie."""
    [lines] = [c for c in axis.collections if c.get_gid() == gid]
    return [float(path.vertices[0, 0]) for path in lines.get_paths()]


def test_bands_are_the_kept_frequencies(run: PhononRun, table: pd.DataFrame) -> None:
    [axis] = (figure := bands_figure(run, table)).axes
    for model, factor in FACTORS.items():
        for i, segment in enumerate(band_file(factor)["segments"]):
            lines = [line for line in axis.get_lines() if line.get_gid() == f"{model} bands {i}"]
            assert np.allclose(
                np.column_stack([line.get_ydata() for line in lines]), segment["frequencies_thz"]
            )
            assert all(np.allclose(line.get_xdata(), segment["distance"]) for line in lines)
            assert {line.is_dashed() for line in lines} == {model != DFT}
            assert {line.get_color() for line in lines} == {
                MODEL_COLORS[model] if model != DFT else "#000000"
            }
    assert [t.get_text() for t in axis.get_xticklabels()] == ["X", "Γ", "L|W₁", "K"]
    assert np.allclose(axis.get_xticks(), [0, 1, 1.8, 2.1])
    assert axis.get_ylim()[0] < -1 and "THz" in axis.get_ylabel()
    assert axis.get_title(loc="left").startswith("MgO (mp-1265)") and "PhononDB (PBEsol)" in texts(figure)
    assert "trained on PBE (MP)" in texts(figure)
    assert len({dashes(run, model) for model in FACTORS}) == 4


def test_bands_take_the_papers_material_and_only_what_finished(run: PhononRun, table: pd.DataFrame) -> None:
    csf = {model: {"mp-1784": own["mp-1265"]} | dict(own) for model, own in run.records.items()}
    for model in FACTORS:
        files = run.folder / model / "files"
        (files / "mp-1784.bands.json.xz").write_bytes((files / "mp-1265.bands.json.xz").read_bytes())
    title = bands_figure(PhononRun(csf, run.databases, {"mp-1784": "CsF"}, run.folder), table).axes[0]
    assert title.get_title(loc="left").startswith("CsF (mp-1784)")
    failed = PhononRun({m: {"mp-2691": own["mp-2691"]} for m, own in run.records.items()}, {}, {}, run.folder)
    figure = bands_figure(failed, table)
    assert (
        "CHGNet" in texts(figure)
        and "M3GNet" not in texts(figure)
        and "DFT (solid): not at hand" in texts(figure)
    )


def test_ratio_quartiles_shares_and_counts(published: pd.DataFrame, table: pd.DataFrame) -> None:
    figure = ratio_figure(published, table)
    [axis] = figure.axes
    own = table[(table["model"] == CHGNET) & (table["status"] == "ok")]
    ours = own["max_freq_thz"] / own["dft_thz"].fillna(own["dft_published_thz"])
    theirs = published["chgnet_thz"] / published["dft_thz"]
    for side, ratio in (("low", ours), ("high", theirs)):
        wanted = ratio.quantile([0.25, 0.5, 0.75]).to_list()
        assert np.allclose(quartiles(axis, f"{CHGNET} {side} quartiles"), wanted)
    told = texts(figure)
    assert "published: 97.4 % below 1, n = 229" in told and "published: 90.8 % below 1, n = 229" in told
    assert f"ours: {100 * (ours < 1).mean():.1f} % below 1, n = 227" in told
    assert "ours: 50.0 % below 1, n = 10" in told and "PBEsol" in axis.get_xlabel()
    assert quartiles(axis, f"{SEVENNET} low quartiles") == pytest.approx(
        np.quantile((0.9 + 0.02 * np.arange(1, 11)) / 1.001, [0.25, 0.5, 0.75])
    )


def test_far_tails_are_cut_and_counted() -> None:
    axis = Figure().subplots()
    values = np.concatenate([np.linspace(-1, 1, 999), [500.0]])
    violins(axis, [Row(values, "n = 1000", "both", "a", "#000000", "a")], marked=-3.0)
    low, high = axis.get_xlim()
    assert low == -3 and 1 < high < 10 and [t.get_text() for t in axis.texts] == ["n = 1000, 1 beyond"]
    calm = Figure().subplots()
    violins(calm, [Row(values[:-1], "n = 999", "both", "a", "#000000", "a")])
    assert calm.get_xlim()[0] < -1 and calm.get_xlim()[1] > 1 and calm.texts[0].get_text() == "n = 999"


def test_few_ratios_are_points(published: pd.DataFrame, table: pd.DataFrame) -> None:
    one = table[(table["row"] == 7) & (table["model"] == SEVENNET)]
    [axis] = (figure := ratio_figure(published, one)).axes
    [spots] = [c for c in axis.collections if c.get_gid() == f"{SEVENNET} low values"]
    assert np.asarray(spots.get_offsets())[0, 0] == pytest.approx(1.04 / 1.001)
    assert "ours: 0.0 % below 1, n = 1" in texts(figure)


def test_reproduction_shows_maxima_and_deviations(table: pd.DataFrame) -> None:
    top, bottom = (figure := reproduction_phonons(table)).axes
    own = table[(table["model"] == CHGNET) & (table["status"] == "ok")]
    [points] = [c for c in top.collections if c.get_gid() == f"{CHGNET} maxima"]
    assert np.allclose(points.get_offsets(), own[["published_thz", "max_freq_thz"]])
    low, high = top.get_xlim()
    assert top.get_ylim() == (low, high) and low < own[["published_thz", "max_freq_thz"]].min().min()
    heights = [bar.get_height() for bar in bottom.patches if isinstance(bar, Rectangle)]
    assert sum(heights) == 226 and max(heights) == 223
    assert "223 within 1 %, 223 within 2 %, 1 beyond 5 %" in texts(figure)
    assert "227 of 229 materials" in texts(figure) and "2 failed or not converged" in texts(figure)


def test_reproduction_draws_what_did_not_converge_as_hollow(table: pd.DataFrame) -> None:
    """Three rows that were left on their way count among those within 1 %, and are no filled points."""
    rows = table[(table["model"] == CHGNET) & (table["status"] == "ok")].index[[5, 6, 7]]
    left = table.assign(status=table["status"].where(~table.index.isin(rows), "not_converged"))
    top, bottom = (figure := reproduction_phonons(left)).axes
    clouds = {c.get_gid(): c for c in top.collections}
    assert len(clouds[f"{CHGNET} left"].get_offsets()) == 3
    assert len(clouds[f"{CHGNET} maxima"].get_offsets()) == 224
    assert len(clouds[f"{CHGNET} left"].get_facecolors()) == 0
    heights = [bar.get_height() for bar in bottom.patches if isinstance(bar, Rectangle)]
    assert sum(heights) == 226, "stacked: every row once"
    for told in ("223 within 1 %", "227 of 229 materials", "3 of them not converged (hollow)"):
        assert told in texts(figure)


def test_data_set_counts(run: PhononRun) -> None:
    elements, systems = (figure := dataset_figure(run)).axes
    drawn = {
        label.get_text(): bar.get_height()
        for label, bar in zip(elements.get_xticklabels(), elements.patches, strict=True)
    }
    sizes = [len(elements_of(run.formulas[m])) for m in MATERIALS]
    assert drawn == {str(n): sizes.count(n) for n in range(2, 5)}
    heights = [bar.get_height() for bar in systems.patches]
    assert heights == [1, 1, 1, 0, 1, 1, 1] and "n = 6" in texts(figure)


def test_elements_are_where_they_belong(run: PhononRun) -> None:
    figure = elements_figure(run)
    boxes = {p.get_gid(): p for p in figure.axes[0].patches if isinstance(p, Rectangle) and p.get_gid()}
    assert len(boxes) == 103
    places = {
        e: (round(boxes[e].get_x()), round(boxes[e].get_y()))
        for e in ("H", "He", "O", "Ti", "Rn", "La", "Lu")
    }
    wanted = {
        "H": (1, 1),
        "He": (18, 1),
        "O": (16, 2),
        "Ti": (4, 4),
        "Rn": (18, 6),
        "La": (3, 8),
        "Lu": (17, 8),
    }
    assert places == wanted
    absent = boxes["Xe"].get_facecolor()
    assert boxes["O"].get_facecolor() != absent and boxes["Xe"].get_facecolor() == boxes["U"].get_facecolor()
    oxides = sum("O" in elements_of(run.formulas[m]) for m in MATERIALS)
    near = [t.get_text() for t in figure.axes[0].texts if round(t.get_position()[0] - 0.47) == 16]
    assert str(oxides) in near and "n = 6" in texts(figure)


@pytest.mark.parametrize(
    ("number", "system"),
    [(1, "triclinic"), (15, "monoclinic"), (75, "tetragonal"), (167, "trigonal"), (230, "cubic")],
)
def test_crystal_systems(number: int, system: str) -> None:
    assert crystal_system(number) == system


def test_errors_are_ours_minus_the_database(run: PhononRun) -> None:
    [axis] = volume_figure(run).axes
    wanted = np.quantile(0.1 * np.arange(1, 7), [0.25, 0.5, 0.75])
    assert quartiles(axis, f"{CHGNET} both quartiles") == pytest.approx(wanted)
    assert "PhononDB (PBEsol)" in axis.get_xlabel() and "Å$^3$/atom" in axis.get_xlabel()
    panels = thermal_figure(run).axes
    assert [a.get_xlabel().split("(")[1].split(")")[0] for a in panels] == [
        "K",
        "J/K/mol",
        "kJ/mol",
        "J/K/mol",
    ]
    kelvin = 14 * 47.99243073 * (0.9 * (1 + 0.01 * np.arange(6)) - 1)
    assert quartiles(panels[0], f"{CHGNET} both quartiles") == pytest.approx(
        np.quantile(kelvin, [0.25, 0.5, 0.75])
    )
    assert f"MAE {np.abs(kelvin).mean():.3g}\nn = 6" in texts(panels[0].figure)
    assert "n = 5" in texts(panels[0].figure)  # M3GNet: one failed


def test_frequencies_of_database_and_models(run: PhononRun) -> None:
    [axis] = (figure := frequency_figure(run)).axes
    assert [t.get_text() for t in axis.get_yticklabels()] == [
        "PhononDB\n(PBEsol)",
        "M3GNet\n(m3gnet-matgl-pes)",
        "CHGNet\n(chgnet-0.3.0)",
        "sevennet-0",
    ]
    assert quartiles(axis, f"{DFT} both quartiles") == pytest.approx([14 * 47.99243073] * 3)
    assert "median 672\nn = 6" in texts(figure) and FREQUENCY.unit in axis.get_xlabel()


def test_without_a_database(run: PhononRun, table: pd.DataFrame) -> None:
    alone = PhononRun(
        {m: r for m, r in run.records.items() if m != DFT}, run.databases, run.formulas, run.folder
    )
    assert texts(thermal_figure(alone)).count("no reference at hand") == 4
    assert "no reference at hand" in texts(volume_figure(alone))
    assert "n = 6" in texts(frequency_figure(alone)) and "DFT (solid): not at hand" in texts(
        bands_figure(alone, table)
    )


def test_nothing_run_and_one_material(
    run: PhononRun, published: pd.DataFrame, table: pd.DataFrame, tmp_path: Path
) -> None:
    idle = table.assign(status="not_run", max_freq_thz=float("nan"))
    nothing, one = (
        PhononRun({}),
        PhononRun(
            {m: {"mp-1265": r["mp-1265"]} for m, r in run.records.items()},
            run.databases,
            run.formulas,
            run.folder,
        ),
    )
    single = table.assign(status=table["status"].where(table["mp_id"] == "mp-1265", "not_run"))
    for who, rows in ((nothing, idle), (nothing, idle.iloc[:0]), (one, single)):
        figures = [bands_figure(who, rows), ratio_figure(published, rows), reproduction_phonons(rows)]
        figures += [draw(who) for draw in (dataset_figure, elements_figure, volume_figure)]
        figures += [thermal_figure(who), frequency_figure(who)]
        for number, figure in enumerate(figures):
            save(figure, tmp_path / f"{number}.svg")
    assert "no band structure in this run" in texts(bands_figure(nothing, idle))
    assert "no model of the paper has run yet" in texts(reproduction_phonons(idle))
    assert "published: 90.8 % below 1, n = 229" in texts(ratio_figure(published, idle))
    assert "MAE 0.1\nn = 1" in texts(volume_figure(one))


def test_same_input_same_bytes(run: PhononRun, table: pd.DataFrame, tmp_path: Path) -> None:
    first, second = tmp_path / "a.pdf", tmp_path / "b.pdf"
    save(bands_figure(run, table), first)
    save(bands_figure(run, table), second)
    assert first.read_bytes() == second.read_bytes()


def test_ticks_join_where_the_path_goes_on() -> None:
    bands = band_file(1.0)
    assert path_ticks(bands) == [(0.0, "X"), (1.0, "Γ"), (1.8, "L|W₁"), (2.1, "K")]


def test_records_are_read_by_model_and_material(tmp_path: Path) -> None:
    other = Record("mp-1", "surfaces", CHGNET, "ok", {})
    write_records(tmp_path / "a.jsonl", [record("mp-2998", CHGNET, 0), record("mp-149", CHGNET, 1), other])
    found = read_run([tmp_path / "a.jsonl", tmp_path / "none.jsonl"], {}, {}, tmp_path)
    assert found.materials == ["mp-149", "mp-2998"] and found.models == [CHGNET]
    assert found.title("mp-149") == "mp-149" and found.bands(CHGNET, "mp-149") is None
