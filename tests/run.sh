#!/usr/bin/env bash
# All checks: set up if needed, then ruff, mypy and pytest; arguments go to pytest.
set -euo pipefail
# shellcheck source=scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/setup.sh"
set_up dev
cd "$repo"
failed=0
"$python" -m ruff check . || failed=1
"$python" -m mypy || failed=1
"$python" -m pytest "$@" || failed=1
if [[ $# -eq 0 ]]; then
    # Triton's interpreter has to be there before Triton is.
    TRITON_INTERPRET=1 "$python" -m pytest tests/kernels tests/benchmarks/test_kernels.py || failed=1
fi
exit $failed
