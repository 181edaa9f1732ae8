#!/usr/bin/env bash
# What ddcore does on this GPU, in parts that are resumed: tests, benchmarks, a profile, a quick job; one folder to send.
#   scripts/first_gpu.sh [--out FOLDER] [--only "PART ..."] [--limit SECONDS] [--dry-run]
# A part that failed or was stopped runs again at the next call, one that passed does not. Nothing is installed: parts
# use $PYTHON (default python3) with the packages that are there, and say so where one is missing.
set -uo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=${PYTHON:-python3} out=first_gpu only="" limit=3600 dry=0
while (($#)); do
    case $1 in
        --out | --only | --limit)
            if (($# < 2)); then
                echo "error: $1 needs a value" >&2
                exit 2
            fi
            declare "${1#--}=$2"
            shift 2
            ;;
        --dry-run)
            dry=1
            shift
            ;;
        -h | --help)
            sed -n 's/^# \{0,1\}//p; /^set/q' "${BASH_SOURCE[0]}" | tail -n +2
            exit 0
            ;;
        *)
            echo "error: unknown option $1 (--help shows all)" >&2
            exit 2
            ;;
    esac
done
if ! [[ $limit =~ ^[1-9][0-9]*$ ]]; then
    echo "error: --limit $limit is not a number of seconds" >&2
    exit 2
fi

export PYTHONPATH=$repo${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1
failed=()

# part NAME PACKAGES COMMAND...: run a command, its output into a file of that name, unless it has passed before.
part() {
    local name=$1 packages=$2 code package begun=$SECONDS
    shift 2
    if [[ -n $only && " $only " != *" $name "* ]]; then return; fi
    if ((dry)); then
        echo "$name: $*"
        return
    fi
    if [[ -e $out/$name.passed ]]; then
        echo "$name: passed before"
        return
    fi
    for package in $packages; do
        if ! "$python" -c "import $package" 2>/dev/null; then
            echo "$name: left out, because the package $package is missing" | tee "$out/$name.txt"
            return
        fi
    done
    timeout --kill-after=30 "$limit" "$@" >"$out/$name.txt" 2>&1
    code=$?
    if ((code == 0)); then
        touch "$out/$name.passed"
        echo "$name: passed in $((SECONDS - begun)) s"
    else
        failed+=("$name")
        echo "$name: failed (exit $code) after $((SECONDS - begun)) s: $out/$name.txt"
    fi
}

# with_sanitizer: the smallest kernel tests under NVIDIA's memory checker.
with_sanitizer() {
    if ! command -v compute-sanitizer >/dev/null; then
        echo "compute-sanitizer is not installed: this part needs the CUDA toolkit"
        return
    fi
    compute-sanitizer --error-exitcode 9 --target-processes all \
        "$python" -m pytest -q -p no:cacheprovider tests/kernels/test_unrolled_step.py tests/kernels/test_class_moments.py
}

look() {
    nvidia-smi
    "$python" - <<'PYTHON'
import json
import sys

import torch

from ddcore.runtime import environment

print(json.dumps(environment(), indent=1))
print(f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}, visible: {torch.cuda.is_available()}")
sys.exit(None if torch.cuda.is_available() else "torch sees no GPU")
PYTHON
}

# several: what needs more than one GPU.
several() {
    if (($("$python" -c 'import torch; print(torch.cuda.device_count())') < 2)); then
        echo "there is one GPU: nothing to share"
        return
    fi
    "$python" scripts/benchmark.py scaling --out "$rows"
}
export -f with_sanitizer look several
export python

cd "$repo" || exit 1
if ((!dry)); then
    mkdir -p "$out" || exit 1
    out=$(cd "$out" && pwd)
fi
export rows=$out/benchmarks.csv
tests=("$python" -m pytest -q -s -p no:cacheprovider)
bench=("$python" scripts/benchmark.py)

part look "torch" bash -c look
# What test_builds.py compiles needs no GPU, and takes minutes.
part kernels "torch triton pytest" "${tests[@]}" tests/kernels --ignore=tests/kernels/test_builds.py
part sanitizer "torch triton pytest" bash -c with_sanitizer
part steps "torch triton pytest" "${tests[@]}" tests/gpu
part methods "torch accelerate pytest" "${tests[@]}" tests/test_matrix.py
part time-kernels "torch triton accelerate" "${bench[@]}" kernels --out "$rows"
part time-unroll-10 "torch accelerate" "${bench[@]}" unroll --case 128,10,100 --out "$rows"
part time-unroll-60 "torch accelerate" "${bench[@]}" unroll --case 128,60,100 --out "$rows"
part time-unroll-500 "torch accelerate" "${bench[@]}" unroll --case 128,10,500 --out "$rows"
part time-matching "torch accelerate" "${bench[@]}" matching --out "$rows"
part profile "torch accelerate" "${bench[@]}" profile
part several "torch accelerate" bash -c several
part job "torch accelerate torchvision datasets" "$python" scripts/run_job.py --quick --out "$out/job"

if ((dry)); then exit 0; fi
rm -rf "$out/job/runs"
"$python" - "$out" <<'PYTHON'
import html
import sys
from pathlib import Path

out = Path(sys.argv[1])
parts = sorted(out.glob("*.txt"), key=lambda each: each.stat().st_mtime)
texts = {each.stem: each.read_text(errors="replace") for each in parts}
ended = {
    name: "left out" if ": left out, because" in text else "passed" if (out / f"{name}.passed").exists() else "failed"
    for name, text in texts.items()
}
rows = "".join(f"<tr class='{how[:4]}'><td><a href='#{name}'>{name}</a></td><td>{how}</td></tr>" for name, how in ended.items())
style = "body{font:16px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}pre{background:#f4f4f4;padding:1em;overflow:auto;font-size:13px}td{padding:.2em 1.5em .2em 0}.fail td{color:#b00020;font-weight:bold}"
blocks = "".join(f"<h2 id='{name}'>{name}: {ended[name]}</h2><pre>{html.escape(text[-20000:])}</pre>" for name, text in texts.items())
head = f"<!doctype html><meta charset=utf-8><title>ddcore on a GPU</title><style>{style}</style><h1>ddcore on a GPU</h1>"
(out / "index.html").write_text(f"{head}<table>{rows}</table>{blocks}")
PYTHON
echo "$out: $(du -sh "$out" | cut -f1); open index.html there, and send the folder"
if ((${#failed[@]})); then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
