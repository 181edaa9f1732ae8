"""Trained networks from run folders of ``train_baseline.py``."""

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ddcore.data import FINGERPRINT, Fingerprint, Task
from ddcore.errors import DDCoreError, UsageError, require
from ddcore.nets import Embedding, build_net, net_of_file
from ddcore.runtime import CONFIG, fault_of, load_tensors, parse_json, read_object
from ddcore.unroll import Flat


def load_weights(folder: Path, net: str, task: Task) -> list[Tensor]:
    """Read the parameters of every network in a run folder: vectors ``(P,)`` float32, ordered by seed.

    Args:
        folder: of ``train_baseline.py``.
        net: the network's name.
        task: the data set whose members the networks shall read; it gives the shape of an image and the classes.

    Raises:
        UsageError: the folder holds no networks, or others than `net` on members of this shape; or `net` has batch
            statistics.
        DDCoreError: a file is damaged.
    """
    Flat(build_net(net, task, 0))  # refuses batch statistics before a file is read
    return [Flat(network).start().float() for network in load_networks(folder, net, task)]


def load_networks(folder: Path, net: str, task: Task) -> list[nn.Module]:
    """Read every network in a run folder, batch statistics included, in evaluation mode, ordered by seed.

    The arguments and errors are those of `load_weights`, except that batch statistics are allowed.
    """
    size = f" --size {task.shape[1]}" if task.shape else ""
    remedy = f"train_baseline.py --net {net}{size}"
    paths = sorted(folder.glob("weights-*.safetensors"), key=lambda path: (len(path.name), path.name))
    require(bool(paths), f"{folder} holds no networks: train some with {remedy} --out {folder}")
    wanted = {name: tuple(tensor.shape) for name, tensor in build_net(net, task, 0).state_dict().items()}
    read = f"{task.shape} images" if task.shape else "texts"
    networks = []
    for path in paths:
        tensors, _ = load_tensors(path)
        if fault := _difference(wanted, {name: tuple(tensor.shape) for name, tensor in tensors.items()}):
            raise UsageError(
                f"{path} is not a {net} for {read} of {len(task.classes)} classes ({fault}): train one with {remedy}"
            )
        require(
            all(bool(tensor.isfinite().all()) for tensor in tensors.values()),
            f"{path} holds numbers that are not finite: train it again with {remedy} --fresh",
            DDCoreError,
        )
        network = build_net(net, task, 0)
        network.load_state_dict(tensors)
        networks.append(network.eval())
    return networks


def load_embedding(folder: Path, task: Task, asked: Sequence[str] = ()) -> Embedding:
    """Read the word vectors of the first network in a run folder of ``train_baseline.py --part fit``.

    Args:
        folder: of ``train_baseline.py``.
        task: the data set.
        asked: networks that the user names: a custom network that the folder names is run only if it is one of them.

    Raises:
        UsageError: the folder holds no network with word vectors for this task, or one that saw the validation part,
            or a custom one that nobody asked for.
        DDCoreError: a file is damaged.
    """
    other = Path(f"{folder}-{task.name}") if folder.exists() else folder
    remedy = f"make one with {train_command(task, other, 'bag')} and give --embedding {shlex.quote(str(other))}"
    path = folder / "weights-0.safetensors"
    require(
        path.is_file() and (folder / "config.json").is_file(),
        f"{folder} holds no network with word vectors: {remedy}",
    )
    options = read_object(folder / "config.json", CONFIG).get("options", {})
    net, part, dataset = (str(options.get(name)) for name in ("net", "part", "dataset"))
    # A file has many names, so custom data sets are compared by content.
    same = options.get("content") == task.content if task.content else dataset == task.name
    changed = f", whose content is not that of {task.address or task.name}" if task.content else ""
    require(same, f"{folder} was trained on {dataset}{changed}: {remedy}")
    require(part == "fit", f"{folder} was trained on part {part}, with the validation split: {remedy}")
    tensors, notes = load_tensors(path)
    data = parse_json(notes["data"], path) if "data" in notes else None
    fault = fault_of(data, (FINGERPRINT, None))
    require(not fault, f"{path} is damaged: {fault}: {remedy}", DDCoreError)
    Fingerprint.read(data, task).check(task, str(folder), remedy)
    try:
        vectors = {"table": tensors["words.table.weight"].float(), "seen": tensors["words.seen"]}
        embedding = Embedding.of({"name": f"{net} of {folder.name}", "net": net}, vectors)
    except KeyError as error:
        raise UsageError(f"{folder} holds a network without word vectors: {remedy}") from error
    except ValueError as error:
        raise DDCoreError(f"{path} is damaged: {error}") from error
    embedding.adopt(build_net(net_of_file(net, task, asked, folder), task, 0))
    return embedding


def train_command(task: Task, folder: Path, net: str = "default") -> str:
    """Return the command that trains a teacher of a data set, or word vectors, into a run folder."""
    return f"python scripts/train_baseline.py {task.flag} --part fit --net {net} --out {shlex.quote(str(folder))}"


def teacher_line(task: Task) -> str:
    """Return, for who lacks a teacher of a data set, how to come by one."""
    folder = Path("runs") / f"{task.name}-teacher"
    return f"train one with {train_command(task, folder)} and give --teacher {folder}"


def weights_by_seed(folder: Path, net: str, task: Task, seeds: range) -> dict[int, Tensor]:
    """Return a trained network for each seed; seed k gets the network at place k of `load_weights`.

    Raises:
        UsageError, DDCoreError: as `load_weights`; or there are fewer networks.
    """
    weights = load_weights(folder, net, task)
    require(
        len(weights) >= seeds.stop,
        f"{folder} holds {len(weights)} networks, fewer than --seeds {len(seeds)} from --seed {seeds.start} need",
    )
    return {seed: weights[seed] for seed in seeds}


def seen_before(networks: Iterable[Tensor], folder: Path, net: str, task: Task) -> int | None:
    """Return how many of some networks ``(P,)`` are, bit for bit, in the run folder that a set was optimised with.

    None if that folder no longer holds networks that can be compared.
    """
    try:
        used = load_weights(folder, net, task)
    except DDCoreError:
        return None
    return sum(any(torch.equal(theta, other) for other in used) for theta in networks)


def _difference(wanted: dict[str, tuple[int, ...]], shapes: dict[str, tuple[int, ...]]) -> str:
    """Return the first difference between a file's tensors and those of a network; empty if there is none."""
    for name, shape in wanted.items():
        if name not in shapes:
            return f"it has no {name}"
        if shapes[name] != shape:
            return f"its {name} is {shapes[name]}, not {shape}"
    more = sorted(set(shapes) - set(wanted))
    return f"it has {more[0]} besides" if more else ""
