"""The Triton kernels' times on a GPU, beside PyTorch's and beside what moving their bytes once would take."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from triton.testing import do_bench

from ddcore.draws import generator
from kernels import (
    Rule,
    advance,
    class_moments,
    norm_act_pool_backward,
    norm_act_pool_forward,
    norm_act_pool_tangent,
    norm_act_pool_tangent_backward,
    placed,
    resample,
    retreat,
    soft_cross_entropy_backward,
    soft_cross_entropy_tangent,
)

VARIANTS = ("ddcore", "eager", "compiled")
# Largest difference from float64, by the largest element: what single precision allows after sums over a plane.
AGREE = 2e-5
COPIED = 2**28


@dataclass(frozen=True)
class Sizes:
    """How large the cases are.

    Attributes:
        members, channels, sides: of the planes.
        parameters: of the optimiser's step.
        features: rows and columns for the moments.
        rows: of logits.
        images: to resample.
    """

    members: int = 500
    channels: int = 128
    sides: tuple[int, ...] = (32, 16, 8)
    parameters: int = 2**26
    features: tuple[int, int] = (16384, 2048)
    rows: int = 2**20
    images: int = 8192


@dataclass(frozen=True)
class Case:
    """One op on one shape.

    Attributes:
        name: the op and the shape.
        given: its tensors, float32 unless they count.
        run: the op; what it returns is compared and counted.
    """

    name: str
    given: tuple[Tensor, ...]
    run: Callable[..., Any]

    def bytes(self) -> int:
        """Return what has to be moved at least: every input and output once."""
        return sum(
            each.numel() * each.element_size()
            for each in tree_leaves((self.given, self.results(self.given)))
            if isinstance(each, Tensor)
        )

    def results(self, given: tuple[Tensor, ...]) -> list[Tensor]:
        """Return the op's tensors for some inputs."""
        return [each for each in tree_leaves(self.run(*given)) if isinstance(each, Tensor)]


def cases(sizes: Sizes, device: torch.device) -> Iterator[Case]:
    """Yield every op at every size, on inputs that are the same each time."""
    draws = generator("benchmark", "kernels")

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draws).to(device)

    n, c = sizes.members, sizes.channels
    gain, gain_t, offset, offset_t = (draw(c) for _ in range(4))
    for side in sizes.sides:
        x, x_t = draw(n, c, side, side), draw(n, c, side, side)
        up, up_t = draw(n, c, side // 2, side // 2), draw(n, c, side // 2, side // 2)
        where = f"{n}x{c}x{side}x{side}"
        yield Case(f"norm_act_pool.forward {where}", (x, gain, offset), lambda *t: norm_act_pool_forward(*t)[0])
        yield Case(
            f"norm_act_pool.tangent {where}",
            (x, x_t, gain, gain_t, offset, offset_t),
            lambda *t: norm_act_pool_tangent(*t)[0],
        )
        yield Case(f"norm_act_pool.backward {where}", (up, x, gain, offset), _Backward())
        yield Case(
            f"norm_act_pool.tangent_backward {where}",
            (up, up_t, x, x_t, gain, gain_t, offset, offset_t),
            _TangentBackward(),
        )
    p = sizes.parameters
    for name, rule in (("sgd", Rule()), ("momentum", Rule(momentum=0.9)), ("adam", Rule("adam", 0.9))):
        rows = tuple(draw(p).abs() for _ in range(rule.rows))
        yield Case(f"unrolled_step.advance {name} {p}", (*rows, draw(p)), _Advance(rule))
        if rule.rows > 1:
            yield Case(f"unrolled_step.retreat {name} {p}", (*rows, *rows, *(draw(p) for _ in rows)), _Retreat(rule))
    labels = torch.randint(10, (sizes.features[0],), generator=draws).to(device)
    rows_columns = "x".join(map(str, sizes.features))
    yield Case(f"class_moments {rows_columns}", (draw(*sizes.features), labels), lambda f, y: class_moments(f, y, 10))
    z, z_t, y, y_t = (draw(sizes.rows, 10) for _ in range(4))
    c_, c_t = draw(sizes.rows), draw(sizes.rows)
    yield Case(f"soft_cross_entropy.backward {sizes.rows}x10", (c_, z, y.softmax(1)), soft_cross_entropy_backward)
    yield Case(
        f"soft_cross_entropy.tangent {sizes.rows}x10", (c_, c_t, z, z_t, y.softmax(1), y_t), soft_cross_entropy_tangent
    )
    m = sizes.images
    still = torch.zeros(m, dtype=torch.bool)
    turn = placed(still, torch.full((m, 2), 1.1), torch.linspace(-0.2, 0.2, m), torch.ones(m, 2))
    yield Case(f"resample {m}x3x32x32", (draw(m, 3, 32, 32),), lambda x: resample(x, turn))


class _Backward:
    """The backward pass alone: what the forward pass kept is computed once for each precision and variant."""

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def __call__(self, up: Tensor, x: Tensor, gain: Tensor, offset: Tensor) -> Any:
        key = (x.dtype, os.environ.get("KERNELS"))
        if key not in self.kept:
            self.kept[key] = norm_act_pool_forward(x, gain, offset)[1]
        return norm_act_pool_backward(up, self.kept[key], gain, offset)


class _TangentBackward:
    """The same of the tangent's backward pass."""

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}

    def __call__(
        self,
        up: Tensor,
        up_t: Tensor,
        x: Tensor,
        x_t: Tensor,
        gain: Tensor,
        gain_t: Tensor,
        offset: Tensor,
        offset_t: Tensor,
    ) -> Any:
        key = (x.dtype, os.environ.get("KERNELS"))
        if key not in self.kept:
            self.kept[key] = norm_act_pool_tangent(x, x_t, gain, gain_t, offset, offset_t)[1]
        return norm_act_pool_tangent_backward(up, up_t, self.kept[key], gain, gain_t, offset)


@dataclass(frozen=True)
class _Advance:
    rule: Rule

    def __call__(self, *given: Tensor) -> Any:
        return advance(given[:-1], given[-1], 0.01, 3, self.rule)


@dataclass(frozen=True)
class _Retreat:
    rule: Rule

    def __call__(self, *given: Tensor) -> Any:
        k = self.rule.rows
        asked, adjoints = retreat(given[:k], given[k : 2 * k], given[2 * k :], 0.01, 3, self.rule)
        return asked.along, adjoints[1:]


@contextmanager
def forced(choice: str) -> Iterator[None]:
    """Set ``KERNELS`` inside a ``with`` block."""
    before = os.environ.get("KERNELS")
    os.environ["KERNELS"] = choice
    yield
    if before is None:
        del os.environ["KERNELS"]
    else:
        os.environ["KERNELS"] = before


def disagreement(case: Case) -> float:
    """Return how far the kernels are from the reference in float64, by the largest element: of the worst output."""
    exact = tuple(each.double() if each.is_floating_point() else each for each in case.given)
    with forced("reference"):
        right = case.results(exact)
    with forced("triton"):
        ours = case.results(case.given)
    apart = [float((a.double() - b).abs().max() / b.abs().max()) for a, b in zip(ours, right, strict=True)]
    return max(apart)


def measure(case: Case, time: Callable[[Callable[[], Any]], Sequence[float]]) -> dict[str, list[float]]:
    """Return the seconds of each repetition, by variant; ``compiled`` only where PyTorch can compile the reference."""
    found = {}
    for variant in VARIANTS:
        run = torch.compile(case.run, dynamic=False) if variant == "compiled" else case.run
        with forced("triton" if variant == "ddcore" else "reference"), suppress(*_uncompiled(variant)):
            found[variant] = list(time(partial(run, *case.given)))
    return found


def _uncompiled(variant: str) -> tuple[type[Exception], ...]:
    return (RuntimeError,) if variant == "compiled" else ()


def on_gpu(work: Callable[[], Any]) -> list[float]:
    """Return the seconds of some repetitions of `work` on a GPU, its L2 cleared before each."""
    return [milliseconds / 1e3 for milliseconds in do_bench(work, return_mode="all")]


def bandwidth(device: torch.device, time: Callable[[Callable[[], Any]], Sequence[float]]) -> float:
    """Return the bytes a second that copying a large tensor moves, read and written."""
    source = torch.empty(COPIED // 4, device=device)
    target = torch.empty_like(source)
    times = sorted(time(lambda: target.copy_(source)))
    return 2 * COPIED / times[len(times) // 2]
