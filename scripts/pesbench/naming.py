"""Where everything below ``results/`` lies: the only place that knows the paths (standard library only)."""

from __future__ import annotations

RESULTS = "results"
RUN_CONFIG = f"{RESULTS}/run_config.yaml"
PLAN = f"{RESULTS}/plan.json"
COSTS = (f"{RESULTS}/costs.json", "data/costs.json")
CLAIMS = f"{RESULTS}/claims.json"
LEDGER = f"{RESULTS}/claims.txt"
STORE = f"{RESULTS}/inputs/store"
REPORT = f"{RESULTS}/report/index.html"
CHECKS = f"{RESULTS}/checks.txt"
ARCHIVE = f"{RESULTS}/archive/pesbench.tar.gz"
#: Databases of phonons, and the name of a material's file: ``<source>/<file>``.
REFERENCE_FILES = {
    "phonondb-2018": "phonondb/{}.tar.xz",
    "mdr": "mdr/{}.zip",
    "alexandria-pbe": "alexandria/pbe/{}.yaml.bz2",
    "alexandria-pbesol": "alexandria/pbesol/{}.yaml.bz2",
}


def chunk_records(benchmark: str, model: str, chunk: str) -> str:
    """Records of one finished job."""
    return f"{RESULTS}/{benchmark}/{model}/chunks/{chunk}.jsonl"


def single_record(benchmark: str, model: str, material: str) -> str:
    """Record of one material that was asked for by itself."""
    return f"{RESULTS}/{benchmark}/{model}/materials/{material}.json"


def journal_of(records: str) -> str:
    """Journal that a job appends to while it works; it is no workflow output, so a killed job keeps it."""
    folder, _, name = records.rpartition("/")
    return f"{folder.rpartition('/')[0]}/journal/{name.removesuffix('.jsonl').removesuffix('.json')}.jsonl"


def kept_file(records: str, name: str) -> str:
    """File that a benchmark keeps of one material, beside the records of its job."""
    return f"{records.rsplit('/', 2)[0]}/files/{name}"


def reference_file(reference: str, material: str) -> str:
    """What a database of phonons has on file of one material."""
    return f"{RESULTS}/inputs/{REFERENCE_FILES[reference].format(material)}"


def source_file(source: str, item: str) -> str:
    """File as a source gives it: ``mdr/mp-149.zip``, ``alexandria/pbe/mp-149.yaml.bz2``, ``wbm/<name>``."""
    return f"{RESULTS}/inputs/{source}/{item}"


def labelled(name: str) -> str:
    """Labelled frames of one published set."""
    return f"{RESULTS}/inputs/labelled/{name}.extxyz"


def fetched(benchmark: str, reference: str, part: str) -> str:
    """What was fetched of a database for one chunk of a benchmark, or for one material by itself."""
    return f"{RESULTS}/inputs/{benchmark}/{reference}/{part}.json"


def merged_records(benchmark: str, model: str) -> str:
    """Records of every selected material of one model, sorted."""
    return f"{RESULTS}/{benchmark}/{model}/records.jsonl"


def weights(model: str) -> str:
    """List of the fetched weights of one model, in the format of sha256sum; it stands for the verified files."""
    return f"{RESULTS}/inputs/weights/{model}.sha256"


def weights_folder(model: str) -> str:
    """Folder of the fetched weights of one model."""
    return f"{RESULTS}/inputs/weights/{model}"


def conformance(model: str) -> str:
    """Result of the conformance check of one model in its environment."""
    return f"{RESULTS}/conformance/{model}.json"


def table(name: str, suffix: str = "csv") -> str:
    """One table in one format (``csv``, ``md``, ``tex``)."""
    return f"{RESULTS}/tables/{name}.{suffix}"


def figure(name: str, suffix: str = "pdf") -> str:
    """One figure in one format (``pdf``, ``png``)."""
    return f"{RESULTS}/figures/{name}.{suffix}"


def labels(code: str, sampler: str, material: str) -> str:
    """DFT labels of one material's sampled frames, extended XYZ."""
    return f"{RESULTS}/labels/{code}/{sampler}/{material}.extxyz"


def dft_folder(code: str, frame: str) -> str:
    """Folder of one DFT calculation: its logs, and VASP's input and output."""
    return f"{RESULTS}/labels/{code}/runs/{frame}"


def label_slopes(code: str, sampler: str, model: str) -> str:
    """Slopes of one model's forces against a DFT code's, one row a material."""
    return f"{RESULTS}/labels/{code}/{sampler}/slopes/{model}.csv"


def label_times(code: str, sampler: str) -> str:
    """What the sampling and the labels of every material took."""
    return f"{RESULTS}/labels/{code}/{sampler}/times.csv"


def shipped_labels(material: str) -> str:
    """Shipped DFT labels of one material's hot snapshots, extended XYZ."""
    return f"data/labels/gpaw_hot_{material}.extxyz"


def label_answers(model: str) -> str:
    """One model's answers on the labels of hot snapshots that are at hand."""
    return f"{RESULTS}/labels/answers/{model}.npz"


def check_folder(name: str) -> str:
    """Folder of everything that belongs to one check of a user's own material."""
    return f"{RESULTS}/check/{name}"


def check_file(name: str, *parts: str) -> str:
    """One file of a check."""
    return "/".join((check_folder(name), *parts))
