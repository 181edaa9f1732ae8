"""The Triton kernels' times on a GPU, beside PyTorch's and beside the time to move their bytes once."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor

from ddcore.benchmarks.rows import Benchmark, CaseResult, row
from ddcore.draws import generator
from ddcore.errors import DDCoreError, require
from ddcore.kernels import (
    EPS,
    Rule,
    advance,
    characteristic,
    class_moments,
    first_block_backward,
    first_block_forward,
    first_block_tangent,
    first_block_tangent_backward,
    norm_act_pool_backward,
    norm_act_pool_forward,
    norm_act_pool_tangent,
    norm_act_pool_tangent_backward,
    placed,
    reach_of,
    resample,
    retreat,
    soft_cross_entropy_backward,
    soft_cross_entropy_tangent,
)

VARIANTS = ("ddcore", "eager", "compiled")
# Largest difference from float64, relative to the largest element: rounding of float32 in sums over a plane.
AGREE = 2e-5
COPIED = 2**28

Tensors = tuple[Tensor, ...]
Work = Callable[[], Tensors]
Timer = Callable[[Work], Sequence[float]]


@dataclass(frozen=True)
class KernelSizes:
    """The sizes of the cases.

    Attributes:
        members, channels, sides: of the planes.
        parameters: of the optimiser's step.
        features: rows and columns for the moments.
        rows: of logits.
        images: to resample.
        waves: members, features and frequencies of a characteristic function.
    """

    members: int = 500
    channels: int = 128
    sides: tuple[int, ...] = (32, 16, 8)
    parameters: int = 2**26
    features: tuple[int, int] = (16384, 2048)
    rows: int = 2**20
    images: int = 8192
    waves: tuple[int, int, int] = (4000, 2048, 4096)


QUICK = KernelSizes(8, 4, (8,), 2**12, (64, 16), 64, 8, (200, 16, 32))


@dataclass(frozen=True)
class KernelCase:
    """One op on one shape.

    Attributes:
        name: the op and the shape.
        inputs: its tensors, floating point ones in float32.
        prepare: maps inputs to the work that is timed and whose results are compared.
    """

    name: str
    inputs: Tensors
    prepare: Callable[[Tensors], Work]

    def bytes(self) -> int:
        """Return the least number of bytes to move: every input and output once."""
        return sum(each.numel() * each.element_size() for each in (*self.inputs, *self.prepare(self.inputs)()))


@dataclass(frozen=True)
class KernelsBenchmark(Benchmark):
    """The Triton kernels, on a GPU."""

    def results(self, program: Sequence[str], device: torch.device) -> Iterator[CaseResult]:
        """Yield the times of every kernel that computes the same as its reference.

        Raises:
            DDCoreError: at the end, if one computes something else or cannot be run; the line names all of those.
        """
        require(device.type == "cuda", "the kernels are measured on a GPU, and this machine has none")
        copying = bandwidth(device, on_gpu)
        yield CaseResult([], f"copying moves {copying / 1e9:,.0f} GB/s")
        failed = []
        for case in cases(QUICK if self.quick else KernelSizes(), device):
            try:
                error = disagreement(case)
                require(error < AGREE, f"differs from its reference by {error:.1e}", DDCoreError)
            except (DDCoreError, RuntimeError) as failure:
                failed.append(f"{case.name}: {str(failure).splitlines()[0]}")
                yield CaseResult([], failed[-1])
                continue
            times, floor = measure(case, on_gpu), case.bytes() / copying
            rows = [row("kernels", case.name, variant, "time", "s", seconds) for variant, seconds in times.items()]
            parts = [f"{one.variant} {one.p50 * 1e6:,.0f} us ({floor / one.p50:.0%} of copying)" for one in rows]
            rows.append(row("kernels", case.name, "byte-floor", "time", "s", [floor]))
            yield CaseResult(rows, f"{case.name}: {', '.join(parts)}")
        require(not failed, f"{len(failed)} kernels fail: {'; '.join(failed)}", DDCoreError)


def cases(sizes: KernelSizes, device: torch.device) -> Iterator[KernelCase]:
    """Yield every op at every size, on inputs that are the same each time."""
    draws = generator("benchmark", "kernels")

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draws).to(device)

    n, c = sizes.members, sizes.channels
    gain, gain_t, offset, offset_t = (draw(c) for _ in range(4))
    gain = gain.abs() + 0.5
    for side in sizes.sides:
        x, x_t = off_zero(draw(n, c, side, side), gain, offset), draw(n, c, side, side)
        up, up_t = draw(n, c, side // 2, side // 2), draw(n, c, side // 2, side // 2)
        where, both = f"{n}x{c}x{side}x{side}", (x, x_t, gain, gain_t, offset, offset_t)
        yield KernelCase(
            f"norm_act_pool.forward {where}", (x, gain, offset), direct(lambda *t: norm_act_pool_forward(*t)[:1])
        )
        yield KernelCase(f"norm_act_pool.tangent {where}", both, direct(lambda *t: norm_act_pool_tangent(*t)[:1]))
        yield KernelCase(f"norm_act_pool.backward {where}", (up, x, gain, offset), _backward)
        yield KernelCase(f"norm_act_pool.tangent_backward {where}", (up, up_t, *both), _tangent_backward)
    yield from first_block_cases(n, c, sizes.sides[0], draw)
    p, rate = sizes.parameters, torch.tensor(0.01, device=device)
    for name, rule in (("sgd", Rule()), ("momentum", Rule(momentum=0.9)), ("adam", Rule("adam", 0.9))):
        rows = tuple(draw(p).abs() for _ in range(rule.rows))
        yield KernelCase(f"unrolled_step.advance {name} {p}", (*rows, draw(p), rate), direct(partial(_advance, rule)))
        if rule.rows > 1:
            inputs = (*rows, *rows, *(draw(p) for _ in rows), rate)
            yield KernelCase(f"unrolled_step.retreat {name} {p}", inputs, direct(partial(_retreat, rule)))
    labels = torch.randint(10, (sizes.features[0],), generator=draws).to(device)
    shape = "x".join(map(str, sizes.features))
    yield KernelCase(
        f"class_moments {shape}", (draw(*sizes.features), labels), direct(lambda f, y: class_moments(f, y, 10))
    )
    z, z_t, y, y_t = (draw(sizes.rows, 10) for _ in range(4))
    c_, c_t, y = draw(sizes.rows), draw(sizes.rows), y.softmax(1)
    shape = f"{sizes.rows}x10"
    yield KernelCase(f"soft_cross_entropy.backward {shape}", (c_, z, y), direct(soft_cross_entropy_backward))
    inputs = (c_, c_t, z, z_t, y, y_t)
    yield KernelCase(f"soft_cross_entropy.tangent {shape}", inputs, direct(soft_cross_entropy_tangent))
    m = sizes.images
    turn = placed(
        torch.zeros(m, dtype=torch.bool), torch.full((m, 2), 1.1), torch.linspace(-0.2, 0.2, m), torch.ones(m, 2)
    )
    reach, moved = reach_of(turn), turn.to(device)
    yield KernelCase(f"resample {m}x3x32x32", (draw(m, 3, 32, 32),), direct(lambda x: (resample(x, moved, reach),)))
    yield from characteristic_cases(*sizes.waves, draw)


def characteristic_cases(n: int, width: int, f: int, draw: Callable[..., Tensor]) -> Iterator[KernelCase]:
    """Yield both passes of the characteristic function of ten classes: of n real members, and of a tenth of them."""
    x, frequencies, few = draw(n, width) / width**0.5, draw(f, width), n // 100
    yield KernelCase(
        f"characteristic.forward {n}x{width} at {f}",
        (x, frequencies),
        direct(lambda x, t: characteristic(x, t, (n // 10,) * 10)),
    )
    inputs = (draw(10, f), draw(10, f), x[: 10 * few].clone(), frequencies)
    yield KernelCase(f"characteristic.backward {10 * few}x{width} at {f}", inputs, _characteristic_backward)


def first_block_cases(n: int, c: int, side: int, draw: Callable[..., Tensor]) -> Iterator[KernelCase]:
    """Yield the four passes of the first block on grey images ``(n, 1, side, side)``, to `c` planes.

    The offsets keep every normalised pixel away from ReLU's kink, see `off_zero`.
    """
    x, w, w_t, gain, gain_t = draw(n, 1, side, side), draw(c, 1, 3, 3), draw(c, 1, 3, 3), draw(c).sigmoid(), draw(c)
    offset, offset_t = 1.1 * side * (1 - 2 * (torch.arange(c, device=x.device) % 2).float()), draw(c)
    up, up_t = (draw(n, c, side // 2, side // 2) for _ in range(2))
    where, both = f"{n}x1x{side}x{side} to {c}", (x, w, w_t, gain, gain_t, offset, offset_t)
    yield KernelCase(
        f"first_block.forward {where}",
        (x, w, gain, offset),
        direct(lambda x, w, g, o: first_block_forward(x, w, g, o, 1)[:1]),
    )
    yield KernelCase(f"first_block.tangent {where}", both, direct(_first_tangent))
    yield KernelCase(f"first_block.backward {where}", (up, x, w, gain, offset), _first_backward)
    yield KernelCase(f"first_block.tangent_backward {where}", (up, up_t, *both), _first_tangent_backward)


def off_zero(x: Tensor, gain: Tensor, offset: Tensor, margin: float = 1e-4) -> Tensor:
    """Return planes ``(N, C, H, W)`` none of whose normalised pixels is within rounding of ReLU's kink.

    There float32 and float64 take different sides, and a derivative differs by all of itself.
    """
    mean, inverse = x.mean((2, 3), keepdim=True), (x.var((2, 3), keepdim=True, correction=0) + EPS).rsqrt()
    z = (x - mean) * inverse * gain[:, None, None] + offset[:, None, None]
    away = torch.where(z < 0, -10, 10) * margin / (inverse * gain[:, None, None])
    return torch.where(z.abs() < margin, x + away, x)


def direct(op: Callable[..., Tensors]) -> Callable[[Tensors], Work]:
    """Return the preparation of an op that needs nothing but its inputs."""
    return lambda inputs: partial(op, *inputs)


def _backward(inputs: Tensors) -> Work:
    """Return the backward pass alone, after a forward pass that is not timed."""
    up, x, gain, offset = inputs
    saved = norm_act_pool_forward(x, gain, offset)[1]
    return lambda: norm_act_pool_backward(up, saved, gain, offset)


def _tangent_backward(inputs: Tensors) -> Work:
    """Return the tangent's backward pass alone."""
    up, up_t, x, x_t, gain, gain_t, offset, offset_t = inputs
    saved = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t)[1]
    return lambda: norm_act_pool_tangent_backward(up, up_t, saved, gain, gain_t, offset)


def _first_backward(inputs: Tensors) -> Work:
    """Return the first block's backward pass alone."""
    up, x, w, gain, offset = inputs
    saved = first_block_forward(x, w, gain, offset, 1)[1]
    return lambda: _summed(*first_block_backward(up, saved, gain, offset))


def _first_tangent(x: Tensor, *pairs: Tensor) -> Tensors:
    w, w_t, gain, gain_t, offset, offset_t = pairs
    return first_block_tangent(x, w, w_t, gain, gain_t, offset, offset_t, 1)[:1]


def _first_tangent_backward(inputs: Tensors) -> Work:
    """Return the backward pass of the first block's tangent alone."""
    up, up_t, x, w, w_t, gain, gain_t, offset, offset_t = inputs
    saved = first_block_tangent(x, w, w_t, gain, gain_t, offset, offset_t, 1)[1]
    return lambda: _summed(*first_block_tangent_backward(up, up_t, saved, gain, gain_t, offset))


def _characteristic_backward(inputs: Tensors) -> Work:
    """Return the backward pass alone, of ten classes."""
    *up, x, frequencies = inputs
    leaf = x.detach().requires_grad_()
    parts = characteristic(leaf, frequencies, (len(x) // 10,) * 10)
    return lambda: torch.autograd.grad(parts, leaf, up, retain_graph=True)


def _summed(weights: Tensor, *others: Tensor) -> Tensors:
    """Return results whose first one consists of parts of the members or of one part."""
    return weights.sum(0), *others


def _advance(rule: Rule, *inputs: Tensor) -> Tensors:
    return advance(inputs[:-2], inputs[-2], inputs[-1], 3, rule)


def _retreat(rule: Rule, *inputs: Tensor) -> Tensors:
    k = rule.rows
    cotangent, adjoints = retreat(inputs[:k], inputs[k : 2 * k], inputs[2 * k : -1], inputs[-1], 3, rule)
    return cotangent.along, *adjoints[1:]


def disagreement(case: KernelCase) -> float:
    """Return the largest difference of the kernels from the reference in float64, relative to the largest element."""
    exact = tuple(each.double() if each.is_floating_point() else each for each in case.inputs)
    with patch.dict(os.environ, KERNELS="reference"):
        right = case.prepare(exact)()
    with patch.dict(os.environ, KERNELS="triton"):
        ours = case.prepare(case.inputs)()
    return max(float((a.double() - b).abs().max() / b.abs().max()) for a, b in zip(ours, right, strict=True))


def measure(case: KernelCase, time: Timer) -> dict[str, list[float]]:
    """Return the seconds of each repetition, by variant; ``compiled`` only if PyTorch can compile the reference."""
    times = {}
    for variant in VARIANTS:
        choice, failures = "triton" if variant == "ddcore" else "reference", (RuntimeError,) * (variant == "compiled")
        with patch.dict(os.environ, KERNELS=choice), suppress(*failures):
            work = case.prepare(case.inputs)
            torch.compiler.reset()  # otherwise it gives up after some cases
            times[variant] = list(time(torch.compile(work, dynamic=False) if variant == "compiled" else work))
    return times


def on_gpu(work: Work) -> list[float]:
    """Return the seconds of some repetitions of `work` on a GPU, its L2 cleared before each."""
    from triton.testing import do_bench

    return [milliseconds / 1e3 for milliseconds in do_bench(work, return_mode="all")]


def bandwidth(device: torch.device, time: Timer) -> float:
    """Return the bytes per second that copying a large tensor moves, read and written."""
    source = torch.empty(COPIED // 4, device=device)
    target = torch.empty_like(source)
    times = sorted(time(lambda: (target.copy_(source),)))
    return 2 * COPIED / times[len(times) // 2]
