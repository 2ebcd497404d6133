#!/usr/bin/env bash
# Run by Snakemake in the finished conda environment: see the reasons in matgl-dgl.txt.
set -euo pipefail
python -m pip install --no-deps matgl==1.1.3
