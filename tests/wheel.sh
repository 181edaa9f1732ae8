#!/usr/bin/env bash
# Builds the wheel and uses it in an empty environment of each Python, and with the oldest torch that setup.py allows.
# Usage: tests/wheel.sh [PYTHON ...]      default: those of python3.11 to python3.13 that are on the path; the last one
#                                        also tries the oldest torch. About 7 GB under $TMPDIR, one after the other.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pythons=("$@")
if [[ $# -eq 0 ]]; then
    for name in python3.11 python3.12 python3.13; do
        if command -v "$name" >/dev/null && "$name" -c 'import venv' 2>/dev/null; then pythons+=("$name"); fi
    done
fi
if [[ ${#pythons[@]} -eq 0 ]]; then
    echo "error: there is no Python from 3.11 to 3.13 on the path: name one" >&2
    exit 1
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset PYTHONPATH

last=${pythons[-1]}
"$last" -m venv "$scratch/build"
"$scratch/build/bin/pip" install --quiet build
# A copy, so that what building leaves behind does not lie in the checkout.
mkdir "$scratch/source"
git -C "$repo" archive HEAD | tar -x -C "$scratch/source"
"$scratch/build/bin/python" -m build --quiet --wheel --outdir "$scratch" "$scratch/source"
wheel=$(echo "$scratch"/ddcore-*.whl)

# use PYTHON WHAT PINS...: install the wheel and these into an empty environment, and use it in an empty folder.
use() {
    local python=$1 what=$2 begun=$SECONDS
    shift 2
    rm -rf "$scratch/venv" "$scratch/empty"
    "$python" -m venv "$scratch/venv"
    "$scratch/venv/bin/pip" install --quiet --no-cache-dir "$wheel" "$@"
    mkdir "$scratch/empty"
    (cd "$scratch/empty" && DDCORE_CACHE=$scratch/empty TRITON_INTERPRET=1 "$scratch/venv/bin/python" - <<'PYTHON'
import os
import sys

import torch

import ddcore
from ddcore.kernels import norm_act_pool
from ddcore.methods import METHODS
from ddcore.options import changed

assert ddcore.__file__.startswith(sys.prefix), ddcore.__file__
task = ddcore.load_task("digits")
short = {"steps": 2, "validations": 1, "validation_networks": 1, "net": "mlp"}
for name, more in {"dm": {"validation_steps": 5}, "dd": {"epochs": 2}}.items():
    small = ddcore.distill(task, 20, changed(METHODS[name](), {**short, **more}))
    scores = ddcore.evaluate(small, task, ddcore.Evaluation(nets="mlp"))
    print(name, scores["nets"]["mlp"]["accuracy"]["mean"])
x, gain, offset = torch.randn(2, 3, 8, 8), torch.ones(3), torch.zeros(3)
right = norm_act_pool(x, gain, offset)
os.environ["KERNELS"] = "triton"
assert torch.allclose(norm_act_pool(x, gain, offset), right, atol=1e-5)
print(f"Python {sys.version.split()[0]}, torch {torch.__version__}, ddcore {ddcore.__version__}")
PYTHON
    )
    echo "$what: passed in $((SECONDS - begun)) s"
}

for python in "${pythons[@]}"; do
    use "$python" "$python"
done
oldest() { sed -n "s/^ *\"$1>=\([0-9.]*\).*/$1==\1.*/p" "$repo/setup.py"; }
use "$last" "$last, oldest torch" "$(oldest torch)" "$(oldest torchvision)" "$(oldest triton)"
echo "all of it passed"
