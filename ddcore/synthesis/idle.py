"""Processes that a step has no work for."""

from ddcore.options import changed, options_of
from ddcore.synthesis.contract import Synthesis


def idle_line(synthesis: Synthesis, processes: int) -> str:
    """Return in one line how many processes will be idle, and the option that changes it; empty if none will be.

    Args:
        synthesis: whose method's options ``shards`` or ``networks`` may decide on the parts of a step.
        processes: how many share a step.
    """
    names = {each.name for each in options_of(type(synthesis.method))}

    def parts(name: str, count: int) -> int:
        return len(synthesis.with_options(changed(synthesis.method, {name: count})).shards(0))

    now = len(synthesis.shards(0))
    if now >= processes:
        return ""
    line = f"{now} part{'s' * (now > 1)} per step for {processes} processes: {processes - now} will be idle"
    for name in ("shards", "networks"):
        if name in names and parts(name, processes) >= processes:
            least = next(count for count in range(1, processes + 1) if parts(name, count) >= processes)
            return f"{line}; --{name} {least} uses them all"
    return line
