#!/usr/bin/env bash
# Run by Snakemake in the finished conda environment: see the reasons in fairchem.txt.
set -euo pipefail
python -m pip install --no-deps fairchem-core==2.24.0
