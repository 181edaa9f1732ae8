"""The cost of a meta-gradient: by the engine, the stored graph, the package ``higher`` and the mixed mode."""

import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ddcore.benchmarks.mixed_mode import mixed_mode
from ddcore.benchmarks.rows import Benchmark, CaseResult, Row, last_lines, row
from ddcore.draws import generator, scoped
from ddcore.errors import DDCoreError, require
from ddcore.kernels import Rule
from ddcore.nets import Block, ConvNet
from ddcore.options import option
from ddcore.runtime import Processes, available, peak, precise, seconds_of, timed_precisions
from ddcore.unroll import Flat, RealLoss, State, Step, Training, Unroll, estimate, meta_gradient, micro_batch

VARIANTS = ("ddcore", "stored-graph", "higher", "mixed-mode")
IMAGE = (1, 28, 28)
WARM = 2
# Steps of the meta-gradients that are compared: every step amplifies the rounding of float32.
CHECKED = 3
# Largest relative difference of two gradients that agree. At width 128 rounding moves pixels over ReLU's kink, and all
# variants lie 0.2 % from float64's gradient after `CHECKED` steps; at width 32 none moves, and they lie 5e-7 from it.
AGREE = 0.005
MOMENTUM = 0.9
DIRECTIONS = 32
UNITS = {
    "time": "s",
    "estimated-time": "s",
    "memory": "bytes",
    "estimated-memory": "bytes",
    "flops": "flop",
    "operators": "calls",
    "convolutions": "share",
}
SCALES = {"bytes": (2**20, ",.0f", "MB"), "flop": (1e9, ",.0f", "GFLOP"), "share": (0.01, ".0f", "%")}
Measured = dict[str, list[float]]


@dataclass(frozen=True)
class UnrollCase:
    """A ConvNet on 28x28 images, all members in every step, SGD with momentum.

    Attributes:
        width: channels.
        length: inner steps T, all of them differentiated.
        members: of the synthetic set, and of the real batch of the outer loss.
    """

    width: int
    length: int
    members: int

    def __str__(self) -> str:
        return f"convnet-{self.width} T={self.length} N={self.members}"

    @staticmethod
    def of(text: str) -> "UnrollCase":
        """Return the case ``WIDTH,T,MEMBERS``.

        Raises:
            UsageError: it is not three positive numbers.
        """
        parts = text.split(",")
        require(
            len(parts) == 3 and all(part.isdecimal() and int(part) for part in parts),
            f"--case {text} is not WIDTH,T,MEMBERS",
        )
        return UnrollCase(*map(int, parts))


QUICK = (UnrollCase(4, 3, 10),)
ON_CPU = tuple(UnrollCase(*sizes) for sizes in ((32, 20, 100), (128, 20, 100), (32, 50, 100), (64, 20, 100)))
# The stored graph of the longest unroll would need 20 GB.
ALONE = UnrollCase(64, 200, 100)
ON_GPU = tuple(UnrollCase(128, length, 100) for length in (10, 60, 200))


@dataclass(frozen=True)
class UnrollBenchmark(Benchmark):
    """One meta-gradient through T inner steps."""

    rounds: int = option(2, "processes of each variant, in turn", low=1)
    repeats: int = option(3, "meta-gradients in each of them", low=1)
    case: str | None = option(None, "only this one: WIDTH,T,MEMBERS")

    def results(self, program: Sequence[str], device: torch.device) -> Iterator[CaseResult]:
        """Yield what each variant costs, if all compute the same meta-gradient."""
        full = ON_GPU if device.type == "cuda" else (*ON_CPU, ALONE)
        for case in (UnrollCase.of(self.case),) if self.case else QUICK if self.quick else full:
            variants = ["ddcore"] if case == ALONE and device.type == "cpu" else available_variants()
            measured = self._measured(program, case, variants)
            check(case, measured)
            rows = []
            for variant, metrics in measured.items():
                for name, values in metrics.items():
                    metric, _, mode = name.partition(" ")
                    if metric in UNITS:
                        with precise(mode or "ieee"):
                            rows.append(row("unroll", str(case), variant, metric, UNITS[metric], values))
            yield CaseResult(rows, summary(case, rows))

    def _measured(self, program: Sequence[str], case: UnrollCase, variants: list[str]) -> dict[str, Measured]:
        """Return the measurements of every variant in processes of its own, the variants taking turns."""
        measured: dict[str, Measured] = {variant: {} for variant in variants}
        repeats = str(1 if self.quick else self.repeats)
        options = ["--case", f"{case.width},{case.length},{case.members}", "--repeats", repeats]
        for _ in range(1 if self.quick else self.rounds):
            for variant in variants:
                (line,) = last_lines(f"{variant} on {case}", [[sys.executable, *program, variant, *options]], [{}])
                for metric, values in json.loads(line).items():
                    measured[variant].setdefault(metric, []).extend(values)
        return measured

    def work(self, text: str, processes: Processes) -> Measured:
        """Return what the variant `text` costs in this process, on the case of the options."""
        return measure(UnrollCase.of(self.case or ""), text, self.repeats, processes.device)


def check(case: UnrollCase, measured: dict[str, Measured]) -> None:
    """Refuse variants that do not compute the same; one that did not fit has computed nothing.

    Raises:
        DDCoreError: two gradients differ by more than `AGREE` of their norm, in any of the processes.
    """
    sketches = {variant: metrics["sketch"] for variant, metrics in measured.items() if "sketch" in metrics}
    right = sketches.get("stored-graph", sketches["ddcore"])
    for variant, sketched in sketches.items():
        error = distance(sketched, right)
        require(
            error < AGREE,
            f"{variant} computes another gradient than the stored graph on {case}: they differ by {error:.2%}",
            DDCoreError,
        )


def summary(case: UnrollCase, rows: list[Row]) -> str:
    """Return the medians as text, and their ratios to those of the stored graph."""
    medians = {(each.variant, each.metric, each.precision): each.p50 for each in rows}
    lines = [f"\n{case}"]
    for each in rows:
        right = medians.get(("stored-graph", each.metric, each.precision))
        ratio = f"{each.p50 / right:6.2f} x the stored graph" if right else ""
        factor, style, unit = SCALES.get(each.unit, (1, ",.3g", each.unit))
        value = f"{each.p50 / factor:{style}} {unit}"
        lines.append(f"  {each.variant:13} {each.precision} {each.metric:17} {value:>12}  {ratio}")
    return "\n".join(lines)


def available_variants() -> list[str]:
    """Return the variants that can run here: ``higher`` only if it is installed."""
    return [variant for variant in VARIANTS if variant != "higher" or importlib.util.find_spec("higher")]


def from_layers(net: ConvNet) -> nn.Sequential:
    """Return the network as a sequence of PyTorch's layers, with the same parameters."""
    layers: list[nn.Module] = []
    for block in cast(Iterable[Block], net.blocks):
        norm = nn.GroupNorm(len(block.gain), len(block.gain))
        norm.weight, norm.bias = block.gain, block.offset
        layers += [block.convolution, norm, nn.ReLU(), nn.AvgPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), net.classifier)


class UnrollProblem:
    """The same set, network and real members for every variant of a case."""

    def __init__(self, case: UnrollCase, variant: str, device: torch.device, graphs: str = "auto") -> None:
        self.case, self.variant = case, variant
        with scoped("benchmark", case.width):
            net = ConvNet(IMAGE, 10, case.width)
        self.net = (net if variant == "ddcore" else from_layers(net)).to(device)
        self.mode = "graph" if variant == "stored-graph" else "states"
        draws = generator("benchmark", case.members)
        x = torch.randn(case.members, *IMAGE, generator=draws).to(device)
        y = torch.randn(case.members, 10, generator=draws).softmax(1).to(device)
        real = torch.randn(case.members, *IMAGE, generator=draws).to(device)
        real_y = nn.functional.one_hot(torch.arange(case.members) % 10, 10).float().to(device)
        micro = micro_batch(device, IMAGE) if device.type == "cpu" else None
        step = Step(Flat(self.net), micro=micro, graphs=graphs)
        order = torch.arange(case.members, device=device).expand(case.length, -1)
        training = Training(step, order, Rule(momentum=MOMENTUM))
        start, rates = State.fresh(step.flat.start(), training.rule), torch.full((case.length,), 0.01, device=device)
        self.outer = RealLoss(step, real, real_y)
        self.unroll = Unroll(training, start, x, y, rates, self.outer)

    def run(self, length: int | None = None) -> tuple[Tensor, ...]:
        """Return one meta-gradient, of the images, labels and step sizes, over the first `length` steps or all."""
        unroll = self.unroll.first(length or self.case.length)
        if self.variant == "higher":
            return self._by_higher(unroll)
        if self.variant == "mixed-mode":
            return self._mixed(unroll)
        gradient = meta_gradient(unroll, self.mode)
        return gradient.x, gradient.y, gradient.rates

    def _by_higher(self, unroll: Unroll) -> tuple[Tensor, Tensor, Tensor]:
        import higher

        leaves = [each.clone().requires_grad_() for each in (unroll.x, unroll.y, unroll.rates)]
        x, y, rates = leaves
        optimiser = torch.optim.SGD(self.net.parameters(), lr=0.01, momentum=MOMENTUM)
        with higher.innerloop_ctx(self.net, optimiser, copy_initial_weights=True) as (net, inner):
            for t in range(unroll.length):
                loss = -(y * nn.functional.log_softmax(net(x), 1)).sum(1).mean()
                inner.step(loss, override={"lr": [rates[t]]})
            outer = nn.functional.cross_entropy(net(self.outer.x), self.outer.y)
            d_x, d_y, d_rates = torch.autograd.grad(outer, leaves)
        return d_x, d_y, d_rates

    def _mixed(self, unroll: Unroll) -> tuple[Tensor, ...]:
        flat = unroll.training.step.flat

        def loss(theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
            return -(y * nn.functional.log_softmax(flat(theta, x), 1)).sum(1).mean()

        def outer(theta: Tensor) -> Tensor:
            return nn.functional.cross_entropy(flat(theta, self.outer.x), self.outer.y)

        x, y, rates = (each.clone().requires_grad_() for each in (unroll.x, unroll.y, unroll.rates))
        return mixed_mode(loss, unroll.start.theta, (x, y, rates), MOMENTUM, outer)


class Counted(TorchDispatchMode):
    """Counts the operators that PyTorch dispatches (including views) and their floating-point operations.

    Unlike PyTorch's own counter it adds no hooks to modules, which ``higher`` does not support.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operators = self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, inputs: Any = (), named: Any = None) -> Any:
        from torch.utils.flop_counter import flop_registry

        output = func(*inputs, **(named or {}))
        self.operators += 1
        if func.overloadpacket in flop_registry:
            self.flops += int(flop_registry[func.overloadpacket](*inputs, **(named or {}), out_val=output))
        return output


def measure(case: UnrollCase, variant: str, repeats: int, device: torch.device) -> Measured:
    """Return what one variant costs in this process.

    Returns:
        ``time`` in seconds for each repetition (and ``time tf32`` in that precision on a GPU), ``memory`` in bytes
        above the level before, ``sketch`` to compare variants (see `sketch`), ``flops``, and on a CPU ``operators``
        and the share of the time in ``convolutions``; for the engine's modes also its estimates, and nothing else if
        the estimated memory is not there.
    """
    measured: Measured = {}
    # Without CUDA graphs, whose memory is not in PyTorch's statistics and whose operators are not dispatched.
    problem = UnrollProblem(case, variant, device, "off")
    if variant in ("ddcore", "stored-graph"):
        with precise("ieee"):
            expected = estimate(problem.unroll, problem.mode)
        measured = {"estimated-time": [expected.seconds], "estimated-memory": [float(expected.bytes)]}
        if expected.bytes > available(device):
            return measured
    for mode in timed_precisions(device):
        with precise(mode):
            timed = UnrollProblem(case, variant, device)
            # The allocator needs a few calls to settle; the measurement of memory would unsettle it: it comes last.
            for _ in range(WARM):
                timed.run()
            times = [seconds_of(timed.run, device) for _ in range(repeats)]
            measured["time" if mode == "ieee" else f"time {mode}"] = times
    with precise("ieee"):
        with peak(device) as memory:
            problem.run()
        measured |= {"memory": [float(memory.bytes)], "sketch": sketch(timed_sketch(case, variant, device))}
        with Counted() as counted:
            problem.run()
    measured["flops"] = [float(counted.flops)]
    if device.type == "cpu":
        measured |= {"operators": [float(counted.operators)], "convolutions": [convolutions(problem)]}
    return measured


def convolutions(problem: UnrollProblem) -> float:
    """Return the share of a CPU's time in PyTorch's convolutions, in a meta-gradient of a few steps.

    The engine's first block does not count: it consists of matrix products.
    """
    from torch.profiler import ProfilerActivity, profile  # it imports Triton

    with profile(activities=[ProfilerActivity.CPU]) as taken:
        problem.run(min(CHECKED, problem.case.length))
    times = [(each.key, each.self_cpu_time_total) for each in taken.key_averages()]
    return sum(time for name, time in times if "convolution" in name) / sum(time for _, time in times)


def timed_sketch(case: UnrollCase, variant: str, device: torch.device) -> tuple[Tensor, ...]:
    """Return the meta-gradient of a few steps as it is computed when it is timed: by CUDA graphs on a GPU."""
    return UnrollProblem(case, variant, device).run(min(CHECKED, case.length))


def sketch(gradients: Sequence[Tensor]) -> list[float]:
    """Return `DIRECTIONS` random projections of each of the gradients.

    The norm of the difference of two sketches is that of the gradients' difference, on average over directions
    (Johnson & Lindenstrauss), so that processes can compare gradients of any size by a few numbers.
    """
    projections = []
    for part in gradients:
        flat = part.detach().double().cpu().flatten()
        draws = generator("benchmark", "sketch", len(flat))
        along = torch.randn(DIRECTIONS, len(flat), generator=draws, dtype=torch.float64)
        projections += (along @ flat / DIRECTIONS**0.5).tolist()
    return projections


def distance(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the largest distance of two sketches of the same gradients, relative to the norm of the second."""
    a, b = (torch.tensor(each, dtype=torch.float64).view(-1, DIRECTIONS) for each in (ours, theirs))
    return float(((a - b).norm(dim=1) / b.norm(dim=1)).max())
