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
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ddcore.data import Task
from ddcore.errors import DDCoreError
from ddcore.runtime import (
    Checkpoints,
    Exchange,
    Progress,
    Run,
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
    shifted,
    waiting,
    write_atomic,
)
from ddcore.sets import DistilledSet, grid_png
from ddcore.synthesis.contract import GradientMethod, Part, StagedMethod, Synthesis, Unrolling
from ddcore.training import Teacher

if TYPE_CHECKING:
    from accelerate import Accelerator

CHECKPOINT = "checkpoint.safetensors"
SKIPS = 10


def distill(
    method: Any,
    name: str,
    task: Task,
    budget: int,
    teacher: Teacher | None,
    run: Run,
    seed: int,
    accelerator: "Accelerator",
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> DistilledSet:
    """Synthesise a small set.

    Args:
        method: one of `ddcore.methods.METHODS`, with its options.
        name: what it is called there.
        task: the data set.
        budget: members in all.
        teacher: needed by methods that say so.
        run: the run folder; a checkpoint in it is continued.
        seed: of all draws.
        accelerator: gives the device and the processes.
        progress: called with steps done, steps in all, and values: ``loss``, ``validation`` (best so far, a
            fraction) and ``seconds_left`` among them.
        say: called with a line for a person to read, such as what the run will cost.

    Returns:
        The state with the best validation accuracy, the one that it began with included; the same on every process.

    Raises:
        DDCoreError: `SKIPS` steps gave gradients that are not finite (the last good state is kept in the run
            folder), or the run folder cannot be read or written.
    """
    if isinstance(method, GradientMethod):
        synthesis = method.start(task, budget, teacher, seed, accelerator.device)
        _tell_waiting(name, method, synthesis, accelerator, say)
        made = Loop(method, synthesis, run, seed, accelerator, progress, say).run_all()
    elif isinstance(method, StagedMethod):
        made = _in_stages(method, name, task, budget, teacher, run, seed, accelerator, progress, say)
    else:
        made = method.run(task, budget, teacher, seed, accelerator.device, progress)
    made.method = name
    return made


def _in_stages(
    method: StagedMethod,
    name: str,
    task: Task,
    budget: int,
    teacher: Teacher | None,
    run: Run,
    seed: int,
    accelerator: "Accelerator",
    progress: Progress | None,
    say: Callable[[str], None] | None,
) -> DistilledSet:
    """Run every stage that is still to be run; what a stage made is kept in ``stage-K/``."""
    made: DistilledSet | None = None
    sizes = method.stages(task, budget)
    methods = [method.of_stage(size, sizes[-1]) for size in sizes]
    taken = [0, *itertools.accumulate(each.steps for each in methods)]
    for stage, own in enumerate(methods):
        folder = run.folder / f"stage-{stage}"
        if not (folder / "set.json").exists():
            synthesis = own.start_stage(stage, made, task, budget, teacher, seed, accelerator.device)
            _tell_waiting(name, own, synthesis, accelerator, say)
            shown = shifted(progress, taken[stage], taken[-1])
            stage_made = Loop(own, synthesis, run, seed, accelerator, shown, say).run_all()
            if accelerator.is_main_process:
                stage_made.save(folder)
            accelerator.wait_for_everyone()
            forget_checkpoint(run)
            accelerator.wait_for_everyone()
        made = DistilledSet.load(folder)
    assert made is not None
    return made


def _tell_waiting(
    name: str, method: Any, synthesis: Synthesis, accelerator: "Accelerator", say: Callable[[str], None] | None
) -> None:
    if (
        say is not None
        and accelerator.num_processes > 1
        and (line := waiting(method, synthesis, accelerator.num_processes))
    ):
        say(f"{name}: {line}")


def forget_checkpoint(run: Run) -> None:
    """Remove the checkpoints of a run whose set has been written."""
    if run.main:
        Checkpoints(run.folder / CHECKPOINT, "").forget()


class Loop:
    """One gradient-driven run: what it has reached, and how it goes on."""

    def __init__(
        self,
        method: GradientMethod | StagedMethod,
        synthesis: Synthesis,
        run: Run,
        seed: int,
        accelerator: "Accelerator",
        progress: Progress | None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.say = say
        self.method, self.synthesis, self.run, self.seed = method, synthesis, run, seed
        self.accelerator, self.progress = accelerator, progress
        self.exchange = Exchange(accelerator)
        self.variables = {k: v for group in synthesis.groups.values() for k, v in group.variables.items()}
        self.first = {k: torch.zeros_like(v) for k, v in self.variables.items()}
        self.second = {k: torch.zeros_like(v) for k, v in self.variables.items()}
        self.step = self.skipped = 0
        self.checked = -1
        self.kept: tuple[int, int] | None = None
        self.first_score, self.best_score, self.best_step = -1.0, -1.0, 0
        self.best: dict[str, Tensor] = {}
        label = json.dumps([repr(method), seed, len(synthesis.decode())])
        self.checkpoints = Checkpoints(run.folder / CHECKPOINT, label, run.interval)

    def run_all(self) -> DistilledSet:
        """Take every step that is still to be taken and return the best set.

        Raises:
            Stopped: the run was asked to stop; the last whole state is kept.
            DDCoreError: as `distill`.
        """
        variables = self.variables.values()
        state = (value for value in self.state_dict().values() if isinstance(value, Tensor))
        check_room(
            needs(state, variables, len(self.synthesis.shards(0)), self.method.checks + 1),
            self.run.folder,
            self.accelerator.device,
        )
        with deferred():
            if not self.checkpoints.restore(self.load_state_dict) and isinstance(self.synthesis, Unrolling):
                self.choose_mode(self.synthesis)
            self._go_on()
            self._keep()
            written = {"checkpoints": self.checkpoints.written, "checkpoint_seconds": self.checkpoints.seconds}
            self.run.log(self.step, **written)
        for k, variable in self.variables.items():
            variable.data.copy_(self.best[k])
        made = self.synthesis.decode()
        made.provenance |= {"outer_step": self.best_step, "validation_accuracy": self.best_score}
        made.provenance["validation_accuracy_at_start"] = self.first_score
        return made

    def _go_on(self) -> None:
        began, first, marks = time.monotonic(), self.step, {0, *self._check_steps()}
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
            if self.step == first + 2 and self.say is not None:  # the first step also compiles and fills caches
                checks = sum(mark >= self.step for mark in marks)
                seconds = took * (self.method.steps - self.step) + checked * checks
                self.say(outlook(seconds, self.run.folder, self.accelerator.device))
            stopped = any(self.exchange.words)
            if self.progress is not None:
                left = (time.monotonic() - began) / (self.step - first) * (self.method.steps - self.step)
                shown = {**values, "validation": self.best_score, "seconds_left": round(left)}
                self.progress(self.step, self.method.steps, shown)
            if stopped or self.checkpoints.due(self.step):
                self._keep()
            if stopped:
                self.accelerator.wait_for_everyone()
                answer()
                raise Stopped(signal.SIGTERM)  # this process was not asked, another one was

    def choose_mode(self, synthesis: Unrolling) -> None:
        """Let the main process measure what a meta-gradient costs; all take the mode that it finds best."""
        found = agreed(synthesis.forecast() if self.accelerator.is_main_process else None, self.accelerator)
        assert found is not None
        synthesis.mode = found.mode
        self.run.log(0, estimated_bytes=found.bytes, estimated_seconds=round(found.seconds, 4))
        if self.say is not None:
            self.say(f"{found}, {self.method.steps} outer steps")

    def advance(self) -> dict[str, float]:
        """Take one outer step and return its values, averaged over the shards."""
        shards = self.synthesis.shards(self.step)
        mine = [(k, self.synthesis.gradient(shards[k])) for k in self.exchange.mine(len(shards))]
        found = self.exchange.gathered([_share(k, part) for k, part in mine], asked())
        parts = [_part(share) for share in found]
        total = {k: torch.zeros_like(v) for k, v in self.variables.items()}
        for part in parts:
            for k, gradient in part.gradients.items():
                total[k] += gradient.to(total[k].device) / len(parts)
        values = {k: sum(part.values[k] for part in parts) / len(parts) for k in parts[0].values}
        if not all(math.isfinite(value) for value in values.values()) or not all(
            bool(gradient.isfinite().all()) for gradient in total.values()
        ):
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
        """Move the variables: Adam (Kingma & Ba 2015), its rate warmed up and then let down along a cosine."""
        count = self.step + 1
        share = min(1.0, count / 10) * 0.5 * (1 + math.cos(math.pi * self.step / self.method.steps))
        for group in self.synthesis.groups.values():
            for k, variable in group.variables.items():
                self.first[k].lerp_(gradients[k], 0.1)
                self.second[k].lerp_(gradients[k].square(), 0.01)
                mean = self.first[k] / (1 - 0.9**count)
                square = self.second[k].mean() if group.together else self.second[k]
                size = (square / (1 - 0.99**count)).sqrt()
                variable -= group.rate * share * mean / (size + 1e-12)

    def _check_steps(self) -> set[int]:
        return {round(self.method.steps * (k + 1) / self.method.checks) for k in range(self.method.checks)}

    def check(self) -> None:
        """Validate the present set and remember it if it is the best so far."""
        mine = self.exchange.mine(self.method.check_networks)
        scores = self.exchange.gathered([Share(k, {}, self.synthesis.score(k)) for k in mine])
        score = sum(share.rest for share in scores) / len(scores)
        self.run.log(self.step, validation=score)
        self._draw()
        if not self.best:
            self.first_score = score
        if score > self.best_score:
            # In this order: a stop in between leaves a state from which the same validation ends with the same best.
            self.best = {k: v.detach().clone() for k, v in self.variables.items()}
            self.best_step = self.step
            self.best_score = score
        self.checked = self.step

    def _draw(self) -> None:
        """Add a grid of the present images to the run folder, so that a person sees them change."""
        made = self.synthesis.decode()
        if self.accelerator.is_main_process and made.kind == "images":
            write_atomic(self.run.folder / "images" / f"{len(made)}-{self.step:06d}.png", grid_png(made))

    def state_dict(self) -> State:
        """Return all state of the run that changes."""
        state = {f"synthesis.{k}": v for k, v in self.synthesis.state_dict().items()}
        for name in ("first", "second", "best"):
            state |= {f"{name}.{k}": v for k, v in getattr(self, name).items()}
        progress = [self.step, self.best_step, self.best_score, self.skipped, self.first_score, self.checked]
        return state | {"progress": torch.tensor(progress, dtype=torch.float64)}

    def load_state_dict(self, state: State) -> None:
        """Put such a state in place."""
        parts: dict[str, dict[str, Tensor]] = {"synthesis": {}, "first": {}, "second": {}, "best": {}}
        for name, tensor in state.items():
            head, _, rest = name.partition(".")
            if head in parts:
                parts[head][rest] = tensor
        self.synthesis.load_state_dict(parts["synthesis"])
        for name in ("first", "second", "best"):
            device = {k: v.device for k, v in self.variables.items()}
            setattr(self, name, {k: v.to(device[k]) for k, v in parts[name].items()})
        step, best_step, self.best_score, skipped, self.first_score, checked = state["progress"].tolist()
        self.step, self.best_step, self.skipped, self.checked = int(step), int(best_step), int(skipped), int(checked)
        self.kept = self.step, self.checked

    def _keep(self) -> None:
        """Write a checkpoint, unless the last one holds this very state."""
        if self.accelerator.is_main_process and self.kept != (self.step, self.checked):
            self.kept = self.step, self.checked
            self.checkpoints.keep(self.step, self.state_dict())
            self.run.pause()


def _share(number: int, part: Part) -> Share:
    tensors = {f"gradients.{k}": v for k, v in part.gradients.items()}
    return Share(number, tensors | {f"update.{k}": v for k, v in part.update.items()}, part.values)


def _part(share: Share) -> Part:
    found: dict[str, dict[str, Tensor]] = {"gradients": {}, "update": {}}
    for name, tensor in share.tensors.items():
        head, _, rest = name.partition(".")
        found[head][rest] = tensor
    return Part(found["gradients"], share.rest, found["update"])
