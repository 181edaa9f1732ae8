#!/usr/bin/env bash
# Hostile files and environments in large numbers, with a fixed seed; arguments go to pytest.
set -euo pipefail
# shellcheck source=scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/setup.sh"
set_up dev
cd "$repo"
export DDCORE_HOSTILE_CASES=${DDCORE_HOSTILE_CASES:-400}
exec "$python" -m pytest -m "hostile or not hostile" tests/hostile "$@"
