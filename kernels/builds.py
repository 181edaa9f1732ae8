"""Compiling the kernels without a GPU, and what the compiled ones take of it."""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from kernels import norm_act_pool_triton as planes
from kernels.choice import FUSION
from kernels.class_moments import CONSTANTS as BY_CLASS
from kernels.class_moments import backward_kernel as moments_backward
from kernels.class_moments import forward_kernel as moments_forward
from kernels.resample import adjoint_kernel, forward_kernel
from kernels.resample import constants as of_images
from kernels.soft_cross_entropy import backward_kernel as loss_backward
from kernels.soft_cross_entropy import constants as of_classes
from kernels.soft_cross_entropy import tangent_kernel as loss_tangent
from kernels.unrolled_step import BLOCK, advance_kernel, retreat_kernel

TARGETS = (80, 90, 100)
# Sides of the planes in the ConvNets of 28x28 and 32x32 images, and of other widths of image; odd ones on the way.
SIDES = (32, 28, 16, 14, 8, 7)
CLASSES = (2, 10, 100)
WARP = 32
# Arguments that are numbers; constants aside, all others are pointers.
WHOLE = {"channels", "planes", "n", "width", "size"}
REAL = {"eps", "temperature", "momentum", "second", "decay", "fast", "slow"}
KINDS = {"labels": "*i64"}


@dataclass(frozen=True)
class Build:
    """One kernel, compiled for one use.

    Attributes:
        function: the Triton function.
        case: what for.
        constants: its constants and launch options.
    """

    function: Any
    case: str
    constants: dict[str, Any]

    @property
    def kernel(self) -> str:
        """Its name, after the op's."""
        module = self.function.fn.__module__.removeprefix("kernels.").removesuffix("_triton")
        return f"{module}.{self.function.fn.__name__.removesuffix('_kernel')}"


@dataclass(frozen=True)
class Resources:
    """What a compiled kernel takes: registers a thread, and bytes."""

    kernel: str
    case: str
    target: str
    registers: int
    spill_bytes: int
    stack_bytes: int
    shared_bytes: int


def builds() -> Iterator[Build]:
    """Yield every kernel at every size that it is used with."""
    for side in SIDES:
        for pool in (True, False):
            _, constants = planes.sizes(torch.empty(1, 1, side, side), pool)
            for function in (
                planes.forward_kernel,
                planes.backward_kernel,
                planes.tangent_kernel,
                planes.tangent_backward_kernel,
            ):
                yield Build(function, f"{side}x{side} {'pooled' if pool else 'whole'}", constants)
    for classes in CLASSES:
        for function in (loss_backward, loss_tangent):
            yield Build(function, f"{classes} classes", of_classes(classes))
    constants = {"BLOCK": BLOCK, **FUSION}
    for rows, rule in ((1, "sgd"), (2, "momentum"), (3, "adam")):
        yield Build(advance_kernel, rule, {"ROWS": rows, **constants})
        if rows > 1:
            yield Build(retreat_kernel, rule, {"ROWS": rows, **constants})
    for function in (moments_forward, moments_backward):
        yield Build(function, "any", BY_CLASS)
    for side in (32, 28):
        yield Build(forward_kernel, f"{side}x{side}", of_images(side, side))
        for reach in (2, 3):
            constants = {"REACH": reach, **of_images(side, side)}
            yield Build(adjoint_kernel, f"{side}x{side} reach {reach}", constants)


def compiled(build: Build, target: int) -> Resources:
    """Compile a kernel for compute capability `target` (80, 90, 100) and return what it takes.

    Raises:
        RuntimeError: the compiler's disassembler tells nothing.
    """
    names = build.function.arg_names
    constants = {name: value for name, value in build.constants.items() if name in names}
    options = {name: value for name, value in build.constants.items() if name not in names}
    signature = {
        name: "constexpr"
        if name in constants
        else "i32"
        if name in WHOLE
        else "fp32"
        if name in REAL
        else KINDS.get(name, "*fp32")
        for name in names
    }
    aligned = [["tt.divisibility", 16]]
    attributes = {(k,): aligned for k, name in enumerate(names) if signature[name].startswith("*")}
    source = ASTSource(build.function, signature, constexprs=constants, attrs=attributes)
    made = triton.compile(source, target=GPUTarget("cuda", target, WARP), options=options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
        told = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True).stdout
    found = {name: int(value) for name, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", told)}
    if set(found) != {"REG", "STACK", "LOCAL"}:
        raise RuntimeError(f"cuobjdump does not tell what {build.kernel} takes: {told!r}")
    return Resources(
        build.kernel, build.case, f"sm_{target}", found["REG"], found["LOCAL"], found["STACK"], made.metadata.shared
    )
