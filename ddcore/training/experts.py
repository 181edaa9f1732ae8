"""Experts: networks trained on the real set by plain gradient descent, with points of their trajectories.

A run folder of ``train_experts.py`` holds ``expert-000.safetensors`` … with ``theta`` ``(E + 1, P)`` float32, the
parameters before the first step and then after every ``stride`` steps, and at last ``experts.json``.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ddcore.data import FINGERPRINT, Fingerprint, Task, at_hand, used
from ddcore.draws import batches, generator
from ddcore.errors import DDCoreError, require
from ddcore.kernels import Rule
from ddcore.nets import build_net, net_name
from ddcore.options import option
from ddcore.runtime import (
    Checkpoints,
    JSONObject,
    Progress,
    Schema,
    Session,
    answer,
    asked,
    check_space,
    deferred,
    fault_of,
    parse_json,
    read_object,
    save_tensors,
    shifted,
    write_json,
)
from ddcore.training.loop import validation_accuracy
from ddcore.training.recipes import Changes, image_recipe
from ddcore.training.step import augmented
from ddcore.unroll import Flat, State, Step, Training, micro_batch, train

RECORD = "experts.json"
SCHEMA: Schema = {
    "dataset": str,
    "net": str,
    **dict.fromkeys(("classes", "members", "parameters", "experts", "points", "stride", "seed"), int),
    **dict.fromkeys(("batch_size", "shift"), int),
    **dict.fromkeys(("rate", "momentum"), float),
    "flip": bool,
    "data?": FINGERPRINT,
}
"""The shape of experts.json."""
CHUNK = 20
REMEDY = "train the experts again with --fresh"


@dataclass(frozen=True)
class ExpertOptions:
    """How experts are trained.

    Source: Cazenavette et al. 2022, who train a hundred of them for 50 epochs. Deviates: ten epochs at five times
    the rate; each image is shifted a little, and mirrored where labels survive it, in place of Siamese changes.
    """

    net: str = option("convnet", "network by name; 'default' is the data set's own")
    points: int = option(50, "points of the trajectory to record, besides the start", low=1)
    stride: int | None = option(None, "steps between two points (default: a fifth of an epoch)", low=1)
    rate: float = option(0.05, "learning rate of SGD, constant", low=1e-9)
    momentum: float = option(0.0, "momentum of SGD", low=0, high=0.999)
    batch_size: int = option(128, "real members per step", low=1)
    augment: bool = option(True, "shift the images, and mirror them where labels survive it")

    def quick(self) -> "ExpertOptions":
        """Return these options at toy length."""
        return replace(self, points=min(self.points, 4), stride=min(self.stride or 5, 5))

    def check(self, task: Task) -> None:
        """Refuse a data set without images, or an unknown network.

        Raises:
            UsageError: the line says which.
        """
        require(task.kind == "images", f"experts are for mtt, which does not read {task.kind}")
        net_name(self.net, task)


@dataclass(frozen=True)
class ExpertKind:
    """What experts are, and of what.

    Attributes:
        dataset, net: names.
        classes: their number.
        members: number of training members, all outside the validation split.
        parameters: P.
    """

    dataset: str
    net: str
    classes: int
    members: int
    parameters: int

    def __str__(self) -> str:
        return (
            f"{self.net} ({self.parameters:,} parameters) on {self.members:,} members of {self.dataset} in "
            f"{self.classes} classes"
        )


@dataclass(frozen=True)
class Descent:
    """How experts descend: SGD on changed images.

    Attributes:
        rate, momentum, batch_size: of SGD.
        shift: pixels that an image is moved by at most.
        flip: whether images are mirrored.
    """

    rate: float
    momentum: float
    batch_size: int
    shift: int
    flip: bool


@dataclass(frozen=True)
class ExpertRecord:
    """What all experts of a folder share.

    Attributes:
        kind: network and data.
        experts: their number.
        points: E, recorded besides the start.
        stride: steps between two points.
        seed: of all draws.
        descent: optimiser and changes of images.
    """

    kind: ExpertKind
    experts: int
    points: int
    stride: int
    seed: int
    descent: Descent

    @property
    def values(self) -> JSONObject:
        """The fields by name, as files hold them: those of `kind` first, those of `descent` last."""
        return {
            **asdict(self.kind),
            "experts": self.experts,
            "points": self.points,
            "stride": self.stride,
            "seed": self.seed,
            **asdict(self.descent),
        }

    @staticmethod
    def of(values: JSONObject) -> "ExpertRecord":
        """Return the record that `values` came from; further names are ignored.

        Raises:
            KeyError: a field is missing.
        """
        return ExpertRecord(
            ExpertKind(**{each.name: values[each.name] for each in fields(ExpertKind)}),
            values["experts"],
            values["points"],
            values["stride"],
            values["seed"],
            Descent(**{each.name: values[each.name] for each in fields(Descent)}),
        )

    def changed(self, x: Tensor, task: Task, draws: torch.Generator) -> Tensor:
        """Return images as the experts saw them: ``(N, C, H, W)`` float32, normalised and randomly changed.

        Differentiable in images that are normalised already.
        """
        return augmented(x, task, Changes(flip=self.descent.flip, shift=self.descent.shift), draws)


class Experts:
    """Trained experts, read point by point, so that at most one point is in memory.

    Attributes:
        folder: of their files.
        record: what they share.
        note: a line for the user about their data, see `Fingerprint.check`; empty without any.
    """

    def __init__(self, folder: Path, record: ExpertRecord, note: str = "") -> None:
        self.folder, self.record, self.note = folder, record, note

    def point(self, expert: int, place: int) -> Tensor:
        """Return the parameters of an expert at one of its points, 0 the start: ``(P,)`` float32 on the CPU.

        Raises:
            DDCoreError: the file is missing or damaged.
        """
        path, record = self.folder / file_name(expert), self.record
        with _opened(path) as file:
            points = file.get_slice("theta")
            shape, dtype = tuple(points.get_shape()), points.get_dtype()
            require(
                shape == (record.points + 1, record.kind.parameters) and dtype == "F32",
                f"{path} holds {dtype} {shape}, which {RECORD} does not describe: {REMEDY}",
                DDCoreError,
            )
            theta: Tensor = points[place : place + 1][0]
        require(bool(theta.isfinite().all()), f"{path} holds numbers that are not finite: {REMEDY}", DDCoreError)
        return theta


def file_name(expert: int) -> str:
    """Return the name of an expert's file."""
    return f"expert-{expert:03d}.safetensors"


def open_experts(folder: Path, net: str, task: Task) -> Experts:
    """Return the experts in a run folder of ``train_experts.py``.

    Raises:
        UsageError: there are none, or they have another network or other data.
        DDCoreError: a file is missing or damaged.
    """
    remedy = f"train_experts.py {task.flag} --net {net}"
    require((folder / RECORD).is_file(), f"{folder} holds no finished experts: train them with {remedy} --out {folder}")
    values = read_object(folder / RECORD, SCHEMA, REMEDY)
    record = ExpertRecord.of(values)
    require(
        min(record.experts, record.points, record.stride, record.descent.batch_size) > 0,
        f"{folder / RECORD} is damaged: a number that counts something is not positive: {REMEDY}",
        DDCoreError,
    )
    data = Fingerprint.read(values.get("data"), task)
    name = data.dataset if data.content == task.content else task.name  # the folder of own data may have moved
    kind = ExpertKind(name, net, len(task.classes), len(task.fit), Flat(build_net(net, task, 0)).size)
    require(record.kind == kind, f"{folder} holds experts of {record.kind}, not of {kind}: train some with {remedy}")
    experts = Experts(folder, record, data.check(task, str(folder), f"train some with {remedy}"))
    for expert in range(record.experts):
        experts.point(expert, 0)
    return experts


def train_experts(options: ExpertOptions, count: int, task: Task, seed: int, session: Session) -> list[float]:
    """Train experts, write points of their trajectories, finish the run, and return validation accuracies.

    The processes share the experts. A finished expert is never trained again; an interrupted one resumes from its
    last checkpoint and ends, on a CPU, with the same bits.

    Args:
        options: how to train.
        count: number of experts.
        task: the data set; only members outside its validation split are used.
        seed: of all draws.
        session: the run folder, the processes and the progress.

    Returns:
        Accuracies at the end of each expert, fractions; empty except on the main process.

    Raises:
        UsageError: the data set has no images, or the network is unknown or keeps statistics over a batch.
        DDCoreError: a training diverged, or a file in the folder is damaged or belongs to other experts.
    """
    options.check(task)
    options = options.quick() if session.quick else options
    folder = session.folder
    trainer = Trainer(options, count, task, seed, session)
    left = sum(not (folder / file_name(expert)).exists() for expert in range(count))
    check_space(folder, 4 * trainer.flat.size * (options.points + 1) * left, "lower --experts or --points")
    mine = session.exchange.mine(count)
    for place, expert in enumerate(mine):
        trainer.train(expert, shifted(session.progress, place * trainer.steps, len(mine) * trainer.steps))
    session.wait()
    if not session.main:
        return []
    accuracy = [trainer.accuracy(expert) for expert in range(count)]
    write_json(folder / RECORD, {**trainer.record.values, "accuracy": accuracy, "data": task.fingerprint.record()})
    session.finish({"experts": count, "accuracy": sum(accuracy) / count})
    return accuracy


class Trainer:
    """Trains one expert after another: the inner loop of a distillation on the real set."""

    def __init__(self, options: ExpertOptions, count: int, task: Task, seed: int, session: Session) -> None:
        net = net_name(options.net, task)
        self.task, self.folder, self.device = task, session.folder, session.device
        self.flat = Flat(build_net(net, task, 0).to(self.device))
        self.step = Step(self.flat, micro=micro_batch(self.device, task.shape))
        self.real = at_hand(task.train, self.device)
        self.inputs = (task.train[task.fit] if task.train.summary is None else task.train).digest
        self.y = torch.nn.functional.one_hot(self.real.y, len(task.classes)).float()
        changes = image_recipe(task, net).changes if options.augment else Changes()
        size = min(options.batch_size, len(task.fit))
        self.record = ExpertRecord(
            ExpertKind(task.name, net, len(task.classes), len(task.fit), self.flat.size),
            count,
            options.points,
            options.stride or max(1, len(task.fit) // size // 5),
            seed,
            Descent(options.rate, options.momentum, size, changes.shift, changes.flip),
        )
        self.rule = Rule(momentum=options.momentum)
        self.rate = torch.tensor(options.rate, device=self.device)
        self.steps = options.points * self.record.stride

    def accuracy(self, expert: int) -> float:
        """Return the validation accuracy, a fraction, of an expert that is finished.

        Raises:
            DDCoreError: the file is missing, damaged or belongs to other experts.
        """
        path = self.folder / file_name(expert)
        with _opened(path) as file:
            note = parse_json((file.metadata() or {}).get("expert", "{}"), path)
        require(
            not fault_of(note, {"record": dict, "accuracy": float})
            and note["record"] == self.record.values
            and note.get("inputs", self.inputs) == self.inputs,
            f"{path} belongs to other experts: choose another folder, or --fresh to put it aside",
            DDCoreError,
        )
        return float(note["accuracy"])

    def train(self, expert: int, progress: Progress | None = None) -> None:
        """Train an expert, from its last checkpoint if there is one, and write its points; skip a finished one.

        Raises:
            DDCoreError: the parameters are no longer finite, or a file is damaged.
            Stopped: the training was asked to stop and has kept its state.
        """
        path = self.folder / file_name(expert)
        if path.exists():
            self.accuracy(expert)
            return
        theta = Flat(build_net(self.record.kind.net, self.task, self.record.seed, "expert", expert)).start()
        state, points = State.fresh(theta.to(self.device), self.rule), [theta]
        label = json.dumps([self.record.values, expert])
        checkpoints = Checkpoints(path.with_suffix(".checkpoint"), label, inputs=self.inputs)

        def put(tensors: dict[str, Tensor]) -> None:
            nonlocal state, points
            state = State.restored(tensors["rows"].to(self.device), int(tensors["taken"]))
            points = list(tensors["theta"].unbind())

        checkpoints.restore(put)
        with deferred():
            while state.taken < self.steps:
                state = self._advance(expert, state)
                if state.taken % self.record.stride == 0:
                    points.append(state.theta.cpu())
                    require(
                        bool(points[-1].isfinite().all()),
                        f"expert {expert} diverged within {state.taken} steps: lower --rate {self.record.descent.rate}",
                        DDCoreError,
                    )
                if progress is not None:
                    progress(state.taken, self.steps, {"expert": expert})
                if asked() or checkpoints.due(state.taken):
                    rows, taken = torch.stack(state.rows), torch.tensor(state.taken)
                    checkpoints.keep(state.taken, {"theta": torch.stack(points), "rows": rows, "taken": taken})
                    answer()
        accuracy = validation_accuracy(self.flat.load(state.theta), self.task, self.device)
        # One note, because safetensors writes several in any order and the same expert shall have the same bytes.
        note = json.dumps({"record": self.record.values, "accuracy": accuracy, "inputs": self.inputs})
        save_tensors(path, {"theta": torch.stack(points)}, {"expert": note})
        checkpoints.forget()

    def _advance(self, expert: int, state: State) -> State:
        """Return the state some steps later, at the next point at the latest."""
        record, first = self.record, state.taken
        steps = range(first, min(first + CHUNK, (first // record.stride + 1) * record.stride))
        places = batches(len(self.task.fit), record.descent.batch_size, steps, record.seed, "expert order", expert)
        x, y, rows = used(self.real.x, self.y, self.task.fit[torch.stack(list(places))])

        def changed(x: Tensor, t: int) -> Tensor:
            return record.changed(x, self.task, generator(record.seed, "expert change", expert, first + t))

        training = Training(self.step, rows, self.rule, changed)
        return train(training, state, x, y, self.rate)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    """Open an expert's file, to read parts of it.

    Raises:
        DDCoreError: it is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise DDCoreError(f"{path} is missing, truncated or no expert: {REMEDY}") from error
