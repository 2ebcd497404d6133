"""config.yaml: defaults, ranges, suggestions, and which materials it asks for."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import pesbench.benchmarks
from pesbench.bundle import as_config
from pesbench.config import resolve
from pesbench.errors import ConfigError
from pesbench.selection import asked_references, select_materials

SHIPPED = Path(__file__).parents[2] / "config.yaml"
MINIMAL: dict[str, Any] = {
    "models": ["emt"],
    "benchmarks": {"surfaces": {"default_materials": ["mp-30", "mp-126"]}},
}
IDS = {"surfaces": ["mp-30", "mp-126", "mp-124"], "phonons": ["mp-30", "mp-149"]}
SETS: dict[str, dict[str, list[str]]] = {"surfaces": {}, "phonons": {"of_a_paper": ["mp-149"]}}


def with_value(key: str, value: object) -> dict[str, Any]:
    """Return the smallest configuration with one value set; dots go down into sections."""
    config = yaml.safe_load(yaml.safe_dump(MINIMAL))
    *sections, last = key.split(".")
    place = config
    for section in sections:
        place = place.setdefault(section, {})
    place[last] = value
    return config


def refusal(config: dict[str, Any]) -> str:
    """Return the one line with which a configuration is refused."""
    with pytest.raises(ConfigError) as caught:
        resolve(config)
    message = str(caught.value)
    assert message.startswith("config.yaml") and "\n" not in message
    return message


def selection(materials: object) -> dict[str, list[str]]:
    """Return the materials of two benchmarks."""
    resolved = resolve(with_value("materials", materials))
    resolved["benchmarks"]["phonons"] = {"default_materials": ["mp-149"]}
    return select_materials(resolved, IDS, SETS)


def test_shipped_file_resolves_to_what_it_says() -> None:
    given = yaml.safe_load(SHIPPED.read_text())
    resolved = resolve(given)
    assert resolved["models"] == given["models"] and resolved["jobs"] == given["jobs"]
    entry = dict(given["benchmarks"]["surfaces"])
    assert resolved["benchmarks"]["surfaces"]["default_materials"] == entry.pop("default_materials")
    settings = resolved["benchmarks"]["surfaces"]["settings"]
    assert {name: settings[name] for name in entry} == entry


def test_what_is_left_out_has_its_default() -> None:
    resolved = resolve(MINIMAL)
    assert resolved["materials"] == "default" and resolved["reference"] == "published"
    assert resolved["sources"] == {"structures": "prototypes"} and resolved["seed"] == 0
    assert resolved["jobs"] == {
        "materials_per_chunk": 8,
        "threads": 1,
        "device": "cpu",
        "mem_mb": 3000,
        "runtime_min": 120,
    }
    assert resolved["benchmarks"]["surfaces"]["settings"]["fmax_ev_per_ang"] == 0.05


def test_given_values_are_kept_and_the_input_is_not_changed() -> None:
    config = with_value("jobs.threads", 4) | {"seed": 7}
    before = yaml.safe_dump(config)
    resolved = resolve(config)
    assert (resolved["jobs"]["threads"], resolved["jobs"]["mem_mb"], resolved["seed"]) == (4, 3000, 7)
    assert yaml.safe_dump(config) == before


def test_resolved_configuration_does_not_share_the_defaults() -> None:
    resolve(MINIMAL)["jobs"]["threads"] = 99
    assert resolve(MINIMAL)["jobs"]["threads"] == 1


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("model", "models"),
        ("material", "materials"),
        ("jobs.thread", "threads"),
        ("jobs.material_per_chunk", "materials_per_chunk"),
        ("sources.structure", "structures"),
        ("benchmarks.surfaces.fmax_ev_per_a", "fmax_ev_per_ang"),
        ("benchmarks.surfaces.max_step", "max_steps"),
    ],
)
def test_unknown_key_gets_the_nearest_name(key: str, nearest: str) -> None:
    message = refusal(with_value(key, 1))
    assert f"unknown key '{key.split('.')[-1]}'" in message and f"did you mean '{nearest}'?" in message


def test_key_like_no_other_gets_the_list() -> None:
    message = refusal(with_value("zzzz", 1))
    assert "known: benchmarks, check, dft, fine_tuning, jobs, materials, models" in message


@pytest.mark.parametrize(
    ("key", "low", "high", "unit"),
    [
        ("jobs.materials_per_chunk", 1, 1_000, "materials"),
        ("jobs.threads", 1, 256, "threads"),
        ("jobs.mem_mb", 500, 4_000_000, "MB"),
        ("jobs.runtime_min", 1, 100_000, "minutes"),
        ("seed", 0, 2**32 - 1, ""),
        ("benchmarks.surfaces.max_steps", 1, 100_000, "steps"),
    ],
)
def test_whole_numbers_have_a_range_and_a_unit(key: str, low: int, high: int, unit: str) -> None:
    for good in (low, high, str(high)):  # nested values of the command line are text
        resolve(with_value(key, good))
    for bad in (low - 1, high + 1, 1.5, "four", True, None, [1]):
        message = refusal(with_value(key, bad))
        assert f"{key} is {bad!r}" in message and f"{low} to {high} {unit}".strip() in message


@pytest.mark.parametrize(
    ("key", "low", "high", "unit"),
    [
        ("min_slab_ang", 3, 100, "angstrom"),
        ("min_vacuum_ang", 5, 100, "angstrom"),
        ("fmax_ev_per_ang", 1e-5, 1, "eV/angstrom"),
    ],
)
def test_numbers_have_a_range_and_a_unit(key: str, low: float, high: float, unit: str) -> None:
    for good in (low, high, (low + high) / 2):
        resolve(with_value(f"benchmarks.surfaces.{key}", good))
    for bad in (low * 0.9, high * 1.1, float("nan"), float("inf"), "thick", True):
        message = refusal(with_value(f"benchmarks.surfaces.{key}", bad))
        assert key in message and repr(bad) in message and f"from {low} to {high} {unit}" in message


@pytest.mark.parametrize(
    ("key", "wrong", "nearest"),
    [
        ("jobs.device", "gpu", "cpu"),
        ("sources.structures", "material_project", "materials_project"),
    ],
)
def test_choice_gets_the_nearest_one(key: str, wrong: str, nearest: str) -> None:
    message = refusal(with_value(key, wrong))
    assert key in message and f"'{wrong}'" in message and f"did you mean '{nearest}'?" in message


def test_optimizer_is_one_of_three() -> None:
    assert "must be FIRE, BFGS or LBFGS" in refusal(with_value("benchmarks.surfaces.optimizer", "CG"))


@pytest.mark.parametrize("models", [None, [], "", ",", ["emt", "emt"], {"emt": 1}])
def test_models_must_be_a_list_without_repeats(models: object) -> None:
    assert "models must list" in refusal(with_value("models", models))


def test_command_line_strings() -> None:
    assert resolve(with_value("models", "emt"))["models"] == ["emt"]
    assert resolve(with_value("models", "emt, chgnet-0.3.0"))["models"] == ["emt", "chgnet-0.3.0"]
    assert resolve(with_value("materials", "mp-126, mp-30"))["materials"] == ["mp-126", "mp-30"]
    assert resolve(with_value("materials", "mp-126"))["materials"] == ["mp-126"]
    assert resolve(with_value("materials", "all"))["materials"] == "all"


@pytest.mark.parametrize("materials", [[], "", " , ", None, 5, {"mp-30": 1}])
def test_materials_that_name_nothing(materials: object) -> None:
    assert "must be default, all, or a list" in refusal(with_value("materials", materials))


@pytest.mark.parametrize("section", ["jobs", "sources", "benchmarks"])
@pytest.mark.parametrize("value", [0, 5, "cpu", ["cpu"], []])
def test_section_that_is_no_section(section: str, value: object) -> None:
    assert section in refusal(with_value(section, value))


@pytest.mark.parametrize("value", [5, "mp-30", ["mp-30"], None])
def test_benchmark_entry_that_is_no_section(value: object) -> None:
    assert "benchmarks.surfaces" in refusal(with_value("benchmarks", {"surfaces": value}))


@pytest.mark.parametrize("materials", [None, "mp-30", 5])
def test_benchmark_needs_default_materials(materials: object) -> None:
    message = refusal(with_value("benchmarks.surfaces.default_materials", materials))
    assert "default_materials must be a list of material ids, [] for none" in message


def test_unknown_benchmark_names_the_file_that_is_missing() -> None:
    message = refusal(with_value("benchmarks.surface", {"default_materials": ["mp-30"]}))
    assert "no module scripts/pesbench/benchmarks/surface.py" in message


def test_library_that_a_benchmark_lacks_is_not_blamed_on_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lacking.py").write_text("import no_such_library\n")
    monkeypatch.setattr(pesbench.benchmarks, "__path__", [str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        resolve(with_value("benchmarks.lacking", {"default_materials": ["mp-30"]}))


@pytest.mark.parametrize("name", ["../records", "surfaces.Settings", "Surfaces", "1d", ""])
def test_benchmark_name_cannot_leave_its_folder(name: str) -> None:
    config = with_value("models", ["emt"]) | {"benchmarks": {name: {"default_materials": ["mp-30"]}}}
    assert f"'{name}' is no benchmark name" in refusal(config)


def test_all_materials_are_every_benchmarks_own() -> None:
    assert selection("all") == {"surfaces": ["mp-124", "mp-126", "mp-30"], "phonons": ["mp-149", "mp-30"]}


def test_default_materials_are_each_benchmarks_own() -> None:
    assert selection("default") == {"surfaces": ["mp-126", "mp-30"], "phonons": ["mp-149"]}


def test_listed_materials_go_where_they_are_known() -> None:
    assert selection(["mp-149", "mp-124", "mp-124"]) == {"surfaces": ["mp-124"], "phonons": ["mp-149"]}
    assert selection(["mp-30"]) == {"surfaces": ["mp-30"], "phonons": ["mp-30"]}


def test_unknown_material_gets_the_nearest_id() -> None:
    with pytest.raises(
        ConfigError, match=r"no material 'mp-12' in benchmark surfaces, did you mean 'mp-12[46]'"
    ):
        selection(["mp-30", "mp-12"])


def test_unknown_default_material_is_named() -> None:
    resolved = resolve(with_value("benchmarks.surfaces.default_materials", ["mp-999"]))
    with pytest.raises(ConfigError, match="no material 'mp-999' in benchmark surfaces"):
        select_materials(resolved, {"surfaces": IDS["surfaces"]}, {"surfaces": {}})


def test_a_named_set_is_the_ids_of_the_benchmark_that_has_it() -> None:
    assert selection("of_a_paper") == {"surfaces": [], "phonons": ["mp-149"]}
    assert selection(["of_a_paper", "mp-126"]) == {"surfaces": ["mp-126"], "phonons": ["mp-149"]}
    with pytest.raises(ConfigError, match="did you mean 'of_a_paper'"):
        selection("of_a_papre")


def test_a_truth_may_come_as_text_and_nothing_else_is_one() -> None:
    """As in --config benchmarks='{phonons: {free_relaxation: false}}'."""
    config = with_value("benchmarks.phonons", {"default_materials": ["mp-661"], "free_relaxation": "False"})
    assert resolve(config)["benchmarks"]["phonons"]["settings"]["free_relaxation"] is False
    config["benchmarks"]["phonons"]["free_relaxation"] = "perhaps"
    assert "free_relaxation is 'perhaps', must be true or false" in refusal(config)


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ({"phonodb": {"mirror": "/x"}}, "unknown key 'phonodb', did you mean 'phonondb'"),
        ({"mdr": "/x"}, "sources.mdr is '/x', must be a section with the one key mirror"),
        ({"mdr": {"miror": "/x"}}, "must be a section with the one key mirror"),
        ({"mdr": {"mirror": ""}}, "must be a section with the one key mirror"),
    ],
)
def test_a_mirror_is_a_section_of_a_known_source(sources: dict[str, object], words: str) -> None:
    assert words in refusal(with_value("sources", sources))


def test_mirrors_are_kept() -> None:
    given = {"phonondb": {"mirror": "/data/mirror"}, "wbm": {"mirror": "network"}}
    assert resolve(with_value("sources", given))["sources"] == {"structures": "prototypes", **given}


DATABASES = {"phonons": {"phonondb-2018": "PBEsol", "alexandria-pbe": "PBE"}, "surfaces": {}}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("published", {}),
        ("fetched", {"phonondb-2018": "PBEsol"}),
        ("alexandria-pbe,phonondb-2018", DATABASES["phonons"]),
        (["alexandria-pbe"], {"alexandria-pbe": "PBE"}),
    ],
)
def test_databases_to_compare_with(given: object, wanted: dict[str, str]) -> None:
    asked = resolve(with_value("reference", given))["reference"]
    assert asked_references(asked, DATABASES) == {"phonons": wanted, "surfaces": {}}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("alexandria", "did you mean 'alexandria-pbe'"),
        ("publish", "did you mean 'published'"),
        (["fetched", "mdr"], "must be published, fetched, or a list"),
        ([], "must be"),
        (3, "must be"),
    ],
)
def test_what_is_no_database(given: object, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        asked_references(resolve(with_value("reference", given))["reference"], DATABASES)


def test_what_an_archive_carries_is_the_same_configuration() -> None:
    """An archive is rebuilt from its config.yaml: every section has to come back as it was resolved."""
    resolved = resolve(yaml.safe_load(SHIPPED.read_text()))
    carried = yaml.safe_load(yaml.safe_dump(as_config(resolved)))
    assert resolve(carried) == resolved
