#!/usr/bin/env bash
# Run by Snakemake in the finished conda environment: see the reasons in mattersim.txt.
set -euo pipefail
python -m pip install --no-deps mattersim==1.2.3
