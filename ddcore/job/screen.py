"""What a job says to a person, as lines of text."""

from collections.abc import Sequence

from ddcore.job.record import Reached, Record


def duration(seconds: float) -> str:
    """Write a length of time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def size(megabytes: float) -> str:
    """Write an amount of disk."""
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def cost(seconds: float, peak_memory_bytes: int) -> str:
    """Write what a finished stage took."""
    return f"{duration(seconds)}, at most {peak_memory_bytes / 1e9:.2f} GB of memory"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def stage_list(record: Record, *, commands: bool) -> list[str]:
    """Return the stages with what they took or are expected to take, and, if wanted, their command lines."""
    rows = [["stage", "time", "disk", "state"]]
    lines = []
    for name, planned in record.planned.items():
        entry = record.stages[name]
        done = entry["status"] == "done"
        spent = entry["seconds"] if done and entry["seconds"] else planned.estimate
        rows.append([name, duration(spent), size(planned.megabytes), "finished" if done else "to do"])
        lines.append(" ".join(["scripts/" + planned.words[0], *planned.arguments(record.out)]))
    shown = columns(rows)
    if not commands:
        return shown
    return [shown[0], *(line for pair in zip(shown[1:], lines, strict=True) for line in (pair[0], f"    {pair[1]}"))]


def summary(rows: Sequence[Reached]) -> list[str]:
    """Return the table of results that ends a job."""
    said = {True: "yes", False: "NO", None: ""}
    table = [["result", "goal", "met", "reached", "time", "peak memory"]]
    for row in rows:
        peak = f"{row.peak_memory_bytes / 1e9:.2f} GB" if row.peak_memory_bytes else ""
        time = f"{row.seconds:.0f} s" if row.seconds else ""
        table.append([row.name, row.goal, said[row.met], row.reached, time, peak])
    return columns(table)
