import ast
import os
from pathlib import Path

import pytest

from ddcore.kernels.builds import TARGETS, builds, compiled

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


def test_every_kernel_is_compiled():
    written = {
        f"{path.stem.removesuffix('_triton')}.{node.name.removesuffix('_kernel')}"
        for path in HERE.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.endswith("_kernel")
    }
    assert written == {build.kernel for build in BUILDS}
