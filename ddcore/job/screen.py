"""The lines of text that a job prints."""

from collections.abc import Sequence
from pathlib import Path

from ddcore.job.plan import Planned
from ddcore.job.record import JobRecord, reached
from ddcore.job.table import DatasetPlan


def duration(seconds: float) -> str:
    """Return a duration in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def size(megabytes: float) -> str:
    """Return an amount of disk in words."""
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def stage_list(stages: Sequence[Planned], out: Path, *, commands: bool) -> list[str]:
    """Return a table of the stages with their estimated time; with `commands` also their command lines.

    Args:
        stages: of the job.
        out: the job's folder, for the command lines; what it holds is not looked at.
        commands: whether to show them.
    """
    rows = [[stage.name, duration(stage.estimate), size(stage.megabytes)] for stage in stages]
    head, *shown = columns([["stage", "time", "disk"], *rows])
    words = [[f"    {' '.join(stage.command(out))}"] * commands for stage in stages]
    return [head, *(line for row, command in zip(shown, words, strict=True) for line in (row, *command))]


def outlook(stages: Sequence[Planned], cores: int, gpus: int) -> str:
    """Return the work of some stages in words: their number, the device, the expected time and disk."""
    device = f"{gpus} GPU(s)" if gpus else f"{cores} CPU cores"
    time, disk = sum(stage.estimate for stage in stages), sum(stage.megabytes for stage in stages)
    return f"{len(stages)} stages on {device}: about {duration(time)} and {size(disk)} of disk"


def summary(record: JobRecord, plans: Sequence[DatasetPlan]) -> list[str]:
    """Return the table of results that ends a job; seconds and memory are those of all stages that lead to a result."""
    met = {True: "yes", False: "NO", None: ""}
    table = [["result", "goal", "met", "reached", "time", "peak memory"]]
    for plan in plans:
        for result in plan.results:
            line = result.lines[0]
            words, reaches = reached(record, plan, line)
            stages = record.leading_to(f"{plan.dataset}/{line.stage}")
            seconds = sum(entry["seconds"] or 0.0 for entry in stages)
            peak = max((entry["peak_memory_bytes"] or 0 for entry in stages), default=0)
            costs = f"{seconds:.0f} s" if seconds else "", f"{peak / 1e9:.2f} GB" if peak else ""
            table.append([result.name, line.goal, met[reaches], words, *costs])
    return columns(table)
