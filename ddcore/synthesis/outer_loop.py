"""The one outer loop around every method that follows gradients.

A method says what one step is made of; this file spreads the parts over the accelerator's processes, adds their
gradients in the order of the parts, moves the variables, keeps the best state by validation, and writes checkpoints
from which an interrupted run goes on as if nothing had happened.
"""

import itertools
import json
import math
import signal
import time
from dataclasses import replace

import torch
from torch import Tensor

from ddcore.errors import DDCoreError
from ddcore.options import flat
from ddcore.problem import Problem
from ddcore.runtime import (
    Checkpoints,
    JSONObject,
    Run,
    Session,
    Share,
    State,
    Stopped,
    agreed,
    answer,
    asked,
    check_room,
    deferred,
    needs,
    outlook,
    packed,
    shifted,
    under,
    write_atomic,
)
from ddcore.sets import DistilledSet, grid_png
from ddcore.synthesis.contract import Method, Part, Synthesis
from ddcore.synthesis.idle import idle_line
from ddcore.synthesis.multi_formation import begun
from ddcore.synthesis.sizes import settle_chunk
from ddcore.synthesis.validation import Watch, lessened
from ddcore.training import inputs_of

CHECKPOINT = "checkpoint.safetensors"
SKIPS = 10


def distilled_set(method: Method, problem: Problem, session: Session) -> DistilledSet:
    """Synthesise a small set in the session's run folder; a checkpoint there is resumed.

    The session's progress is called with steps done, steps in all, and values: ``loss``, ``validation`` (best so far, a
    fraction) and ``seconds_left`` among them.

    Args:
        method: with its options.
        problem: what is asked for.
        session: the run folder and the processes.

    Returns:
        The state with the best validation accuracy, the one that it began with included; the same on every process.

    Raises:
        UsageError: the method cannot start: the line says what is missing.
        DDCoreError: `SKIPS` steps gave gradients that are not finite (the last good state is kept in the run
            folder), or the run folder cannot be read or written.
    """
    sizes = method.stages(problem)
    stages = [method.of_stage(size, sizes[-1]) for size in sizes]
    if len(stages) == 1:
        return run_stage(begun(stages[0], problem, session), session)
    steps = [0, *itertools.accumulate(stage.steps for stage in stages)]
    small: DistilledSet | None = None
    for number, stage in enumerate(stages):
        folder = session.folder / f"stage-{number}"
        if not (folder / "set.json").exists():
            part = replace(session, progress=shifted(session.progress, steps[number], steps[-1]))
            whole = run_stage(begun(stage, problem, part, number, small), part)
            if session.main:
                whole.save(folder)
            session.wait()
            forget_checkpoint(session)
            session.wait()
        small = DistilledSet.load(folder)
    assert small is not None
    return small


def run_stage(synthesis: Synthesis, session: Session) -> DistilledSet:
    """Take all steps of a stage and return its best set; a set without variables is returned as it is."""
    if not synthesis.groups:
        return synthesis.decode()
    processes = session.processes.num_processes
    if processes > 1 and (line := idle_line(synthesis, processes)):
        session.tell(f"{synthesis.method.name}: {line}")
    return Loop(synthesis, session).run_all()


def forget_checkpoint(session: Session) -> None:
    """Remove the checkpoints of a run whose set has been written."""
    if session.main:
        Checkpoints(session.folder / CHECKPOINT, "").forget()


class Loop:
    """One gradient-driven run: what it has reached, and how it goes on."""

    def __init__(self, synthesis: Synthesis, session: Session) -> None:
        self.synthesis, self.session = synthesis, session
        self.method, self.run, self.exchange = synthesis.method, session.run or Run(session.folder), session.exchange
        self.variables = synthesis.variables
        self.first = {k: torch.zeros_like(v) for k, v in self.variables.items()}
        self.second = {k: torch.zeros_like(v) for k, v in self.variables.items()}
        self.step = self.skipped = 0
        self.checked = -1
        self.written: tuple[int, int] | None = None
        self.first_score, self.best_score, self.best_step = -1.0, -1.0, 0
        self.best: dict[str, Tensor] = {}
        problem = synthesis.problem
        label = json.dumps([repr(self.method), problem.seed, len(synthesis.decode())])
        inputs = json.dumps(inputs_of(problem.task, {**flat(self.method), "teacher": problem.teacher}))
        self.checkpoints = Checkpoints(self.run.folder / CHECKPOINT, label, self.run.interval, inputs)
        price = synthesis.price()
        self.validation = self.method.validation if price is None else self.method.validation.priced(price)
        synthesis.validation = self.validation
        self.watch = Watch(session, self.validation, price)

    def run_all(self) -> DistilledSet:
        """Take every step that is still to be taken and return the best set.

        Raises:
            Stopped: the run was asked to stop; the last whole state is kept.
            DDCoreError: as `distilled_set`.
        """
        state = self.state_dict().values()
        pictures = self.validation.validations + 1
        need = needs(state, self.variables.values(), len(self.synthesis.shards(0)), pictures)
        check_room(need, self.run.folder, self.session.device)
        settle_chunk(self.synthesis, need.memory, self.run.folder, self.session, resumed=self.checkpoints.there)
        if line := lessened(self.method.validation, self.validation):
            self.session.tell(f"{self.method.name}: {line}")
        with deferred():
            if not self.checkpoints.restore(self.load_state_dict):
                self.choose_mode()
            self._go_on()
            self._keep()
            self.run.log(self.step, checkpoints=self.checkpoints.written, checkpoint_seconds=self.checkpoints.seconds)
        for k, variable in self.variables.items():
            variable.data.copy_(self.best[k])
        notes: JSONObject = {"outer_step": self.best_step}
        if self.validation.networks:
            notes |= {"validation_accuracy": self.best_score, "validation_accuracy_at_start": self.first_score}
        return self.synthesis.decode(notes)

    def _go_on(self) -> None:
        began, first, marks = time.monotonic(), self.step, self._marks()
        checked = 0.0
        while True:
            if self.step in marks and self.checked < self.step:
                last = time.monotonic()
                try:
                    self.check()
                except Stopped:
                    # A validation changes the state with its last lines only: it will be made again.
                    self._keep()
                    raise
                checked = time.monotonic() - last
            last = time.monotonic()
            if self.step >= self.method.steps:
                return
            values, took = self.advance(), time.monotonic() - last
            if self.step == first + 2:  # the first step also compiles and fills caches
                validations = sum(mark >= self.step for mark in marks)
                seconds = took * (self.method.steps - self.step) + checked * validations
                self.session.tell(outlook(seconds, self.run.folder, self.session.device))
            stopped = any(self.exchange.words)
            if self.session.progress is not None:
                left = (time.monotonic() - began) / (self.step - first) * (self.method.steps - self.step)
                best = {"validation": self.best_score} if self.validation.networks else {}
                shown = {**values, **best, "seconds_left": round(left)}
                self.session.progress(self.step, self.method.steps, shown)
            if stopped or self.checkpoints.due(self.step):
                self._keep()
            if stopped:
                self.session.wait()
                answer()
                raise Stopped(signal.SIGTERM)  # this process was not asked, another one was

    def choose_mode(self) -> None:
        """Let the main process measure what a meta-gradient costs; all take the mode that it finds best."""
        estimate = agreed(self.synthesis.forecast() if self.session.main else None, self.session.processes)
        if estimate is not None:
            self.synthesis.mode = estimate.mode
            self.run.log(0, estimated_bytes=estimate.bytes, estimated_seconds=round(estimate.seconds, 4))
            self.session.tell(f"{estimate}, {self.method.steps} outer steps")

    def advance(self) -> dict[str, float]:
        """Take one outer step and return its values, averaged over the shards."""
        shards = self.synthesis.shards(self.step)
        mine = self.exchange.mine(len(shards))
        found = self.synthesis.gradients([shards[k] for k in mine])
        shares = [_share(*each) for each in zip(mine, found, strict=True)]
        parts = [_part(share) for share in self.exchange.gathered(shares, asked())]
        total = {k: torch.zeros_like(v) for k, v in self.variables.items()}
        for part in parts:
            for k, gradient in part.gradients.items():
                total[k].add_(gradient.to(total[k].device), alpha=1 / len(parts))
        values = {k: sum(part.values[k] for part in parts) / len(parts) for k in parts[0].values}
        # The largest number of a gradient is not finite if any is not; they are read together.
        largest = torch.stack([gradient.abs().amax() for gradient in total.values()]).tolist()
        if not all(map(math.isfinite, [*values.values(), *largest])):
            self.skipped += 1
            if self.skipped >= SKIPS:
                self._keep()
                raise DDCoreError(
                    f"{self.skipped} outer steps were not finite, the last one step {self.step + 1} (loss "
                    f"{values['loss']}): the last good state is in {self.checkpoints.path}; lower the step sizes or "
                    "learning rates"
                )
            self.step += 1
            return {"skipped": self.skipped}
        self._move(total)
        for shard, part in zip(shards, parts, strict=True):
            self.synthesis.absorb(shard, part.update)
        self.step += 1
        return values

    @torch.no_grad()
    def _move(self, gradients: dict[str, Tensor]) -> None:
        """Move the variables: Adam (Kingma & Ba 2015), its rate warmed up and then let down along a cosine; or SGD."""
        count = self.step + 1
        share = min(1.0, count / 10) * 0.5 * (1 + math.cos(math.pi * self.step / self.method.steps))
        for group in self.synthesis.groups.values():
            first, second = group.newest
            for k, variable in group.variables.items():
                if group.momentum is not None:
                    self.first[k].mul_(group.momentum).add_(gradients[k])
                    variable -= group.rate * self.first[k]
                    continue
                self.first[k].lerp_(gradients[k], first)
                self.second[k].lerp_(gradients[k].square(), second)
                mean = self.first[k] / (1 - (1 - first) ** count)
                square = self.second[k].mean() if group.together else self.second[k]
                size = (square / (1 - (1 - second) ** count)).sqrt()
                variable -= group.rate * share * mean / (size + 1e-12)
                if group.bounds is not None:
                    variable.clamp_(*group.bounds)

    def _marks(self) -> set[int]:
        """Return the steps before which the set is validated."""
        count = self.validation.validations
        return {round(self.method.steps * k / count) for k in range(count + 1)}

    def check(self) -> None:
        """Validate the present set and remember it if it is the best so far."""
        score = self._score() if self.validation.networks else None
        self._draw()
        if score is not None and not self.best:
            self.first_score = score
        if score is None or score > self.best_score:
            # In this order: a stop in between leaves a state from which the same validation ends with the same best.
            self.best = {k: v.detach().clone() for k, v in self.variables.items()}
            self.best_step = self.step
            self.best_score = self.best_score if score is None else score
        self.checked = self.step

    def _score(self) -> float:
        """Return the mean validation accuracy of the fresh networks, a fraction."""
        shares, mine = [], self.exchange.mine(self.validation.networks)
        left = sum(mark >= self.step for mark in self._marks())
        for place, k in enumerate(mine):
            self.synthesis.progress = show = self.watch.progress(place, len(mine), left)
            shares.append(Share(k, {}, self.synthesis.score(k)))
            show(self.validation.units, self.validation.units, {})
        scores = self.exchange.gathered(shares)
        score: float = sum(share.rest for share in scores) / len(scores)
        self.run.log(self.step, validation=score)
        return score

    def _draw(self) -> None:
        """Add a grid of the present images to the run folder, so that a person sees them change."""
        small = self.synthesis.decode()
        if self.session.main and small.kind == "images":
            write_atomic(self.run.folder / "images" / f"{len(small)}-{self.step:06d}.png", grid_png(small))

    def state_dict(self) -> State:
        """Return all state of the run that changes."""
        progress = [self.step, self.best_step, self.best_score, self.skipped, self.first_score, self.checked]
        moments = {"first": self.first, "second": self.second, "best": self.best}
        state = packed({"synthesis": self.synthesis.state_dict(), **moments})
        return state | {"progress": torch.tensor(progress, dtype=torch.float64)}

    def load_state_dict(self, state: State) -> None:
        """Put such a state in place."""
        self.synthesis.load_state_dict(under("synthesis", state))
        self.first, self.second, self.best = (
            {k: v.to(self.variables[k].device) for k, v in under(part, state).items()}
            for part in ("first", "second", "best")
        )
        step, best_step, self.best_score, skipped, self.first_score, checked = state["progress"].tolist()
        self.step, self.best_step, self.skipped, self.checked = int(step), int(best_step), int(skipped), int(checked)
        self.written = self.step, self.checked

    def _keep(self) -> None:
        """Write a checkpoint, unless the last one holds this very state."""
        if self.session.main and self.written != (self.step, self.checked):
            self.written = self.step, self.checked
            self.checkpoints.keep(self.step, self.state_dict())
            self.run.pause()


def _share(number: int, part: Part) -> Share:
    return Share(number, packed({"gradients": part.gradients, "update": part.update}), part.values)


def _part(share: Share) -> Part:
    return Part(under("gradients", share.tensors), share.rest, under("update", share.tensors))
