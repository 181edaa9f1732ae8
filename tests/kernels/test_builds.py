import ast
import os
from pathlib import Path

import pytest

from ddcore.kernels.builds import TARGETS, builds, compiled, instructions

HERE = Path(__file__).parents[2] / "kernels"
BUILDS = list(builds())
# One target in every run of the tests; the check of every change compiles for all.
CHOSEN = TARGETS if os.environ.get("DDCORE_ALL_TARGETS") else (90,)


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter replaces the compiler")
@pytest.mark.parametrize("target", CHOSEN)
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: f"{build.kernel} {build.case}")
def test_no_kernel_spills(build, target):
    taken = compiled(build, target)
    assert taken.spill_bytes == taken.stack_bytes == 0
    assert 0 < taken.registers <= 255 and taken.shared_bytes <= 48 * 1024


# Vectors (P,) that a step reads and writes.
MOVED = {"advance sgd": (2, 1), "advance momentum": (3, 2), "advance adam": (4, 3), "retreat momentum": (3, 2)}
MOVED["retreat adam"] = (6, 3)


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter replaces the compiler")
@pytest.mark.parametrize("case", MOVED)
def test_whole_blocks_of_parameters_move_in_vectors_of_128_bits(case):
    (build,) = (each for each in BUILDS if f"{each.kernel} {each.case}" == f"unrolled_step.{case}")
    names = instructions(build, 90)
    vectors = build.constants["BLOCK_PARAMETERS"] // (4 * 32 * build.constants["num_warps"])
    # Of one row a block reads and writes this many vectors per thread.
    assert names.count("LDG.E.128") == MOVED[case][0] * vectors
    assert names.count("STG.E.128") == MOVED[case][1] * vectors


def test_every_kernel_is_compiled():
    written = {
        f"{path.stem.removesuffix('_triton')}.{node.name.removesuffix('_kernel')}"
        for path in HERE.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.endswith("_kernel")
    }
    assert written == {build.kernel for build in BUILDS}
