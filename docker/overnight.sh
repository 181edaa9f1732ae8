#!/usr/bin/env bash
# A long run in a container, started again whenever it was stopped midway; what it says goes to RUNS/overnight.log.
# Usage: [IMAGE=ddcore] [DATA=data] [RUNS=runs] nohup docker/overnight.sh [WORD] [OPTIONS…] &
# for example docker/overnight.sh --seeds 3, or docker/overnight.sh launch distill frepo --dataset … --out runs/frepo
# Words and options are the image's. Exit code 75 means "saved, start me again"; any other one ends the script, which
# passes it on. SIGTERM or Ctrl-C to the script stop the container in good order and for good: the same command goes on.
set -euo pipefail

image=${IMAGE:-ddcore}
data=${DATA:-data}
runs=${RUNS:-runs}

# Made here, or Docker would make them as root.
mkdir -p "$data" "$runs"
data=$(cd "$data" && pwd)
runs=$(cd "$runs" && pwd)
echo "log: $runs/overnight.log"
exec >>"$runs/overnight.log" 2>&1

name=ddcore-$$
# The processes of several GPUs talk through shared memory, of which Docker gives 64 MB.
options=(--rm --init --name "$name" --read-only --tmpfs /tmp --shm-size 2g --user "$(id -u):$(id -g)"
    -v "$data:/data" -v "$runs:/runs")
if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then
    options+=(--gpus all)
fi

say() { echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) overnight: $*"; }

stopped=''
stop() {
    stopped=yes interrupted=yes
    docker stop -t 120 "$name" >/dev/null 2>&1 || true
}
trap stop TERM INT HUP

while true; do
    say "start: $image $*"
    docker run "${options[@]}" "$image" "$@" &
    container=$!
    # A signal ends `wait` before it has the container's code.
    while true; do
        interrupted='' code=0
        wait "$container" || code=$?
        [[ -n $interrupted ]] || break
    done
    if [[ $code -ne 75 || -n $stopped ]]; then
        say "ended with $code"
        exit "$code"
    fi
    say "stopped with 75: starting again"
    sleep 10 # a host that is going down ends this script meanwhile
done
