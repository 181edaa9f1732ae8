"""Compilation of the kernels without a GPU, and the resources that they use."""

import itertools
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from triton.compiler import CompiledKernel
    from triton.runtime.jit import JITFunction

TARGETS = (80, 89, 90, 100, 120)
# Sides of the planes in the ConvNets of 28x28 and 32x32 images and of other sizes, odd ones among them. The last are
# read in tiles.
SIDES = (64, 32, 28, 16, 14, 8, 7, 128, 225)
# Sides of the last planes at 28x28 and 32x32, whose pooled pixels the classifier takes.
ENDS = (8, 7)
# Input channels, sides and padding of the ConvNet's first convolution.
IMAGES = ((1, 28, 3), (1, 32, 1))
CLASSES = (2, 10, 100)
WARP = 32
# Layouts of planes, with the counts that are multiples of 16 at the usual widths. In channels-last, addresses depend on
# them, and Triton moves 128 bits at a time.
LAYOUTS = ((torch.contiguous_format, ()), (torch.channels_last, ("n_channels", "n_planes")))
INTEGERS = {"labels_ptr": "*i64", "order_ptr": "*i32", "begins_ptr": "*i32"}


@dataclass(frozen=True)
class Build:
    """One kernel, compiled for one use.

    Attributes:
        function: the Triton function.
        case: the shapes or the optimiser.
        constants: its constants and launch options.
        multiples: counts that are multiples of 16.
    """

    function: "JITFunction"
    case: str
    constants: dict[str, int]
    multiples: tuple[str, ...] = ()

    @property
    def kernel(self) -> str:
        """Its name, after that of the op."""
        module = self.function.fn.__module__.removeprefix("ddcore.kernels.").removesuffix("_triton")
        return f"{module}.{self.function.fn.__name__.removesuffix('_kernel')}"


@dataclass(frozen=True)
class Resources:
    """The resources of a compiled kernel: registers per thread, and bytes."""

    kernel: str
    case: str
    target: str
    registers: int
    spill_bytes: int
    stack_bytes: int
    shared_bytes: int


def builds() -> Iterator[Build]:
    """Yield every kernel for every size that it is used with; only now Triton is imported."""
    from ddcore.kernels import class_moments_triton as moments
    from ddcore.kernels import first_block_triton as first
    from ddcore.kernels import norm_act_pool_triton as planes
    from ddcore.kernels import resample_triton as images
    from ddcore.kernels import soft_cross_entropy_triton as loss
    from ddcore.kernels import unrolled_step_triton as step
    from ddcore.kernels.norm_act_pool import MOST_QUADS, quads

    for side, pool, name, (layout, multiples) in itertools.product(SIDES, (True, False), planes.KERNELS, LAYOUTS):
        x = torch.empty(1, 2, side, side).contiguous(memory_format=layout)
        if not multiples or quads(x) <= MOST_QUADS:
            function, constants = planes.sizes(name, x, pool, layout)
            yield Build(function, f"{side}x{side} {'pooled' if pool else 'whole'}", constants, multiples)
    for side, name in itertools.product(ENDS, planes.KERNELS):
        layout, multiples = LAYOUTS[1]
        x = torch.empty(1, 2, side, side).contiguous(memory_format=layout)
        function, constants = planes.sizes(name, x, True)
        yield Build(function, f"{side}x{side} pooled contiguously", constants, multiples)
    passes = first.forward_kernel, first.backward_kernel, first.tangent_kernel, first.tangent_backward_kernel
    for (channels, side, padding), function, (layout, multiples) in itertools.product(IMAGES, passes, LAYOUTS):
        op = function.fn.__name__.removesuffix("_kernel")
        _, constants = first.sizes(op, torch.empty(1, channels, side, side), padding, layout)
        case = f"{channels}x{side}x{side}{' channels-last' if multiples else ''}"
        yield Build(function, case, constants, multiples)
    for classes in CLASSES:
        for function in (loss.backward_kernel, loss.tangent_kernel):
            yield Build(function, f"{classes} classes", loss.constants(classes))
    for rows, rule in ((1, "sgd"), (2, "momentum"), (3, "adam")):
        yield Build(step.advance_kernel, rule, {"ROWS": rows, **step.CONSTANTS})
        if rows > 1:
            yield Build(step.retreat_kernel, rule, {"ROWS": rows, **step.CONSTANTS})
    for classes in CLASSES:
        chunk = {"CHUNK": moments.chunk_of(classes)}
        yield Build(moments.order_kernel, f"{classes} classes", {**chunk, **moments.ORDER})
        yield Build(moments.parts_kernel, f"{classes} classes", {**chunk, **moments.PARTS})
    yield Build(moments.forward_kernel, "any", moments.FINISH)
    yield Build(moments.backward_kernel, "any", moments.BACKWARD)
    for side in (32, 28):
        yield Build(images.forward_kernel, f"{side}x{side}", images.constants(side, side))
        for reach in (2, 3):
            constants = {"REACH": reach, **images.constants(side, side)}
            yield Build(images.adjoint_kernel, f"{side}x{side} reach {reach}", constants)


def compiled(build: Build, target: int) -> Resources:
    """Compile a kernel for compute capability `target`, one of `TARGETS`, and return its resources.

    Raises:
        RuntimeError: the compiler's disassembler does not report them.
    """
    kernel = _compile(build, target)
    output = _dumped(kernel, "-res-usage")
    usage = {name: int(value) for name, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", output)}
    if set(usage) != {"REG", "STACK", "LOCAL"}:
        raise RuntimeError(f"cuobjdump does not report the resources of {build.kernel}: {output!r}")
    return Resources(
        build.kernel, build.case, f"sm_{target}", usage["REG"], usage["LOCAL"], usage["STACK"], kernel.metadata.shared
    )


def instructions(build: Build, target: int) -> list[str]:
    """Compile a kernel for compute capability `target` and return the names of its instructions, modifiers included."""
    return re.findall(
        r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?\w+ )?([A-Z][\w.]*)", _dumped(_compile(build, target), "-sass"), re.M
    )


def _compile(build: Build, target: int) -> "CompiledKernel":
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = build.function.arg_names
    constants = {name: value for name, value in build.constants.items() if name in names}
    options = {name: value for name, value in build.constants.items() if name not in names}
    signature = {name: "constexpr" if name in constants else _type(name) for name in names}
    aligned = [["tt.divisibility", 16]]
    attributes = {
        (k,): aligned for k, name in enumerate(names) if signature[name].startswith("*") or name in build.multiples
    }
    source = ASTSource(build.function, signature, constexprs=constants, attrs=attributes)
    return triton.compile(source, target=GPUTarget("cuda", target, WARP), options=options)


def _dumped(kernel: "CompiledKernel", what: str) -> str:
    """Return what triton's disassembler says about a kernel."""
    import triton

    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        return subprocess.run([tools / "cuobjdump", what, file.name], capture_output=True, text=True).stdout


def _type(name: str) -> str:
    """Return the type of an argument by its name: pointers end with ``_ptr``, counts begin with ``n_``."""
    if name.endswith("_ptr"):
        return INTEGERS.get(name, "*fp32")
    return "i32" if name.startswith("n_") else "fp32"
