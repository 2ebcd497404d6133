"""What a claim measures: functions of one table, named in ``data/claims.yaml`` under ``compute``.

A frame with models is long: columns ``row, model, value, dft`` and the columns that name the row. Other
tables come as they are. Each function returns one number or one short text.
"""

import re
from collections import Counter
from collections.abc import Callable
from math import gcd

import pandas as pd

from pesbench import metrics

Value = float | int | str
# Elements for which Materials Project adds a Hubbard U in oxides and fluorides (pymatgen's MPRelaxSet).
U_ELEMENTS = frozenset(["Co", "Cr", "Fe", "Mn", "Mo", "Ni", "V", "W"])


def elements(formula: str) -> Counter[str]:
    """Return how often each element stands in a formula (with parentheses: only which ones stand there)."""
    return Counter({e: int(n or 1) for e, n in re.findall(r"([A-Z][a-z]?)(\d*)", formula)})


def reduced(formula: str) -> frozenset[tuple[str, int]]:
    """Return the composition divided by its greatest common divisor, so that Na2Ag4 equals NaAg2."""
    counts = elements(formula)
    divisor = gcd(*counts.values())
    return frozenset((e, n // divisor) for e, n in counts.items())


def n_rows(frame: pd.DataFrame) -> int:
    """Return the number of rows of the paper's table."""
    return int(frame["row"].nunique())


def n_distinct(frame: pd.DataFrame, column: str) -> int:
    """Return the number of different entries of a column."""
    return int(frame[column].nunique())


def n_with_id(frame: pd.DataFrame, mp_id: str) -> int:
    """Return the number of rows of one material."""
    return int(frame.loc[frame["mp_id"] == mp_id, "row"].nunique())


def n_element_sets(frame: pd.DataFrame) -> int:
    """Return the number of different sets of elements."""
    return len({frozenset(elements(f)) for f in frame["formula"]})


def max_elements(frame: pd.DataFrame) -> int:
    """Return the largest number of elements in one material."""
    return max(len(elements(f)) for f in frame["formula"])


def n_rows_of(frame: pd.DataFrame, formula: str) -> int:
    """Return the number of rows whose composition reduces to the one of ``formula``."""
    first = frame.drop_duplicates("row")
    return sum(reduced(f) == reduced(formula) for f in first["formula"])


def n_repeated(frame: pd.DataFrame, columns: list[str]) -> int:
    """Return how many labels (``columns`` together) are carried by more than one row."""
    sizes = frame.drop_duplicates("row").groupby(columns).size()
    return int((sizes > 1).sum())


def max_miller(frame: pd.DataFrame) -> int:
    """Return the largest absolute Miller index."""
    return max(abs(int(i)) for cell in frame["miller"] for i in re.findall(r"-?\d+", cell))


def n_with_u(frame: pd.DataFrame) -> int:
    """Return the number of rows for which Materials Project would add a Hubbard U."""
    sets = [set(elements(f)) for f in frame.drop_duplicates("row")["formula"]]
    return sum(bool(s & U_ELEMENTS) and bool(s & {"O", "F"}) for s in sets)


def n_scored(frame: pd.DataFrame) -> int:
    """Return the number of values."""
    return int(frame["value"].notna().sum())


def n_drawn(frame: pd.DataFrame, low: float, high: float) -> int:
    """Return the number of rows whose reference and every value lie inside a figure's axes."""
    inside = frame["dft"].between(low, high) & frame["value"].between(low, high)
    return int(inside.groupby(frame["row"]).all().sum())


def mae(frame: pd.DataFrame) -> float:
    """Return the mean absolute error against DFT."""
    return metrics.mae(frame["value"], frame["dft"])


def mean_error(frame: pd.DataFrame) -> float:
    """Return the mean signed error against DFT; negative when the model is too low."""
    return metrics.mean_signed_error(frame["value"], frame["dft"])


def share_below(frame: pd.DataFrame) -> float:
    """Return the share (0 to 1) of rows strictly below DFT."""
    return metrics.share_underestimated(frame["value"], frame["dft"])


def share_not_below(frame: pd.DataFrame) -> float:
    """Return the share (0 to 1) of rows at or above DFT."""
    return 1.0 - share_below(frame)


def n_not_below(frame: pd.DataFrame) -> int:
    """Return the number of rows at or above DFT."""
    return int((frame["value"] >= frame["dft"]).sum())


def common_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows for which every model of the frame has a value."""
    per_row = frame.groupby("row")["model"].transform("nunique")
    return frame[per_row == frame["model"].nunique()]


def ranking(frame: pd.DataFrame, low: float = float("-inf"), high: float = float("inf")) -> str:
    """Return the models by mean absolute error on their common rows, best first, ``mace < chgnet < m3gnet``.

    With ``low`` and ``high`` only values inside a figure's axes count.
    """
    inside = common_rows(frame[frame["value"].between(low, high) & frame["dft"].between(low, high)])
    errors = (inside["value"] - inside["dft"]).abs().groupby(inside["model"]).mean()
    return " < ".join(errors.sort_values(kind="stable").index)


def best(frame: pd.DataFrame) -> str:
    """Return the model with the smallest mean absolute error on the common rows."""
    return ranking(frame).split(" < ")[0]


def entry(frame: pd.DataFrame, name: str, column: str, scale: float = 1.0) -> float:
    """Return one cell of a table of models, divided by ``scale``."""
    return float(frame.set_index("model")[column][name]) / scale


def ratio(frame: pd.DataFrame, numerator: str, denominator: str, column: str) -> float:
    """Return the ratio of two models' entries."""
    return entry(frame, numerator, column) / entry(frame, denominator, column)


def smallest_ratio(frame: pd.DataFrame, name: str, column: str) -> float:
    """Return the smallest ratio of any other model's entry to that of ``name``."""
    others = frame.loc[frame["model"] != name, column].astype(float)
    return float(others.min()) / entry(frame, name, column)


def n_distinct_among(frame: pd.DataFrame, names: list[str], column: str) -> int:
    """Return the number of different entries of a column among some models."""
    return int(frame.loc[frame["model"].isin(names), column].nunique())


MEASURES: dict[str, Callable[..., Value]] = {
    f.__name__: f
    for f in (
        n_rows,
        n_distinct,
        n_with_id,
        n_element_sets,
        max_elements,
        n_rows_of,
        n_repeated,
        max_miller,
        n_with_u,
        n_scored,
        n_drawn,
        mae,
        mean_error,
        share_below,
        share_not_below,
        n_not_below,
        ranking,
        best,
        entry,
        ratio,
        smallest_ratio,
        n_distinct_among,
    )
}  # fmt: skip
