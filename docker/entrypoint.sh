#!/usr/bin/env bash
# The image's entry point: the first word picks the program, the rest are its options; without a word the whole job
# runs. Outside an image it does the same with the python3 that is on the path, and writes to $DDCORE_RUNS.
set -euo pipefail

code=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
runs=${DDCORE_RUNS:-/runs}

# script_of WORD: prints the program that a word stands for.
script_of() {
    case $1 in
        distill | evaluate | compare) echo "$code/scripts/$1.py" ;;
        select) echo "$code/scripts/select_subset.py" ;;
        report) echo "$code/scripts/make_report.py" ;;
        train) echo "$code/scripts/train_baseline.py" ;;
        experts | generator) echo "$code/scripts/train_$1.py" ;;
        *) refuse "there is no program '$1' to ${2:-run}" ;;
    esac
}

refuse() {
    echo "error: $1; known are distill, select, evaluate, report, compare, train, experts, generator, and before" \
        "any of them launch; run_all, test, bash and sh" >&2
    exit 2
}

word=run_all
if [[ $# -gt 0 && $1 != -* ]]; then
    word=$1
    shift
fi
if [[ $word == bash || $word == sh ]]; then
    exec "$word" "$@"
fi
if ! mkdir -p "$runs/cache" 2>/dev/null || [[ ! -w $runs || ! -w $runs/cache ]]; then
    echo "error: user $(id -u) cannot write $runs: mount a folder there that this user may write" \
        "(mkdir -p runs, then docker run --user \"\$(id -u):\$(id -g)\" -v \"\$PWD/runs:/runs\")" >&2
    exit 1
fi

# Every program takes this process's place, so that it gets the signals and its exit code is the container's.
case $word in
    run_all)
        # A folder within the mount, which --fresh can put aside.
        exec python3 "$code/scripts/run_job.py" --out "$runs/job" "$@"
        ;;
    launch)
        place=() # options of accelerate launch, each in one word: --num_machines=2
        while [[ $# -gt 0 && $1 == -* ]]; do
            place+=("$1")
            shift
        done
        script=$(script_of "${1:-}" launch)
        exec python3 "$code/scripts/launch.py" "${place[@]}" "$script" "${@:2}"
        ;;
    test)
        export RUFF_CACHE_DIR=$runs/cache/ruff MYPY_CACHE_DIR=$runs/cache/mypy
        export PYTEST_ADDOPTS="${PYTEST_ADDOPTS:-} -o cache_dir=$runs/cache/pytest"
        exec "$code/tests/run.sh" "$@"
        ;;
    *)
        script=$(script_of "$word")
        exec python3 "$script" "$@"
        ;;
esac
