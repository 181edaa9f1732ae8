"""Experts: networks trained on the real set by plain gradient descent, with the points that they pass on the way.

A folder of ``train_experts.py`` holds ``expert-000.safetensors`` … with ``theta`` ``(E + 1, P)`` float32, the
parameters before the first step and then every so many steps, and ``experts.json``, written when all are trained.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional as F

from ddcore.data import Task
from ddcore.draws import batches, generator
from ddcore.errors import DDCoreError, UsageError
from ddcore.nets import build_net, net_name
from ddcore.options import option
from ddcore.runtime import (
    Checkpoints,
    Progress,
    answer,
    asked,
    check_space,
    deferred,
    read_json,
    save_tensors,
    shifted,
    write_json,
)
from ddcore.runtime import State as Kept
from ddcore.training.loop import augmented, predict
from ddcore.training.recipes import Changes, image_recipe
from ddcore.unroll import MICRO, Flat, State, Step, Training, train
from kernels import Rule

if TYPE_CHECKING:
    from accelerate import Accelerator

RECORD = "experts.json"
CHUNK = 20
REMEDY = "train the experts again with --fresh"


@dataclass(frozen=True)
class ExpertOptions:
    """How experts are trained.

    Source: Cazenavette et al. 2022, who take a hundred of them along 50 epochs. Deviates: ten epochs at five times
    the rate; each image is shifted a little, and mirrored where the data set bears it, in place of Siamese changes.
    """

    net: str = option("convnet", "network by name; 'default' is the data set's own")
    points: int = option(50, "points to record, besides the start", low=1)
    stride: int | None = option(None, "steps from point to point (default: those of a fifth of an epoch)", low=1)
    rate: float = option(0.05, "learning rate, the same in all steps", low=1e-9)
    momentum: float = option(0.0, "of the optimiser, SGD", low=0, high=0.999)
    batch_size: int = option(128, "real members a step", low=1)
    augment: bool = option(True, "shift the images, and mirror them where the data set bears it")


@dataclass(frozen=True)
class Record:
    """What all experts of a folder share.

    Attributes:
        dataset, net: names.
        classes: how many.
        members: that they were trained on, all outside the validation part.
        parameters: P.
        experts: how many.
        points: E, recorded besides the start.
        stride: steps from point to point.
        seed: of all draws.
        rate, momentum, batch_size: of SGD.
        shift, flip: pixels that an image is moved by at most, and whether it is mirrored.
    """

    dataset: str
    net: str
    classes: int
    members: int
    parameters: int
    experts: int
    points: int
    stride: int
    seed: int
    rate: float
    momentum: float
    batch_size: int
    shift: int
    flip: bool

    def changed(self, x: Tensor, task: Task, draws: torch.Generator) -> Tensor:
        """Return images as the experts saw them: ``(N, C, H, W)`` float32, normalised and randomly changed.

        Differentiable in images that are normalised already.
        """
        return augmented(x, task, Changes(flip=self.flip, shift=self.shift), draws)


class Experts:
    """Trained experts, read point by point, so that no more than a point lies in memory.

    Attributes:
        folder: where they lie.
        record: what they share.
    """

    def __init__(self, folder: Path, record: Record) -> None:
        self.folder, self.record = folder, record

    def point(self, expert: int, place: int) -> Tensor:
        """Return the parameters of an expert at one of its points, 0 the start: ``(P,)`` float32 on the CPU.

        Raises:
            DDCoreError: the file is missing or damaged.
        """
        path, record = self.folder / file_name(expert), self.record
        with _opened(path) as file:
            found = file.get_slice("theta")
            shape, kind = tuple(found.get_shape()), found.get_dtype()
            if shape != (record.points + 1, record.parameters) or kind != "F32":
                raise DDCoreError(f"{path} has {kind} {shape}, not the points that {RECORD} speaks of: {REMEDY}")
            theta: Tensor = found[place : place + 1][0]
        if not bool(theta.isfinite().all()):
            raise DDCoreError(f"{path} holds numbers that are not finite: {REMEDY}")
        return theta


def file_name(expert: int) -> str:
    """Return the name of an expert's file."""
    return f"expert-{expert:03d}.safetensors"


def open_experts(folder: Path, net: str, task: Task) -> Experts:
    """Return the experts in a run folder of ``train_experts.py``.

    Raises:
        UsageError: there are none, or they are of another network or other data.
        DDCoreError: a file is missing or damaged.
    """
    remedy = f"train_experts.py --dataset {task.name} --net {net}"
    if not (folder / RECORD).is_file():
        raise UsageError(f"{folder} holds no finished experts: make them with {remedy} --out {folder}")
    whole = read_json(folder / RECORD)
    try:
        record = Record(**{each.name: whole[each.name] for each in fields(Record)})
    except (KeyError, TypeError) as error:
        raise DDCoreError(f"{folder / RECORD} is damaged ({error}): {REMEDY}") from error
    flat = Flat(build_net(net, task, 0))
    of = (record.net, record.dataset, record.members, record.classes, record.parameters)
    wanted = (net, task.name, len(task.fit), len(task.classes), flat.size)
    if of != wanted:
        raise UsageError(
            f"{folder} holds experts of {_described(*of)}, not of {_described(*wanted)}: make some with {remedy}"
        )
    found = Experts(folder, record)
    for expert in range(record.experts):
        found.point(expert, 0)
    return found


def train_experts(
    options: ExpertOptions,
    count: int,
    task: Task,
    seed: int,
    folder: Path,
    accelerator: "Accelerator",
    progress: Progress | None = None,
) -> list[float]:
    """Train experts, write what they pass, and return the validation accuracy of each at its end, a fraction.

    The experts are shared out over the accelerator's processes. A finished one is never trained again; an interrupted
    one goes on from its last checkpoint and ends, on a CPU, with the same bits.

    Args:
        options: how.
        count: how many.
        task: the data set; only members outside its validation part are seen.
        seed: of all draws.
        folder: the run folder.
        accelerator: gives the device and the processes.
        progress: called with steps done, steps in all, and values to show.

    Returns:
        Accuracies in the order of the experts; empty except on the main process.

    Raises:
        UsageError: the network is unknown, or keeps statistics over a batch.
        DDCoreError: a training diverged, or a file in the folder is damaged or belongs to other experts.
    """
    trainer = Trainer(options, count, task, seed, folder, accelerator.device)
    left = sum(not (folder / file_name(expert)).exists() for expert in range(count))
    check_space(folder, 4 * trainer.flat.size * (options.points + 1) * left, "lower --experts or --points")
    mine = range(accelerator.process_index, count, accelerator.num_processes)
    for place, expert in enumerate(mine):
        trainer.train(expert, shifted(progress, place * trainer.steps, len(mine) * trainer.steps))
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        return []
    accuracy = [trainer.accuracy(expert) for expert in range(count)]
    write_json(folder / RECORD, {**asdict(trainer.record), "accuracy": accuracy})
    return accuracy


class Trainer:
    """Trains one expert after another: the inner loop of a distillation, with the real set in place of a small one."""

    def __init__(
        self, options: ExpertOptions, count: int, task: Task, seed: int, folder: Path, device: torch.device
    ) -> None:
        net = net_name(options.net, task)
        self.task, self.folder, self.device = task, folder, device
        self.flat = Flat(build_net(net, task, 0).to(device))
        self.step = Step(self.flat, micro=MICRO.get(device.type))
        members = task.train[task.fit].to(device)
        assert isinstance(members.x, Tensor)
        self.x, self.y = members.x, F.one_hot(members.y, len(task.classes)).float()
        known = image_recipe(task, net).changes
        size = min(options.batch_size, len(members))
        self.record = Record(
            task.name,
            net,
            len(task.classes),
            len(members),
            self.flat.size,
            count,
            options.points,
            options.stride or max(1, len(members) // size // 5),
            seed,
            options.rate,
            options.momentum,
            size,
            known.shift if options.augment else 0,
            known.flip and options.augment,
        )
        self.rule = Rule(momentum=options.momentum)
        self.rate = torch.tensor(options.rate, device=device)
        self.steps = options.points * self.record.stride

    def accuracy(self, expert: int) -> float:
        """Return the validation accuracy, a fraction, of an expert that is finished.

        Raises:
            DDCoreError: the file is missing, damaged or belongs to other experts.
        """
        path = self.folder / file_name(expert)
        with _opened(path) as file:
            notes = file.metadata() or {}
        return float(self._own(path, notes)["accuracy"])

    def train(self, expert: int, progress: Progress | None = None) -> None:
        """Train an expert from where it was interrupted, if it is not finished, and write its points.

        Raises:
            DDCoreError: the parameters are no longer finite, or a file is damaged.
            Stopped: the training was asked to stop and has kept its state.
        """
        path = self.folder / file_name(expert)
        if path.exists():
            self.accuracy(expert)
            return
        theta = Flat(build_net(self.record.net, self.task, self.record.seed, "expert", expert)).start()
        state, passed = State.fresh(theta.to(self.device), self.rule), [theta]
        checkpoints = Checkpoints(path.with_suffix(".checkpoint"), json.dumps([asdict(self.record), expert]))

        def put(kept: Kept) -> None:
            nonlocal state, passed
            state = State(tuple(kept["rows"].to(self.device).unbind()), int(kept["taken"]))
            passed = list(kept["theta"].unbind())

        checkpoints.restore(put)
        with deferred():
            while state.taken < self.steps:
                state = self._on(expert, state)
                if state.taken % self.record.stride == 0:
                    passed.append(state.theta.cpu())
                    if not bool(passed[-1].isfinite().all()):
                        raise DDCoreError(
                            f"expert {expert} diverged within {state.taken} steps: lower --rate {self.record.rate}"
                        )
                if progress is not None:
                    progress(state.taken, self.steps, {"expert": expert})
                if asked() or checkpoints.due(state.taken):
                    rows, taken = torch.stack(state.rows), torch.tensor(state.taken)
                    checkpoints.keep(state.taken, {"theta": torch.stack(passed), "rows": rows, "taken": taken})
                    answer()
        accuracy = self._validated(state.theta)
        save_tensors(path, {"theta": torch.stack(passed)}, self._notes(accuracy=accuracy))
        checkpoints.forget()

    def _on(self, expert: int, state: State) -> State:
        """Return the state some steps later, at the next point at most."""
        record, first = self.record, state.taken
        steps = range(first, min(first + CHUNK, (first // record.stride + 1) * record.stride))
        rows = batches(len(self.y), record.batch_size, steps, record.seed, "expert order", expert)

        def shown(x: Tensor, t: int) -> Tensor:
            return record.changed(x, self.task, generator(record.seed, "expert change", expert, first + t))

        training = Training(self.step, torch.stack(list(rows)).to(self.device), self.rule, shown)
        return train(training, state, self.x, self.y, self.rate)

    def _validated(self, theta: Tensor) -> float:
        held = self.task.train[self.task.validation]
        seen = predict(self.flat.load(theta), self.task, held.x, device=self.device).argmax(1)
        return float((seen == held.y).double().mean())

    def _notes(self, **more: float) -> dict[str, str]:
        # One note, for several are written in any order, and the same expert is to have the same bytes.
        return {"expert": json.dumps({"record": asdict(self.record), **more})}

    def _own(self, path: Path, notes: dict[str, str]) -> dict[str, Any]:
        """Return what a file's note says, if it is of these experts."""
        said: dict[str, Any] = json.loads(notes.get("expert", "{}"))
        if said.get("record") != asdict(self.record):
            raise DDCoreError(f"{path} belongs to other experts: choose another folder, or --fresh to put it aside")
        return said


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an expert's file, to read parts of it.

    Raises:
        DDCoreError: it is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise DDCoreError(f"{path} is missing, truncated or no expert: {REMEDY}") from error


def _described(net: str, dataset: str, members: int, classes: int, parameters: int) -> str:
    return f"{net} ({parameters:,} parameters) on {members:,} members of {dataset} in {classes} classes"
