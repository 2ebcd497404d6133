"""The prototypes are the polymorphs of the paper's Materials Project ids."""

from pathlib import Path

import pytest
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from pesbench.errors import PrototypeError
from pesbench.sources.prototypes import load_prototype

FOLDER = Path(__file__).parents[2] / "data" / "prototypes"
PATHS = sorted(FOLDER.glob("mp-*.yaml"))
# formula, space group, atoms of the conventional cell (the paper's Tables S I and S III; polymorphs from the id)
EXPECTED = {
    "mp-126": ("Pt", 225, 4), "mp-1639": ("BN", 216, 8), "mp-733": ("GeO2", 152, 9),
    "mp-1138": ("LiF", 225, 8), "mp-19009": ("NiO", 225, 8), "mp-19399": ("Cr2O3", 167, 30),
    "mp-124": ("Ag", 225, 4), "mp-841": ("Li2O2", 194, 8), "mp-1143": ("Al2O3", 167, 30),
    "mp-30": ("Cu", 225, 4), "mp-1894": ("WC", 187, 2), "mp-13": ("Fe", 229, 2),
    "mp-19770": ("Fe2O3", 167, 30), "mp-7000": ("SiO2", 152, 9), "mp-22862": ("NaCl", 225, 8),
    "mp-135": ("Li", 229, 2), "mp-149": ("Si", 227, 8), "mp-804": ("GaN", 186, 4),
    "mp-8062": ("SiC", 216, 8), "mp-81": ("Au", 225, 4), "mp-560588": ("ZnS", 186, 4),
    "mp-32": ("Ge", 227, 8), "mp-1282": ("VC", 225, 8), "mp-672": ("CdS", 186, 4),
    "mp-127": ("Na", 229, 2), "mp-510408": ("MnO2", 136, 6), "mp-390": ("TiO2", 141, 12),
    "mp-66": ("C", 227, 8), "mp-19079": ("CoO", 166, 4),
    "mp-1265": ("MgO", 225, 8), "mp-2691": ("CdSe", 216, 8), "mp-2741": ("CaF2", 225, 12),
    "mp-23465": ("Cs2TeCl6", 225, 36), "mp-6586": ("K2NaAlF6", 225, 40), "mp-600033": ("SiO2", 229, 36),
    "mp-5967": ("TiCoSb", 216, 12), "mp-2667": ("CsAu", 221, 2), "mp-2657": ("TiO2", 136, 6),
    "mp-2697": ("SrO2", 139, 6), "mp-4608": ("KPF6", 148, 24), "mp-661": ("AlN", 186, 4),
    "mp-134": ("Al", 225, 4),
}  # fmt: skip
DENSITY_TOLERANCE = 0.10  # PBE lattices deviate by up to 3 % in length from measured ones (Na, Au, Li)
SHORTEST_BOND_ANG = (1.2, 4.0)


def test_all_materials_are_there() -> None:
    assert {path.stem for path in PATHS} == set(EXPECTED)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_prototype_is_the_polymorph(path: Path) -> None:
    prototype = load_prototype(path)
    formula, number, atoms = EXPECTED[path.stem]
    structure = prototype.structure
    assert prototype.mp_id == path.stem
    assert structure.composition.reduced_formula == prototype.formula == formula
    assert SpacegroupAnalyzer(structure, symprec=0.01).get_space_group_number() == number
    assert len(structure) == atoms
    if "phonon database" not in prototype.source:  # those are compared with their archive's cell instead
        assert structure.density == pytest.approx(prototype.density_g_per_cm3, rel=DENSITY_TOLERANCE)
    shortest = min(site.nn_distance for site in structure.get_neighbors(structure[0], SHORTEST_BOND_ANG[1]))
    assert SHORTEST_BOND_ANG[0] < shortest < SHORTEST_BOND_ANG[1]
    assert prototype.source and len(prototype.digest) == 64


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("formula: SiO2", "formula: SiO3", "formula is SiO3"),
        ("number: 152", "number: 154", "mend"),
        ("symbol: P3_121", "symbol: P3_221", "space group 152 is P3_121"),
        ("a_ang: 5.021502", "a_ang: .nan", "finite number"),
        ("magnetic:", "magnetics:", "keys absent: magnetic"),
        ("[0.4763051, 0.0", "[0.4148542, 0.2560938", "mend"),
        ("sites:", "sites: [", "cannot be read as YAML"),
    ],
)
def test_wrong_file_is_one_clear_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = (FOLDER / "mp-7000.yaml").read_text()
    assert old in text
    path = tmp_path / "mp-7000.yaml"
    path.write_text(text.replace(old, new))
    with pytest.raises(PrototypeError) as caught:
        load_prototype(path)
    message = str(caught.value)
    assert str(path) in message and words in message and "\n" not in message
