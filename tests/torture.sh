#!/usr/bin/env bash
# Kills N small runs (default 50) of changing methods at random moments and starts them again; prints the tally.
set -euo pipefail
# shellcheck source=scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/setup.sh"
set_up dev
cd "$repo"
OMP_NUM_THREADS=1 TORCHDYNAMO_DISABLE=1 exec "$python" tests/toys/torture.py "${1:-50}"
