#!/usr/bin/env bash
# All checks: set up if needed, then ruff (rules and format), mypy, shellcheck, hadolint, the site and pytest; arguments go to pytest.
set -euo pipefail
# shellcheck source=scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/setup.sh"
set_up dev
cd "$repo"
failed=0
"$python" -m ruff check . || failed=1
"$python" -m ruff format --check . || failed=1
"$python" -m mypy || failed=1
tools=$("$python" -c 'import sysconfig; print(sysconfig.get_path("scripts"))')
"$tools/shellcheck" -x run_all.sh .ci/run docker/*.sh docker/slurm.sbatch scripts/*.sh tests/*.sh || failed=1
"$tools/hadolint" docker/Dockerfile || failed=1
# The site, strictly: a link that leads nowhere is a fault.
site=$(mktemp -d)
"$python" scripts/make_site.py --out "$site/site" || failed=1
rm -rf "$site"
# Two processes share the files of tests; options of a call, such as -n 0, come later and win.
"$python" -m pytest -n 2 --dist loadfile "$@" || failed=1
if [[ $# -eq 0 ]]; then
    # Triton's interpreter has to be there before Triton is.
    TRITON_INTERPRET=1 "$python" -m pytest tests/kernels tests/benchmarks/test_kernels.py || failed=1
fi
exit $failed
