"""The processes that share a piece of work."""

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Union

import torch

from ddcore.errors import UsageError
from ddcore.runtime.launcher import check_engine
from ddcore.runtime.machine import available_cores, bind

if TYPE_CHECKING:
    from accelerate import Accelerator


@dataclass(frozen=True)
class Alone:
    """One process that shares its work with no other one."""

    device: torch.device = torch.device("cpu")
    num_processes: int = field(default=1, init=False)
    process_index: int = field(default=0, init=False)
    is_main_process: bool = field(default=True, init=False)

    def wait_for_everyone(self) -> None:
        """Return at once."""

    def main_process_first(self) -> AbstractContextManager[None]:
        return nullcontext()


Processes = Union["Accelerator", Alone]
"""The processes that share a piece of work; their number, this one's, its device, and how they wait for one another."""


def open_processes(waiting: AbstractContextManager[None] | None = None) -> Processes:
    """Return the processes of this run, as accelerate's launcher started them.

    They wait for one another however long one of them works alone; `ddcore.runtime.watchdog` notices when one of them
    has ended. Without GPUs each process has its own cores and, unless OMP_NUM_THREADS decides, no more threads than
    those: in a container's share of a large machine they would otherwise spend their time waiting for one another.

    Args:
        waiting: in which they wait for one another to start, such as `ddcore.runtime.launcher.arrival`.

    Raises:
        UsageError: the launcher asks for an engine or a precision that ddcore does not use, or its variables do not
            fit together.
    """
    check_engine()
    from accelerate import Accelerator
    from accelerate.utils import InitProcessGroupKwargs

    with waiting or nullcontext():
        try:
            accelerator = Accelerator(kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(days=30))])
        except ValueError as error:
            line = " ".join(str(error).split())
            raise UsageError(f"the environment has WORLD_SIZE, but no launcher's other variables: {line}") from error
    if accelerator.device.type == "cpu":
        count = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        share = max(1, available_cores() // count)
        bind(accelerator.local_process_index, count)
        if "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(min(torch.get_num_threads(), share))
    return accelerator
