"""The cost of a meta-gradient, measured on short unrolls before a run."""

from collections.abc import Sequence
from dataclasses import dataclass

from ddcore.errors import DDCoreError
from ddcore.runtime import available, peak, seconds_of
from ddcore.unroll.meta_gradient import EXACT, FIRST_ORDER, Unroll, meta_gradient, train

TRIES = 2
# Steps of the longer of the two unrolls that are measured: the memory of a graph grows in leaps.
LONG = {"states": 3, "graph": 8, FIRST_ORDER: 3}


@dataclass(frozen=True)
class Estimate:
    """The expected cost of a meta-gradient.

    Attributes:
        mode: in `MODES`.
        bytes: peak memory above the level before.
        seconds: wall time, without compilation.
    """

    mode: str
    bytes: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.mode}: {self.bytes / 2**20:,.0f} MB, {self.seconds:.2f} s per meta-gradient"


def estimate(unroll: Unroll, mode: str = "states") -> Estimate:
    """Return the expected cost of `meta_gradient`, from unrolls of one and of a few steps.

    Bytes (but for ``first-order``) and seconds grow linearly with the steps of the window; a step before it costs one
    gradient.
    """
    device, window = unroll.x.device, len(unroll.differentiated)
    long = min(LONG[mode], unroll.length)

    def cost(steps: int) -> tuple[int, float]:
        short = unroll.first(steps)

        def run() -> None:
            meta_gradient(short, mode)

        with peak(device) as memory:
            run()
        # The measurement of memory returns the allocator's memory to the system; the next call allocates it again.
        run()
        return memory.bytes, min(seconds_of(run, device) for _ in range(TRIES))

    cost(1)
    bytes_one, seconds_one = cost(1)
    bytes_long, seconds_long = cost(long)
    more = max(1, long - 1)
    state = unroll.training.rule.rows * unroll.training.step.flat.size * unroll.x.element_size()
    grown = {"states": state, FIRST_ORDER: 0}
    each_bytes = grown.get(mode, max(0, bytes_long - bytes_one) / more)
    each_seconds = max(0.0, seconds_long - seconds_one) / more
    few = unroll.first(long)
    forward = seconds_of(lambda: train(few.training, few.start, few.x, few.y, few.rates), device) / long
    seconds = seconds_one + each_seconds * (window - 1) + forward * (unroll.length - window)
    return Estimate(mode, int(bytes_one + each_bytes * (window - 1)), seconds)


def choose(unroll: Unroll, modes: Sequence[str] = EXACT) -> Estimate:
    """Return the estimate of the fastest of the modes that fit into the available memory.

    Raises:
        DDCoreError: none fits.
    """
    room = available(unroll.x.device)
    estimates = [estimate(unroll, mode) for mode in modes]
    fitting = [each for each in estimates if each.bytes < room]
    if not fitting:
        least = min(estimates, key=lambda each: each.bytes)
        raise DDCoreError(
            f"the unroll needs {least.bytes / 2**30:.1f} GB in the mode '{least.mode}', {room / 2**30:.1f} GB are "
            "free: shorten the window, or take a smaller batch or network"
        )
    return min(fitting, key=lambda each: each.seconds)
