"""What a launcher of several processes says in environment variables, and the wait for the processes that it starts."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator

from ddcore.errors import require

NOTICE = 10.0
"""Seconds until a process says whom it waits for."""
MOST = 30 * 24 * 3600.0
ALONE = 60.0
"""Seconds that a process waits for others where no launcher seems to have started it."""

# The smallest value of each.
COUNTS = {"WORLD_SIZE": 1, "LOCAL_WORLD_SIZE": 1, "RANK": 0, "LOCAL_RANK": -1, "MASTER_PORT": 0}
PLACE = ("RANK", "MASTER_ADDR", "MASTER_PORT")
ENGINES = {"DEEPSPEED": "DeepSpeed", "FSDP": "FSDP", "MEGATRON_LM": "Megatron-LM"}


def check_counts() -> None:
    """Refuse numbers of processes that are none, such as the remains of a launcher in a shell.

    Raises:
        UsageError: the line names the variable.
    """
    env = os.environ
    for name, low in COUNTS.items():
        text = env.get(name, str(low))
        require(
            text.removeprefix("-").isdecimal() and int(text) >= low,
            f"the environment has {name}='{text}', which is no number from {low}: unset {name}, or use a launcher",
        )
    rank, count = int(env.get("RANK", "0")), int(env.get("WORLD_SIZE", "1"))
    require(
        "WORLD_SIZE" not in env or rank < count,
        f"the environment has RANK={rank} of WORLD_SIZE={count}: unset both, or use a launcher",
    )


def check_engine() -> None:
    """Refuse an engine or a precision that ddcore does not use, rather than ignore it.

    Raises:
        UsageError: the line names the variable.
    """
    env = os.environ
    for name, title in ENGINES.items():
        asked = env.get(f"ACCELERATE_USE_{name}", "").lower() in ("1", "true", "t", "yes", "y", "on")
        require(not asked, f"ddcore does not run under {title}: unset ACCELERATE_USE_{name}, or choose no {title}")
    precision = env.get("ACCELERATE_MIXED_PRECISION", "no").lower()
    require(
        precision in ("no", ""),
        f"ddcore computes in float32, not in {precision}: leave out --mixed_precision (or say no), "
        "or unset ACCELERATE_MIXED_PRECISION",
    )


@contextlib.contextmanager
def arrival(minutes: float, tell: Callable[[str], None], end: Callable[[str], None]) -> Iterator[None]:
    """Limit the time that a ``with`` block waits for the other processes; does nothing for a single process.

    Args:
        minutes: to wait where a launcher started this process; otherwise it is one minute.
        tell: called from a thread after ten seconds, with a line that says what is waited for; once per machine.
        end: called from a thread at the end of the time, with a line; it must end the process at once.
    """
    env = os.environ
    count, missing = int(env.get("WORLD_SIZE", "1")), [name for name in PLACE if name not in env]
    if count < 2:
        yield
        return
    if missing:
        seconds, problem = ALONE, f"WORLD_SIZE={count} is set without {', '.join(missing)}: no launcher started this"
        remedy = "unset WORLD_SIZE"
    else:
        seconds, problem = min(max(minutes, 0) * 60, MOST), f"at {env['MASTER_ADDR']}:{env['MASTER_PORT']}"
        remedy = "start them, or give a longer --wait"
    others = f"the other {count - 1} of {count} processes"
    lines = (f"waiting for {others} ({problem})", f"{others} ({problem}) did not come in {seconds:.0f} s: {remedy}")
    timers = [threading.Timer(seconds, end, [lines[1]])]
    if env.get("LOCAL_RANK", "0") in ("0", "-1"):
        timers.append(threading.Timer(min(NOTICE, seconds / 2), tell, [lines[0]]))
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
