#!/usr/bin/env bash
# Removes from the image what wheels bring and nothing in ddcore loads: about 0.9 GB.
# Usage: docker/leave_out.sh SITE_PACKAGES
set -euo pipefail
cd "${1:?the folder of the wheels}"
shopt -s nullglob
loose=(
    triton/_C/libproton.so triton/backends/nvidia/lib/cupti* # Triton's profiler, and NVIDIA's libraries for it
    triton/backends/amd/lib                                  # code for AMD's GPUs
    nvidia/*/lib/libcusolverMg.so*                           # linear systems over several GPUs: no library links it
    nvidia/nvshmem/lib/*.bc                                  # for kernels that talk to other GPUs by themselves
    nvidia/*/include                                         # headers: Triton brings its own
)
rm -rf "${loose[@]}"
# Their own tests.
for package in matplotlib networkx numpy pandas pyarrow scipy sklearn; do
    if [[ -d $package ]]; then find "$package" -type d -name tests -prune -exec rm -rf {} +; fi
done
