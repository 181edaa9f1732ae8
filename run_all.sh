#!/usr/bin/env bash
# The whole job: set up if needed, then every stage from the real data to the report. `./run_all.sh --help` has the options.
set -euo pipefail
# shellcheck source=scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/scripts/setup.sh"
set_up job
exec "$python" "$repo/scripts/run_job.py" "$@"
