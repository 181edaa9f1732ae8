#!/usr/bin/env bash
# Proof of the image without a Docker engine: builds docker/Dockerfile from a plain Debian with buildah, runs the job
# at toy size and all tests in it as a user that it does not know, and writes what it holds to results/image.md.
# Usage: [DDCORE_DATA=DIR] docker/test_image.sh [BASE]          as root, with about 25 GB free under $TMPDIR
#   BASE         an image to build from; without one, debootstrap makes a Debian without Python
#   DDCORE_DATA  the real data sets, for the job and for the tests that want them; without them the job runs on digits
#   LENT         folders that the build may read, with blanks between: where packages lie on this machine
# What pip is told on this machine (/etc/pip.conf, certificates) is lent to the build and does not stay in the image.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
base=${1:-}
release=bookworm
what=${base:-Debian $release, no Python}
uid=4321 # nobody's: the image has no entry for it

missing=()
for tool in buildah $([[ -n $base ]] || echo debootstrap); do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
if [[ ${#missing[@]} -gt 0 || $(id -u) -ne 0 ]]; then
    echo "error: this needs root, and ${missing[*]:-nothing} is missing: apt-get install buildah debootstrap" >&2
    exit 1
fi

scratch=$(mktemp -d "${TMPDIR:-/tmp}/ddcore-image.XXXXXX")
build=(buildah --root "$scratch/storage" --runroot "$scratch/state" --storage-driver vfs)
clean_up() {
    "${build[@]}" umount --all >/dev/null 2>&1 || true
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { echo "== $(date +%H:%M:%S) $*"; }
megabytes() { du -sm --total "$@" 2>/dev/null | tail -n 1 | cut -f 1; }

if [[ -z $base ]]; then
    say "a plain Debian $release"
    debootstrap --variant=minbase "$release" "$scratch/debian" >"$scratch/debootstrap.log" \
        || { tail -n 5 "$scratch/debootstrap.log" >&2; exit 1; }
    rm -rf "$scratch"/debian/var/cache/apt/archives/*.deb "$scratch"/debian/var/lib/apt/lists/*
    plain=$("${build[@]}" from scratch)
    "${build[@]}" copy --quiet "$plain" "$scratch/debian" / >/dev/null
    base=localhost/plain-debian
    "${build[@]}" commit --quiet --rm "$plain" "$base" >/dev/null
    rm -rf "$scratch/debian"
fi

# Copies, elsewhere than where Debian's package of certificates writes.
lent=()
if [[ -d /etc/ssl/certs ]]; then
    cp -rL /etc/ssl/certs "$scratch/certificates"
    lent+=(-v "$scratch/certificates:/mnt/certificates:ro")
fi
if [[ -f /etc/pip.conf ]]; then
    sed 's|/etc/ssl/certs|/mnt/certificates|' /etc/pip.conf >"$scratch/pip.conf"
    lent+=(-v "$scratch/pip.conf:/etc/pip.conf:ro")
fi
for folder in ${LENT:-}; do lent+=(-v "$folder:$folder:ro"); done

say "the image, from $base"
commit=$(git -C "$repo" rev-parse HEAD 2>/dev/null || echo unknown)
"${build[@]}" bud --quiet --isolation chroot "${lent[@]}" --build-arg BASE="$base" --build-arg COMMIT="$commit" \
    --file "$repo/docker/Dockerfile" --tag ddcore "$repo"
container=$("${build[@]}" from ddcore)
files=$("${build[@]}" mount "$container")

say "what it holds"
site=$(echo "$files"/opt/ddcore/lib/python3*/site-packages)
plain=$("${build[@]}" from "$base")
plain_files=$("${build[@]}" mount "$plain")
sizes=("$(megabytes "$plain_files")" "$(megabytes "$files")" "$(megabytes "$files/opt/ddcore")"
    "$(megabytes "$files/ddcore")" "$(megabytes "$site/torch")" "$(megabytes "$site/nvidia")"
    "$(megabytes "$site/triton")")
"${build[@]}" rm "$plain" >/dev/null
{
    echo "| part | MB |"
    echo "| --- | ---: |"
    echo "| base: $what | ${sizes[0]} |"
    echo "| Debian packages on top: compiler, headers, certificates, Python where the base has none |" \
        "$((sizes[1] - sizes[0] - sizes[2] - sizes[3])) |"
    echo "| wheels: torch | ${sizes[4]} |"
    echo "| wheels: NVIDIA's libraries | ${sizes[5]} |"
    echo "| wheels: triton | ${sizes[6]} |"
    echo "| wheels: the rest, with the tools of \`test\` | $((sizes[2] - sizes[4] - sizes[5] - sizes[6])) |"
    echo "| ddcore, with its results | ${sizes[3]} |"
    echo "| in all | ${sizes[1]} |"
    echo
    echo "| file of 50 MB or more | MB | what needs it |"
    echo "| --- | ---: | --- |"
    find "$files" -xdev -type f -size +50000k -printf '%s %f\n' | sort -rn | while read -r bytes name; do
        why=$(awk -F '\t' -v name="$name" 'index(name, $1) == 1 { print $2 }' "$repo/docker/large_files.tsv")
        echo "| $name | $((bytes / 1000000)) | ${why:-NOTHING KNOWN} |"
    done
} | tee "$scratch/sizes.md"
if grep -q "NOTHING KNOWN" "$scratch/sizes.md"; then
    echo "error: a large file is in the image without a reason: say one in docker/large_files.tsv, or leave it out" >&2
    exit 1
fi

mkdir "$scratch/runs"
chown "$uid:$uid" "$scratch/runs"
data=$scratch/data
job=(run_all --quick --only digits)
if [[ -n ${DDCORE_DATA:-} ]]; then
    data=$(cd "$DDCORE_DATA" && pwd)
    job=(run_all --quick)
fi
mkdir -p "$data"
# Both of the image's volumes: where one is left out, this buildah puts its own in the place of the other, too.
inside=("${build[@]}" run --isolation chroot --user "$uid:$uid" -v "$scratch/runs:/runs" -v "$data:/data:ro"
    -v "$files/ddcore:/ddcore:ro")
inside+=("$container" --)
entry=/ddcore/docker/entrypoint.sh
touch "$scratch/before"

say "who runs, and what it cannot write"
# shellcheck disable=SC2016  # the container's shell expands it
"${inside[@]}" "$entry" sh -c 'set -eu; id; python3 --version; gcc --version | sed -n 1p
    touch /runs/here
    for place in /data /ddcore /opt/ddcore /etc /; do ! test -w "$place" || { echo "error: $place can be written"; exit 1; }; done'

[[ -e $scratch/runs/here ]] || { echo "error: /runs is not the mounted folder" >&2; exit 1; }

say "the compiler and Python's headers, as Triton uses them"
"${inside[@]}" python3 -c "
from triton.runtime.build import compile_module_from_src
source = '''#include <Python.h>
static PyObject *four(PyObject *self, PyObject *none) { return PyLong_FromLong(4); }
static PyMethodDef methods[] = {{\"four\", four, METH_NOARGS, \"\"}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, \"tiny\", 0, -1, methods};
PyMODINIT_FUNC PyInit_tiny(void) { return PyModule_Create(&module); }'''
assert compile_module_from_src(source, 'tiny').four() == 4"

say "${job[*]}"
"${inside[@]}" "$entry" "${job[@]}"

say "test"
"${inside[@]}" "$entry" test

# What a read-only file system would have refused.
written=$(find "$files" -xdev -newer "$scratch/before" -type f ! -path "$files/tmp/*" ! -path "$files/etc/*" ! -path "$files/ddcore/*")
if [[ -n $written ]]; then
    echo "error: written outside /tmp and /runs: ${written//$'\n'/ }" >&2
    exit 1
fi
cp "$scratch/sizes.md" "$repo/results/image.md"
say "all of it passed; results/image.md has the table"
