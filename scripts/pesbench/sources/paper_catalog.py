"""Which tables of the papers are transcribed, where they stand, and what was checked about each."""

from pesbench.sources.paper_tables import (
    S3_MODELS,
    S4_MODELS,
    Table,
    by_line,
    hyperparameter,
    read_defects,
    read_diffusion,
    read_loew_models,
    read_materials,
    read_pes_errors,
    read_phonon_errors,
    read_sic,
    six,
)
from pesbench.sources.paper_text import amount, formula, miller, mp_id, number, plain

DENG = "deng2025-supplement.md"
LOEW = "loew2024-phonons.md"
FOCASSIO = "focassio2024-surfaces.md"
MATTERSIM = "mattersim-mt.md"
S1_HEADER = ("mp-id\tcomposition\tmiller index\tM3GNet\tCHGNet\tMACE\tDFT",)
S3_HEADER = ("mp-id\tcomposition\tM3GNet\tCHGNet\tMACE\tDFT",)
RMSE_HEADER = (
    "ML model\tRMSE over structures with Ni, Cu, Li, Mo, Si, and Ge\t\t\tType",
    "\tBulk total energy (eV atom ⁻¹)\tSurface total energy (eV atom ⁻¹)\tSurface energy (J m ⁻²)\t",
)
RMSE_COLUMNS = (
    "model",
    "bulk_energy_rmse_ev_per_atom",
    "surface_total_energy_rmse_ev_per_atom",
    "surface_energy_rmse_j_per_m2",
    "type",
)


def energies(unit: str) -> tuple[str, ...]:
    """Return the value columns of Deng's tables for one unit."""
    return tuple(f"{name}_{unit}" for name in ("m3gnet", "chgnet", "mace", "dft"))


TABLES = (
    Table(
        "deng2025_s1_surfaces",
        DENG,
        "Supplementary Table I",
        "eV/Å^2; the paper does not name the axes of the Miller index (conventional cells reproduce it)",
        "By script, one row a printed row in the paper's order; subscripts joined, digits as printed; "
        "a repeated Miller index of one material is another termination, which the paper does not "
        "name. Checked: six decimals everywhere; recomputed MAEs 0.0467, 0.0419, 0.0316 meet Fig. 2a "
        "(0.047, 0.042, 0.032); laid over the vector drawing of Fig. 2a, all 438 values below 0.4 lie "
        "on a marker, 39 of 41 isolated markers within 0.0002 (the other two are touching pairs), "
        "and no marker is without a row; row 141 lies outside the drawn range. No garbled cell.",
        ("mp_id", "formula", "miller", *energies("ev_per_ang2")),
        147,
        by_line(mp_id, formula, miller, six, six, six, six),
        S1_HEADER,
        numbered=True,
    ),
    Table(
        "deng2025_s2_defects",
        DENG,
        "Supplementary Table II",
        "eV",
        "By script, one row a printed row; formulas as printed (the cell, not reduced); 'Failed' (K "
        "vacancy, M3GNet) is an empty cell with a note; two vacancies of Na, Bi and In are told apart "
        "by nothing but their order. Checked: six decimals; recomputed MAEs 1.397 (128 rows), 1.296, "
        "0.974 meet Fig. 2b; laid over the vector drawing of Fig. 2b, 385 values lie on a marker and "
        "no marker is without a row, so the figure shows these 129 defects; M3GNet's -16.46 eV (row "
        "10) lies outside the drawn range. No garbled cell.",
        ("formula", "defect", *energies("ev"), "note"),
        129,
        read_defects,
        ("Composition\tDefect Type\tM3GNet\tCHGNet\tMACE\tDFT",),
        numbered=True,
    ),
    Table(
        "deng2025_s3_phonons",
        DENG,
        "Supplementary Table III",
        "THz (largest frequency on a fixed path through the Brillouin zone, without non-analytical "
        "correction)",
        "By script, one row a printed row; subscripts (<sub>, <chem>, LaTeX) joined. Checked: six "
        "decimals; no mp-id twice; shares below DFT 97.4, 90.8, 93.9 % meet Fig. 4b. The text's "
        "M3GNet of this table is not the one of Supplementary Table I (see data/claims.yaml). No "
        "garbled cell.",
        ("mp_id", "formula", *energies("thz")),
        229,
        by_line(mp_id, formula, six, six, six, six),
        S3_HEADER,
        numbered=True,
    ),
    Table(
        "deng2025_t1_models",
        "",
        "Table 1",
        "parameters and structures as counts",
        "Typed from the printed page: the machine-read text lacks this table. Checked against the "
        "text (4.69 M, about 11 and 21 times the others) and with Focassio's Table II (412.5 k for "
        "the same CHGNet).",
        ("model", "version", "n_parameters", "dataset", "n_training"),
        3,
        by_line(plain, plain, amount, plain, amount),
        typed="M3GNet\t2021.2.8\t227.5K\tMPF\t188.3K\n"
        "CHGNet\tv0.3.0\t412.5K\tMPtrj\t1.58M\n"
        "MACE\t2023.12.03\t4.69M\tMPtrj\t1.58M\n",
    ),
    Table(
        "loew2024_t1_relaxation",
        LOEW,
        "Table I",
        "failed in %, MAE of energy in meV/atom, MAE of volume in Å^3/atom, against PBE",
        "By script; a dash is an empty cell. Checked with the text (0.09, 0.10, 0.85 % failed). "
        "CHGNet's 334 meV/atom is ten times its neighbors: the text neither repeats nor explains it "
        "and no other copy was at hand.",
        ("model", "failed_percent", "mae_energy_mev_per_atom", "mae_volume_ang3_per_atom"),
        8,
        by_line(plain, number, number, number),
        ("Model\tFailed (%)\tMAE(E)\tMAE(V)",),
    ),
    Table(
        "loew2024_t2_phonons",
        LOEW,
        "Table II",
        "K (1 THz = 47.9924 K), J/K/mol, kJ/mol, J/K/mol; thermodynamics at 300 K; against PBE",
        "By script. Checked with the ranking in the text. No garbled cell.",
        (
            "model",
            "mae_max_frequency_kelvin",
            "mae_entropy_j_per_k_mol",
            "mae_free_energy_kj_per_mol",
            "mae_heat_capacity_j_per_k_mol",
        ),
        8,
        by_line(plain, number, number, number, number),
        (r"Model	$\text{MAE}(\omega_{\max})$	$\text{MAE}(S)$	$\text{MAE}(F)$	$\text{MAE}(C_V)$",),
    ),
    Table(
        "loew2024_t3_stability",
        LOEW,
        "Table III",
        "% of the 8189 compounds stable in PBE (first two columns) and of the 1769 unstable ones (last two)",
        "By script. Checked: both pairs of columns add up to 100 in every row. No garbled cell.",
        (
            "model",
            "true_stable_percent",
            "false_unstable_percent",
            "true_unstable_percent",
            "false_stable_percent",
        ),
        8,
        by_line(plain, number, number, number, number),
        ("Model\tTS\tFU\tTU\tFS",),
    ),
    Table(
        "loew2024_t4_models",
        LOEW,
        "Table IV",
        "structures and parameters as counts",
        "By script; the three lines of OMat24's sources are joined. MatterSim's 182 M parameters are "
        "as printed; the published 5M checkpoint has fewer.",
        ("model", "n_training", "dataset", "n_parameters"),
        7,
        read_loew_models,
        ("Model\tN_{training}\tSource\tN_w",),
    ),
    Table(
        "focassio2024_t1_rmse",
        FOCASSIO,
        "Table I",
        "eV/atom, eV/atom, J/m^2 (1 eV/Å^2 = 16.0218 J/m^2); six elements",
        "By script. Checked: the same numbers stand in Table S1. No garbled cell.",
        RMSE_COLUMNS,
        9,
        by_line(plain, number, number, number, plain),
        RMSE_HEADER,
        after="TABLE I.",
    ),
    Table(
        "focassio2024_s1_rmse",
        FOCASSIO,
        "Table S1 (Supporting Information)",
        "eV/atom, eV/atom, J/m^2 (1 eV/Å^2 = 16.0218 J/m^2); six elements",
        "By script. Checked: its first nine rows have the numbers of Table I; MTP's type is LRIP "
        "here, MTP there.",
        RMSE_COLUMNS,
        11,
        by_line(plain, number, number, number, plain),
        RMSE_HEADER,
        after="Table S1.",
    ),
    Table(
        "mattersim_mt_s3_pes",
        MATTERSIM,
        "Table S3",
        "eV/atom, eV/Å, GPa (mean absolute errors)",
        "By script, one row a test set and model; bold dropped, powers of ten as 1e5. Checked: 8.5 "
        "GPa (HEX) in the text. No garbled cell.",
        ("test_set", "model", "energy_mae_ev_per_atom", "force_mae_ev_per_ang", "stress_mae_gpa"),
        35,
        read_pes_errors,
        ("\t".join(("Test Set", "MAE", *S3_MODELS)),),
    ),
    Table(
        "mattersim_mt_s4_phonons",
        MATTERSIM,
        "Table S4",
        "THz, km/s, meV/atom (mean absolute errors; Gibbs energy difference between 300 and 900 K)",
        "By script, one row a model. Checked: 1 THz, 23 km/s and 18.50 meV/atom in the text. No "
        "garbled cell.",
        (
            "model",
            "max_frequency_mae_thz",
            "max_group_velocity_mae_km_per_s",
            "gibbs_difference_mae_mev_per_atom",
        ),
        7,
        read_phonon_errors,
        ("\t".join(("MAE of", *S4_MODELS)),),
    ),
    Table(
        "mattersim_mt_s5_materials",
        MATTERSIM,
        "Table S5",
        "none; formulas as printed (elements in alphabetical order, the cell, not reduced)",
        "By script, line by line from left to right, the order in which the ids are sorted as text. "
        "Checked: 115 ids, none twice, sorted.",
        ("mp_id", "formula"),
        115,
        read_materials,
        ("\t".join(("mp-id", "formula") * 4),),
        numbered=True,
    ),
    Table(
        "mattersim_mt_s7_sic",
        MATTERSIM,
        "Table S7",
        "in the name of each quantity (Å, e, 1, THz); 3C-SiC at zero pressure",
        "By script, one row a value; reference is the paper's own number. Checked: LO minus TO is the "
        "printed splitting in all three columns. No garbled cell.",
        ("quantity", "origin", "functional", "reference", "value"),
        20,
        read_sic,
        ("\tMatterSim\tTheoretical\tExperimental",),
    ),
    Table(
        "mattersim_mt_s8_finetuning",
        MATTERSIM,
        "Table S8",
        "none given by the paper",
        "By script; reference numbers and LaTeX signs dropped (omega_f: weight of the forces in the loss).",
        ("parameter", "finetune", "from_scratch"),
        11,
        by_line(hyperparameter, hyperparameter, hyperparameter),
        ("Training parameters\tfinetune\tfrom scratch",),
    ),
    Table(
        "mattersim_mt_s9_diffusion",
        MATTERSIM,
        "Table S9",
        "Å^2/ps at 300 K; a single value has low = high",
        "By script; source is 'This work' or the paper's own reference number. No garbled cell.",
        ("kind", "low_ang2_per_ps", "high_ang2_per_ps", "uncertainty_ang2_per_ps", "source"),
        6,
        read_diffusion,
        (r"Type	$\mathcal{D}$ ( $\text{\AA}^2/\text{ps}$ )	Source",),
    ),
)
