#!/usr/bin/env bash
# The image runs the whole job on the mounted /data and /runs; arguments go to run_all.sh.
set -euo pipefail
exec /ddcore/run_all.sh --data /data --out /runs "$@"
