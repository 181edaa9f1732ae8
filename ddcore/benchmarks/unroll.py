"""The meta-gradient's cost: the engine's, the stored graph's, and that of the published way."""

import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ddcore.draws import generator, scoped
from ddcore.nets import Block, ConvNet
from ddcore.runtime import peak, seconds_of
from ddcore.unroll import Flat, MetaGradient, RealLoss, State, Step, Training, estimate, meta_gradient
from kernels import Rule

VARIANTS = ("ddcore", "stored-graph", "higher")
MICRO = 50
WARM = 2
CHECKED = 3
MOMENTUM = 0.9
DIRECTIONS = 32


@dataclass(frozen=True)
class Case:
    """A ConvNet on 28x28 images, all members in every step, SGD with momentum.

    Attributes:
        width: channels.
        length: inner steps T, all of them differentiated.
        members: of the synthetic set, and of the real batch that judges.
    """

    width: int
    length: int
    members: int

    def __str__(self) -> str:
        return f"convnet-{self.width} T={self.length} N={self.members}"


def available_variants() -> list[str]:
    """Return the variants that can be run here: ``higher`` only where it is installed."""
    there = importlib.util.find_spec("higher") is not None
    return [variant for variant in VARIANTS if variant != "higher" or there]


def plainly(net: ConvNet) -> nn.Module:
    """Return the network as it is usually written, with the same parameters."""
    layers: list[nn.Module] = []
    for block in cast(Iterable[Block], net.blocks):
        norm = nn.GroupNorm(len(block.gain), len(block.gain))
        norm.weight, norm.bias = block.gain, block.offset
        layers += [block.convolution, norm, nn.ReLU(), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), net.classifier)


class Problem:
    """The same set, network and real members for every variant of a case."""

    def __init__(self, case: Case, variant: str, device: torch.device) -> None:
        self.case, self.variant = case, variant
        with scoped("benchmark", case.width):
            net = ConvNet((1, 28, 28), 10, case.width)
        self.net = (net if variant == "ddcore" else plainly(net)).to(device)
        draws = generator("benchmark", case.members)
        self.x = torch.randn(case.members, 1, 28, 28, generator=draws).to(device)
        self.y = torch.randn(case.members, 10, generator=draws).softmax(1).to(device)
        self.real = torch.randn(case.members, 1, 28, 28, generator=draws).to(device)
        self.real_y = F.one_hot(torch.arange(case.members) % 10, 10).float().to(device)
        self.rates = torch.full((case.length,), 0.01, device=device)
        self.rule = Rule(momentum=MOMENTUM)
        step = Step(Flat(self.net), micro=MICRO if device.type == "cpu" else None)
        order = torch.arange(case.members, device=device).expand(case.length, -1)
        self.training = Training(step, order, self.rule)
        self.start = State.fresh(step.flat.start(), self.rule)
        self.outer = RealLoss(step, self.real, self.real_y)

    def given(self, length: int | None = None) -> tuple[Any, ...]:
        """Return the arguments of `meta_gradient`, for the first `length` steps or all."""
        training = replace(self.training, order=self.training.order[:length])
        return training, self.start, self.x, self.y, self.rates[:length], self.outer

    def run(self, length: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return one meta-gradient, of the images, labels and step sizes, over the first `length` steps or all."""
        if self.variant == "higher":
            return self._by_higher(self.case.length if length is None else length)
        mode = "graph" if self.variant == "stored-graph" else "states"
        found: MetaGradient = meta_gradient(*self.given(length), mode=mode)
        return found.x, found.y, found.rates

    def _by_higher(self, length: int) -> tuple[Tensor, Tensor, Tensor]:
        import higher

        leaves = [each.clone().requires_grad_() for each in (self.x, self.y, self.rates[:length])]
        x, y, rates = leaves
        optimiser = torch.optim.SGD(self.net.parameters(), lr=0.01, momentum=MOMENTUM)
        with higher.innerloop_ctx(self.net, optimiser, copy_initial_weights=True) as (net, inner):
            for t in range(length):
                loss = -(y * F.log_softmax(net(x), 1)).sum(1).mean()
                inner.step(loss, override={"lr": [rates[t]]})
            outer = F.cross_entropy(net(self.real), self.real_y)
            d_x, d_y, d_rates = torch.autograd.grad(outer, leaves)
        return d_x, d_y, d_rates


class Counted(TorchDispatchMode):
    """Counts the operators that PyTorch dispatches (views are among them) and their floating-point operations.

    Unlike PyTorch's own counter it hangs no hooks on modules, which ``higher`` does not bear.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operators = self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        answer = func(*given, **(named or {}))
        self.operators += 1
        if func.overloadpacket in flop_registry:
            self.flops += int(flop_registry[func.overloadpacket](*given, **(named or {}), out_val=answer))
        return answer


def measure(case: Case, variant: str, repeats: int, device: torch.device) -> dict[str, list[float]]:
    """Return what one variant costs in this process.

    Returns:
        ``time`` in seconds for each repetition, ``memory`` in bytes above the level before, ``sketch``, which tells
        whether variants agree (see `sketch`), ``flops`` and ``operators``; of the engine in both modes also estimates.
    """
    problem = Problem(case, variant, device)
    # The allocator settles over a few calls; the measurement of memory would unsettle it.
    for _ in range(WARM):
        problem.run()
    times = [seconds_of(problem.run, device) for _ in range(repeats)]
    with peak(device) as held:
        problem.run()
    found = {
        "time": times,
        "memory": [float(held.bytes)],
        "sketch": sketch(problem.run(min(CHECKED, case.length))),
    }
    with Counted() as counted:
        problem.run()
    found |= {"flops": [float(counted.flops)], "operators": [float(counted.operators)]}
    if variant != "higher":
        expected = estimate(*problem.given(), mode="graph" if variant == "stored-graph" else "states")
        found |= {"estimated-time": [expected.seconds], "estimated-memory": [float(expected.bytes)]}
    return found


def sketch(gradients: Sequence[Tensor]) -> list[float]:
    """Return `DIRECTIONS` random projections of each of the gradients.

    The norm of the difference of two sketches is that of the gradients' difference, on average over directions.
    """
    found = []
    for part in gradients:
        flat = part.detach().double().cpu().flatten()
        draws = generator("benchmark", "sketch", len(flat))
        along = torch.randn(DIRECTIONS, len(flat), generator=draws, dtype=torch.float64)
        found += (along @ flat / DIRECTIONS**0.5).tolist()
    return found


def distance(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the distance of two sketches of the same gradients by the second's norm, the largest of the parts'."""
    a, b = (torch.tensor(each, dtype=torch.float64).view(-1, DIRECTIONS) for each in (ours, theirs))
    return float(((a - b).norm(dim=1) / b.norm(dim=1)).max())
