"""Fine-tuning: Deng et al. (2025), Fig. 6 and Supplementary Figs. 3 and 4; Focassio et al. (2024), Table I, S6, S7.

One run is a model, what of it is trained, on how many labels of which set, with which seed. The frames that a run is
judged on are the set's own test split; they are never trained on, nor is anything chosen by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pesbench.benchmarks.fine_tuning.settings import PARTS, Settings, parse, restart_file, run_id

PROTOCOL = 1
MANIFEST = ""
TABLES = ("fine_tuning", "fine_tuning_verdict", "fine_tuning_costs", "focassio2024_t1_fine_tuning")
FIGURES = ("fine_tuning_curves", "deng2025_sfig3", "deng2025_sfig4", "focassio2024_s6", "focassio2024_s7")


def run(structure: Path, task: Mapping[str, Any], calculator: None, settings: Settings) -> dict[str, Any]:
    """Train one model on some labels of one set, and evaluate it on the set's test frames.

    Parameters
    ----------
    structure
        File of labelled frames.
    task
        ``model``; ``part``, ``count``, ``set``, ``seed``; ``file_part`` (the set's part of the file),
        ``level_of_theory``, ``predictions`` (of the published model, or empty), ``device``, ``key``.

    Returns
    -------
    dict
        Frames that were used, errors, history; ``files``: predictions on the test frames, and the tuned model.

    Raises
    ------
    pesbench.failures.Failure
        When the labels do not suffice, or the training explodes.
    """
    from pesbench.benchmarks.fine_tuning.train import fine_tune

    return fine_tune(structure, task, settings)


def tables(*arguments: Any) -> Any:
    """See `pesbench.benchmarks.fine_tuning.score.tables`."""
    from pesbench.benchmarks.fine_tuning import score

    return score.tables(*arguments)


__all__ = ["PARTS", "Settings", "parse", "restart_file", "run", "run_id", "tables"]
