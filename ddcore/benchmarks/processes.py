"""Child processes of a benchmark, each of which prints its measurement as its last line."""

import os
import subprocess
from collections.abc import Mapping, Sequence

from ddcore.errors import DDCoreError


def last_lines(title: str, commands: Sequence[Sequence[str]], environments: Sequence[Mapping[str, str]]) -> list[str]:
    """Run commands at the same time and return the last line that each of them prints.

    Args:
        title: the subject of the message if one of them fails.
        commands: program and arguments.
        environments: variables of each, besides those of this process.

    Raises:
        DDCoreError: one of them failed.
    """
    processes = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )
        for command, environment in zip(commands, environments, strict=True)
    ]
    outputs = [process.communicate() for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        if process.returncode:
            reason = (errors.strip().splitlines() or ["no reason given"])[-1]
            raise DDCoreError(f"{title} failed (exit {process.returncode}): {reason}")
    return [output.splitlines()[-1] for output, _ in outputs]
