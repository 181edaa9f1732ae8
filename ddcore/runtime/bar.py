"""A progress bar, in a terminal or a notebook, that also keeps the values in the run's log."""

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ddcore.runtime.estimates import outlook
from ddcore.runtime.logs import LOG
from ddcore.runtime.machine import peak_memory
from ddcore.runtime.session import Session

if TYPE_CHECKING:
    from tqdm import tqdm

EVERY = 10.0
"""Seconds between two entries of the log."""


@dataclass
class Bar:
    """A progress callback: it moves a bar on the main process and, every `EVERY` seconds, logs the values.

    Attributes:
        title: of the work.
        session: whose run takes the values, and which hears what the whole work takes.
        ahead: also say once, `EVERY` seconds after the first step, what the whole work takes.
    """

    title: str
    session: Session
    ahead: bool = False
    _bar: "tqdm | None" = field(default=None, init=False)
    _last: float = field(default_factory=time.monotonic, init=False)
    _first: tuple[int, float] | None = field(default=None, init=False)

    def __call__(self, step: int, total: int, values: dict[str, float]) -> None:
        """Show a step of `total`, with its values."""
        now, run = time.monotonic(), self.session.run
        begin, began = self._first = self._first or (step, now)
        if self.ahead and run is not None and step > begin and now - began >= EVERY:
            self.ahead = False
            seconds = (now - began) / (step - begin) * (total - step)
            self.session.tell(outlook(seconds, run.folder, self.session.device))
        bar = self._shown(step, total)
        if step < bar.n:  # another pass begins
            bar.reset()
        bar.total = total
        bar.update(step - bar.n)
        texts = beside_bar(values)
        bar.set_postfix(texts, refresh=False)
        if values and (now - self._last > EVERY or step >= total):
            self._last = now
            line = ", ".join(f"{name} {value}" for name, value in texts.items())
            LOG.info("%s: step %d of %d, %s", self.title, step, total, line)
            if run is not None:
                run.log(step, **values)

    def _shown(self, step: int, total: int) -> "tqdm":
        if self._bar is None:
            # Steps of an earlier call say nothing about the rate; a notebook's bar keeps the total that it begins with.
            first = max(0, step - 1)
            self._bar = open_bar(self.session, total=total, initial=first, desc=self.title, unit="step")
        return self._bar


def shown(title: str, session: Session, *, ahead: bool = False) -> Session:
    """Return the session with a bar, see `Bar`."""
    return replace(session, progress=Bar(title, session, ahead))


def passing(parts: Iterable[Tensor], total: int, session: Session, title: str = "members") -> Iterator[Tensor]:
    """Give the parts of one pass over many members, under a bar with the time left if the session shows progress.

    Args:
        parts: a row for each member.
        total: members in all.
        session: whose main process shows the bar, in a terminal or a notebook.
        title: of the bar.
    """
    if session.progress is None:
        yield from parts
        return
    bar = open_bar(session, total=total, desc=title, unit="member")
    for part in parts:
        yield part
        bar.update(len(part))
    bar.close()


def open_bar(session: Session, **options: Any) -> "tqdm":
    """Return a bar that the main process shows in a terminal or a notebook, and nobody else."""
    from tqdm.auto import tqdm

    # None shows it in a terminal only; a notebook's streams are no terminal.
    hidden = (False if "ipykernel" in sys.modules else None) if session.main else True
    return tqdm(disable=hidden, leave=False, **options)


def beside_bar(values: dict[str, float]) -> dict[str, str]:
    """Return the texts beside the bar, which shows the rate and the time left itself: values and peak memory."""
    texts = {name: f"{value:.4g}" for name, value in values.items() if name != "seconds_left"}
    peaks = peak_memory()
    for name, bytes_ in (("memory", peaks["peak_memory_bytes"]), ("GPU", peaks["peak_gpu_memory_bytes"])):
        if bytes_ is not None:
            texts[name] = f"{bytes_ / 1e9:.2f} GB"
    return texts
