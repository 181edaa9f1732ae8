"""What a piece of work runs in: its folder, its processes, its sizes, and who is told about it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ddcore.errors import DDCoreError
from ddcore.runtime.files import JSONObject
from ddcore.runtime.gather import Exchange, Share
from ddcore.runtime.processes import Alone, Processes
from ddcore.runtime.progress import Progress
from ddcore.runtime.run_folder import Interval, Run


@dataclass(frozen=True)
class Session:
    """What a piece of work runs in. The default is one process on the CPU that writes nothing and tells nobody.

    Attributes:
        run: the run folder; None for work that needs none.
        processes: that share the work; they give the device.
        profile: ``cpu`` or ``gpu``: the sizes and schedules.
        quick: whether everything is cut to toy length.
        progress: called with steps done, steps in all, and values to show.
        say: called on the main process with a line for a person to read.
    """

    run: Run | None = None
    processes: Processes = Alone()
    profile: str = "cpu"
    quick: bool = False
    progress: Progress | None = None
    say: Callable[[str], None] | None = None

    @property
    def folder(self) -> Path:
        """The folder of the run.

        Raises:
            DDCoreError: the work has none.
        """
        if self.run is None:
            raise DDCoreError("this work needs a run folder")
        return self.run.folder

    @property
    def finished(self) -> bool:
        """Whether the run was completed, now or in an earlier call."""
        return self.run is not None and self.run.finished

    @property
    def device(self) -> torch.device:
        """Where to compute."""
        return self.processes.device

    @property
    def main(self) -> bool:
        """Whether this is the process that writes."""
        return self.processes.is_main_process

    @cached_property
    def exchange(self) -> Exchange:
        """What gathers the parts that the processes compute."""
        return Exchange(self.processes)

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.processes.wait_for_everyone()

    def tell(self, line: str) -> None:
        """Say a line on the main process, if somebody listens."""
        if self.say is not None and self.main:
            self.say(line)

    def write_every(self, interval: Interval) -> None:
        """Set when the run writes its state."""
        if self.run is not None:
            self.run.interval = interval

    def finish(self, result: JSONObject) -> None:
        """Finish the run, if there is one."""
        if self.run is not None:
            self.run.finish(result)

    def report(self, done: int, total: int) -> None:
        """Say how far the work is."""
        if self.progress is not None:
            self.progress(done, total, {})

    def each(self, count: int, work: Callable[[int], Tensor]) -> list[Tensor]:
        """Return what `work` gives for 0, 1 … `count` - 1, on the CPU, each computed by one of the processes."""
        mine = [Share(k, {"result": work(k).cpu()}) for k in self.exchange.mine(count)]
        return [share.tensors["result"] for share in self.exchange.gathered(mine)]
