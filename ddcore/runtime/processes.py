"""The processes that share a piece of work."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

import torch


class Processes(Protocol):
    """The processes that share a piece of work; accelerate's ``Accelerator`` is one, `Alone` another."""

    @property
    def num_processes(self) -> int: ...

    @property
    def process_index(self) -> int: ...

    @property
    def is_main_process(self) -> bool: ...

    @property
    def device(self) -> torch.device: ...

    def wait_for_everyone(self) -> None: ...

    def main_process_first(self) -> AbstractContextManager[None]: ...


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
