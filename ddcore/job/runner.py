"""Runs a job: the data, then each stage, then the report; a failure stops only the stages that need its output."""

import contextlib
import os
import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ddcore.data import is_custom
from ddcore.errors import DDCoreError, require
from ddcore.job import screen
from ddcore.job.gpu import monitored
from ddcore.job.launch import Outcome, launch_command, run_logged
from ddcore.job.plan import Choices, Planned, plan
from ddcore.job.record import JobRecord
from ddcore.job.table import DIGITS, DatasetPlan
from ddcore.runtime import hold, inside, other_commits, wait_until_free
from ddcore.training import FIGURE, SCORES, publish, read_ledger

SCRIPTS = Path(__file__).parents[2] / "scripts"

# With these, glibc keeps freed memory instead of returning it and requesting it again at every training step: 10 to
# 20 % less time per step on two cores. Other C libraries ignore them.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "2000000000",
    "MALLOC_TRIM_THRESHOLD_": "8000000000",
    "MALLOC_TOP_PAD_": "268435456",
}


@dataclass(frozen=True)
class Place:
    """Where a job runs.

    Attributes:
        out: the job's folder.
        data: the folder of the data sets.
        cores: CPU cores to use.
        gpus: GPUs to use; 0 for a job on the CPU.
        terminal: descriptor of a terminal for progress bars, or None.
        scripts: the folder of the stages' programs.
        ledger: the ledger that test readings of finished stages are appended to, or None.
    """

    out: Path
    data: Path
    cores: int
    gpus: int = 0
    terminal: int | None = None
    scripts: Path = SCRIPTS
    ledger: Path | None = None


class Job:
    """A job and its state.

    Attributes:
        plans: its stages and results on each data set.
        record: its ``job.json``.
    """

    def __init__(
        self, plans: Sequence[DatasetPlan], choices: Choices, place: Place, say: Callable[[str], None]
    ) -> None:
        """Open a job; nothing is written yet.

        Args:
            plans: one per data set.
            choices: the options that decide the results.
            place: where it runs.
            say: called with each line for the user.

        Raises:
            UsageError: the folder holds a job with other choices.
            DDCoreError: its record is damaged.
        """
        self.plans, self.choices, self.place, self.say = list(plans), choices, place, say
        self.record = self._opened()

    def _opened(self) -> JobRecord:
        stages = plan(self.plans, self.choices, self.place.cores)
        return JobRecord(self.place.out, self.choices, str(self.place.data), stages, self.plans)

    def _left(self) -> list[Planned]:
        stages = self.record.planned.values()
        return [stage for stage in stages if not self.record.done(stage.name) or self.record.changed(stage)]

    def estimate(self) -> str:
        """Return the remaining work in words."""
        if not (left := self._left()):
            return f"all {len(self.record.planned)} stages are finished"
        return screen.outlook(left, self.place.cores, self.place.gpus)

    def run(self) -> bool:
        """Run every unfinished stage; return whether all stages and the report are complete.

        Raises:
            KeyboardInterrupt: the job was asked to stop; its record is written.
            DDCoreError: the job's folder cannot be written or is in use, its disk is too full, or the ledger is damaged
                or cannot be written.
        """
        if self.place.ledger is not None:
            read_ledger(self.place.ledger)
        self.lock = hold(self.place.out)  # until this object is gone
        self.record.write()
        self._check_disk()
        self.say(f"ddcore: {self.estimate()}; everything goes to {self.place.out}")
        try:
            complete = self._data()
            self._stages()
            reported = self._report()
        except KeyboardInterrupt:
            self.record.write()
            raise
        self._close()
        return complete and reported and all(self.record.done(name) for name in self.record.planned)

    def _check_disk(self) -> None:
        where, left = self.place.out, sum(stage.megabytes for stage in self._left())
        free = shutil.disk_usage(where).free / 1e6
        require(
            free >= left,
            f"{screen.size(left)} are needed in {where}, {screen.size(free)} are free: make room",
            DDCoreError,
        )

    def _data(self) -> bool:
        """Read or download the data of unfinished stages; return whether all are available.

        If none of the default data sets is, the job runs on digits instead.

        Raises:
            DDCoreError: the data set of ``--dataset`` is not available.
        """
        faults = {}
        for each in self.plans:
            # Custom data may have changed, even where every stage is finished.
            if not is_custom(each.dataset) and all(stage.dataset != each.dataset for stage in self._left()):
                continue
            self.say(f"data: {each.title}")
            program = str(self.place.scripts / "fetch_data.py")
            words = ["--dataset", each.address or each.dataset, "--record", str(self.record.data_record(each.dataset))]
            outcome = self._call(f"data-{each.dataset}", [sys.executable, program, *words])
            if outcome.code:
                faults[each.dataset] = outcome.error
        if not faults:
            return True
        reasons = "; ".join(dict.fromkeys(faults.values()))
        if self.choices.dataset is None and (len(faults) < len(self.plans) or DIGITS in self.plans):
            self.say(f"not run: {', '.join(faults)}, because {reasons}")
        elif self.choices.dataset is None:
            self.say(f"NO DATA: {reasons}. The same job runs on scikit-learn's digits instead, as a demonstration")
            self.plans.append(DIGITS)
            self.record = self._opened()
        for name, stage in self.record.planned.items():
            if stage.dataset in faults:
                self.record.update(name, "skipped", f"not run: {faults[stage.dataset]}")
        if self.choices.dataset is not None:
            raise DDCoreError(reasons)
        return False

    def _stages(self) -> None:
        planned = [
            each for name, each in self.record.planned.items() if self.record.stages[name]["status"] != "skipped"
        ]
        for number, stage in enumerate(planned, 1):
            title = f"[{number}/{len(planned)}] {stage.name}"
            missing = [need for need in stage.needs if not self.record.done(need)]
            changed = self.record.changed(stage)
            if self.record.done(stage.name) and not changed:
                commits = [each[:7] for folder in stage.folders for each in other_commits(self.place.out / folder)]
                at = f", at commit {', '.join(dict.fromkeys(commits))}" if commits else ""
                self.say(f"{title}: finished earlier{at}")
            elif missing:
                self.record.update(stage.name, "skipped", f"not run: needs {missing[0]}")
                self.say(f"{title}: not run, needs {missing[0]}")
            else:
                if changed:
                    self.say(f"{title}: made again, changed since: {', '.join(changed)}")
                    self._free(stage)
                    self.record.put_aside(stage.name)
                self.say(f"{title}: about {screen.duration(stage.estimate)}")
                self._stage(title, stage)
            self._publish(stage)

    def _stage(self, title: str, stage: Planned) -> None:
        gpus = self.place.gpus if stage.spread else min(self.place.gpus, 1)
        threads = max(1, self.place.cores // max(gpus, 1))
        script, arguments = self.place.scripts / f"{stage.program}.py", stage.arguments(self.place.out)
        command = launch_command(script, arguments, gpus=gpus, threads=threads)
        self._free(stage)
        with monitored() if gpus else contextlib.nullcontext(list[float]()) as samples:
            outcome = self._call(stage.name.replace("/", "-"), command, threads)
        if gpus:
            self.record.stages[stage.name]["gpu_utilisation"] = round(statistics.fmean(samples), 3) if samples else None
        status, peak = "failed" if outcome.code else "done", outcome.peak_memory_bytes
        self.record.update(stage.name, status, outcome.error, outcome.seconds, peak)
        cost = f"{screen.duration(outcome.seconds)}, at most {peak / 1e9:.2f} GB of memory"
        self.say(f"{title}: {f'FAILED: {outcome.error}' if outcome.code else f'done in {cost}'}")

    def _publish(self, stage: Planned) -> None:
        """Append the test readings of a finished stage to the ledger, if one was asked for; earlier ones stay."""
        folder = self.place.out / stage.name
        if self.record.done(stage.name) and (folder / SCORES).exists():
            publish(self.place.ledger, folder, FIGURE)

    def _free(self, stage: Planned) -> None:
        """Wait until nothing uses a stage's folders: a stage of a job that was killed ends some seconds after it."""
        for folder in stage.folders:
            wait_until_free(self.place.out / folder)

    def _report(self) -> bool:
        self.record.write()
        out = self.place.out
        command = [sys.executable, str(self.place.scripts / "make_report.py"), str(out), "--out", str(out / "report")]
        outcome = self._call("report", command)
        if outcome.code:
            self.say(f"report FAILED: {outcome.error}")
        return outcome.code == 0

    def _call(self, log: str, command: list[str], threads: int | None = None) -> Outcome:
        """Run a command with the folders and threads of this job; variables that the user has set stay."""
        environment = {
            **{name: os.environ.get(name, value) for name, value in KEEP_MEMORY.items()},
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(threads or self.place.cores),
            "DDCORE_DATA": str(self.place.data.absolute()),
            "DDCORE_CACHE": str((self.place.out / "cache").absolute()),
        }
        return run_logged(command, environment, inside(self.place.out, f"logs/{log}.log"), self.place.terminal)

    def _close(self) -> None:
        """Print the results and the failures."""
        lines = screen.summary(self.record, self.plans)
        toy = "These are toy sizes (--quick) that only check every stage; the goals are for the full job."
        lines += [toy] if self.choices.quick else []
        entries = [self.record.stages[name] for name in self.record.planned]
        lines += [f"FAILED: {entry['name']}: {entry['error']}" for entry in entries if entry["status"] == "failed"]
        page = self.place.out / "report" / "report.html"
        lines += [f"report: {page}"] if page.exists() else []
        for line in lines:
            self.say(line)


def preview(plans: Sequence[DatasetPlan], choices: Choices, place: Place, *, commands: bool) -> list[str]:
    """Return the stages of a job in lines of text; its folder is not looked at, so all stages are still to run.

    Args:
        plans: one per data set.
        choices: the options that decide the results.
        place: where it would run.
        commands: whether to show each stage's command line.
    """
    stages = plan(plans, choices, place.cores)
    work = screen.outlook(stages, place.cores, place.gpus)
    return [*screen.stage_list(stages, place.out, commands=commands), work]


def in_folder(place: Place) -> Place:
    """Return the place with its folder relative to the current one, so that a resumed job has the same paths."""
    out = place.out.absolute()
    return replace(place, out=out.relative_to(Path.cwd())) if out.is_relative_to(Path.cwd()) else place
