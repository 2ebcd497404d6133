"""Where everything below ``results/`` lies: the only place that knows the paths (standard library only)."""

from __future__ import annotations

RESULTS = "results"
RUN_CONFIG = f"{RESULTS}/run_config.yaml"
CLAIMS = f"{RESULTS}/claims.json"
LEDGER = f"{RESULTS}/claims.txt"
REPORT = f"{RESULTS}/report/index.html"
CHECKS = f"{RESULTS}/checks.txt"


def chunk_records(benchmark: str, model: str, chunk: str) -> str:
    """Records of one finished job."""
    return f"{RESULTS}/{benchmark}/{model}/chunks/{chunk}.jsonl"


def journal_of(records: str) -> str:
    """Journal that a job appends to while it works; it is no workflow output, so a killed job keeps it."""
    return records.replace("/chunks/", "/journal/")


def merged_records(benchmark: str, model: str) -> str:
    """Records of every selected material of one model, sorted."""
    return f"{RESULTS}/{benchmark}/{model}/records.jsonl"


def conformance(model: str) -> str:
    """Result of the conformance check of one model in its environment."""
    return f"{RESULTS}/conformance/{model}.json"


def table(name: str, suffix: str = "csv") -> str:
    """One table in one format (``csv``, ``md``, ``tex``)."""
    return f"{RESULTS}/tables/{name}.{suffix}"


def figure(name: str, suffix: str = "pdf") -> str:
    """One figure in one format (``pdf``, ``png``)."""
    return f"{RESULTS}/figures/{name}.{suffix}"
