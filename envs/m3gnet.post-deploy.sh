#!/usr/bin/env bash
# Run by Snakemake in the finished conda environment: see the reasons in m3gnet.txt.
set -euo pipefail
python -m pip install --no-deps m3gnet==0.2.4 tf-keras==2.21.0
