#!/usr/bin/env bash
# What other people's packages make of our exports, each in an environment of its own that it installs; arguments go to pytest.
set -euo pipefail
# shellcheck source=scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/setup.sh"
set_up dev
cd "$repo"
exec "$python" -m pytest -m peers tests/peers "$@"
