"""One call of a stage program: what was typed, the data set, the processes, the run folders."""

import begin
import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ddcore.data import Task, load_task, refuse_inside
from ddcore.runtime import LOG, Interval, Processes, Run, Session, log_to, set_aside, show_warnings, shown, tracker
from ddcore.training import inputs_of

QUICK_TRAIN, QUICK_TEST = 2000, 1000
# Options of place and display, which do not decide the result.
APART = ("out", "data", "fresh", "debug", "tracker", "wait", "ledger", "why")
Value = str | int | float | bool | list[str] | None


@dataclass(frozen=True)
class Call:
    """One call of a program.

    Attributes:
        stage: name of the program.
        args: what was typed.
        command: what a person types to repeat the call.
    """

    stage: str
    args: argparse.Namespace
    command: str

    @cached_property
    def processes(self) -> Processes:
        """The processes that share the work."""
        return begin.processes(self.args.wait)

    @property
    def main(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.processes.is_main_process

    @cached_property
    def whole(self) -> Task:
        """The data set of ``--dataset``, which must not hold ``--out``; loaded by the main process first."""
        refuse_inside(self.args.dataset, self.args.out)
        if self.main:
            show_warnings()
        session = shown("images", Session(None, self.processes, say=self.say))
        with self.processes.main_process_first():
            return load_task(self.args.dataset, self.args.data, session)

    @cached_property
    def task(self) -> Task:
        """The data set; ``--quick`` cuts it to toy size."""
        return self.whole.cut(QUICK_TRAIN, QUICK_TEST) if self.args.quick else self.whole

    @cached_property
    def profile(self) -> str:
        """``cpu`` or ``gpu``: what was asked for, otherwise what is there."""
        return str(self.args.profile or ("gpu" if self.processes.device.type == "cuda" else "cpu"))

    def session(
        self, title: str, folder: Path | None = None, apart: Sequence[str] = (), *, tested: bool = False, **more: Value
    ) -> Session:
        """Open the run folder with the options that decide the result, and return the session of the work there.

        `apart` names options that do not decide it, `more` replaces those typed, `tested` makes the test set an input.

        Raises:
            UsageError: the folder holds another run, or the tracker's package is missing.
            DDCoreError: the folder cannot be written.
        """
        skipped = {*APART, *apart, *more}
        typed = {name: value for name, value in vars(self.args).items() if name not in skipped and value is not None}
        typed = {name: str(value) if isinstance(value, Path) else value for name, value in typed.items()}
        content = {"content": self.task.content} if self.task.content else {}
        out, inputs = folder or self.args.out, inputs_of(self.whole, {**typed, **more}, tested=tested)
        with self.processes.main_process_first():
            if self.main and self.args.fresh and out.is_dir():
                set_aside(out)
            run = Run.start(out, self.stage, {**typed, **content, **more}, self.command, inputs, main=self.main)
        if not run.finished:
            log_to(run.folder, self.processes.process_index, self.processes.num_processes, self.command)
            if run.main:
                show_warnings()
        session = Session(self.tracked(run), self.processes, self.profile, self.args.quick, say=self.say)
        return shown(title, session, ahead=folder is None)

    def finished(self, session: Session) -> bool:
        """Return whether a run is finished, and say so."""
        if session.finished:
            self.say(f"{session.folder} is finished")
        return session.finished

    def sessions(
        self, title: str, apart: Sequence[str] = (), interval: Interval = Interval()
    ) -> Iterator[tuple[int, Session]]:
        """Open one session after another, for each of ``--seeds`` sets; each writes its state at the interval."""
        for seed in range(self.args.seed, self.args.seed + self.args.seeds):
            folder = self.args.out if self.args.seeds == 1 else self.args.out / f"seed-{seed}"
            session = self.session(title, folder, apart, profile=self.profile, seed=seed)
            session.write_every(interval)
            yield seed, session

    def tracked(self, run: Run) -> Run:
        """Return a run that shows what it logs to the tracker that was asked for."""
        if self.args.tracker and run.main and not run.finished:
            run.tracker = tracker(self.args.tracker, run.folder)
        return run

    def say(self, line: str) -> None:
        """Print one line on the main process, above any bar, and keep it in the log."""
        if self.main:
            from tqdm import tqdm

            tqdm.write(line)
            LOG.info("%s", line)
