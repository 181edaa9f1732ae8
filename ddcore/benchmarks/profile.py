"""Where the time of one window step goes on a GPU, kernel by kernel."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile

from ddcore.benchmarks.rows import Benchmark, CaseResult
from ddcore.benchmarks.unroll import UnrollCase, UnrollProblem
from ddcore.errors import require
from ddcore.options import option
from ddcore.runtime import precise

STEPS, SHOWN = 5, 40


@dataclass(frozen=True)
class ProfileBenchmark(Benchmark):
    """The kernels of a window step on a GPU, by their time."""

    case: str = option("128,1,500", "WIDTH,T,MEMBERS")

    def results(self, program: Sequence[str], device: torch.device) -> Iterator[CaseResult]:
        """Yield a table of kernels for each precision; nothing is timed that a table of rows could hold."""
        require(device.type == "cuda", "a window step is profiled on a GPU, and this machine has none")
        case = UnrollCase.of("4,1,10" if self.quick else self.case)
        for mode in ("ieee", "tf32"):
            with precise(mode):
                yield CaseResult([], f"{case}, {mode}, {STEPS} meta-gradients\n{kernels_of(case, device)}")


def kernels_of(case: UnrollCase, device: torch.device) -> str:
    """Return the table of the kernels that some meta-gradients launch, the longest first."""
    problem = UnrollProblem(case, "ddcore", device, "off")
    problem.run()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as taken:
        for _ in range(STEPS):
            problem.run()
        torch.cuda.synchronize(device)
    kernels: dict[str, list[float]] = {}
    for event in taken.events() or ():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            kernels.setdefault(event.name, []).append(event.device_time)
    total = sum(map(sum, kernels.values()))
    lines = [f"{'share':>6} {'us each':>9} {'launches':>8}  kernel"]
    for name, times in sorted(kernels.items(), key=lambda each: -sum(each[1]))[:SHOWN]:
        each, launches = sum(times) / len(times), len(times) / STEPS
        lines.append(f"{sum(times) / total:6.1%} {each:9.1f} {launches:8.1f}  {name[:100]}")
    return "\n".join(
        [*lines, f"{total / STEPS:,.0f} us and {sum(map(len, kernels.values())) / STEPS:.0f} launches each"]
    )
