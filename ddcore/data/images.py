"""Image data sets: MNIST, Fashion-MNIST, SVHN, CIFAR-10, CIFAR-100 and scikit-learn's bundled digits."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.data.examples import Examples
from ddcore.data.task import Task, spread, validation_part
from ddcore.errors import DDCoreError, UsageError

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
CIFAR100_NAMES = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can "
    "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin "
    "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard "
    "lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear "
    "pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark "
    "shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone "
    "television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)
CIFAR100_CLASSES = tuple(CIFAR100_NAMES.split())
# Sides that images can be resized to, in pixels: ConvNet halves them three times.
SMALLEST, LARGEST = 8, 256
DIGIT_CLASSES = tuple(str(digit) for digit in range(10))
# What a JPEG file begins with.
JPEG = b"\xff\xd8"


def image_task(
    name: str,
    classes: tuple[str, ...],
    train: Examples,
    load_test: Callable[[], Examples],
    source: str,
    content: str = "",
) -> Task:
    """Return a `Task` around uint8 images; the normalisation constants are computed from the training images."""
    x = train.x
    assert isinstance(x, Tensor)
    shape = tuple(x.shape[1:])
    counts = torch.stack([torch.bincount(x[:, c].flatten(), minlength=256) for c in range(shape[0])]).double()
    level = torch.arange(256, dtype=torch.float64) / 255
    mean = (counts * level).sum(1) / counts.sum(1)
    std = ((counts * level**2).sum(1) / counts.sum(1) - mean**2).sqrt()
    return Task(
        name=name,
        kind="images",
        classes=classes,
        shape=shape,
        train=train,
        load_test=load_test,
        default_net="resnet-s2d",
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        source=source,
        content=content,
        validation=validation_part(train.y),
    )


def resized(task: Task, side: int) -> Task:
    """Return the same task with images of `side` x `side` pixels (bilinear), normalised by their own constants.

    Raises:
        UsageError: its members are not images, or the side is too small for the networks or needlessly large.
    """
    if task.kind != "images":
        raise UsageError(f"{task.name} has no images that could be resized")
    if not SMALLEST <= side <= LARGEST:
        raise UsageError(
            f"images of {side}x{side} pixels are asked for: from {SMALLEST} to {LARGEST} a side can be had"
        )

    def scaled(members: Examples) -> Examples:
        assert isinstance(members.x, Tensor)
        # In parts, for floats take four times the memory of pixels.
        parts = [
            F.interpolate(part.float(), (side, side), mode="bilinear", antialias=True).round().clamp(0, 255).byte()
            for part in members.x.split(1000)
        ]
        return Examples(torch.cat(parts), members.y)

    source = f"{task.source}, resized to {side}x{side}"
    train = scaled(task.train)
    return image_task(task.name, task.classes, train, lambda: scaled(task.load_test()), source, task.content)


def digits(data: Path) -> Task:
    """Return scikit-learn's bundled digits, 8x8 grey: 1,437 training and 360 test images. `data` is not read."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    x = torch.from_numpy(np.rint(bundle.images * (255 / 16)).astype(np.uint8))[:, None]
    whole = Examples(x, torch.from_numpy(bundle.target.astype(np.int64)))
    held = spread(whole.y, 360, "digits test")
    rest = torch.ones(len(whole), dtype=torch.bool)
    rest[held] = False
    train = whole[rest.nonzero().flatten()]
    return image_task("digits", DIGIT_CLASSES, train, lambda: whole[held], "scikit-learn's bundled digits")


def mnist(data: Path) -> Task:
    """Return MNIST, 28x28 grey, 60,000 + 10,000, through torchvision."""
    return _idx_task("mnist", "MNIST", DIGIT_CLASSES, data, "MNIST (LeCun et al. 1998), torchvision")


def fashion_mnist(data: Path) -> Task:
    """Return Fashion-MNIST, 28x28 grey, 60,000 + 10,000, through torchvision."""
    source = "Fashion-MNIST (Xiao et al. 2017), torchvision"
    return _idx_task("fashion_mnist", "FashionMNIST", FASHION_CLASSES, data, source)


def _idx_task(name: str, torchvision_name: str, classes: tuple[str, ...], data: Path, source: str) -> Task:
    def part(train: bool) -> Examples:
        from torchvision import datasets

        read = getattr(datasets, torchvision_name)
        raw = data / torchvision_name / "raw"
        remedy = f"delete {raw} and run again with network access, or point --data at a folder that has it"
        try:
            there = read(root=data, train=train, download=False)
        except RuntimeError as error:
            if "not found" not in str(error):
                raise DDCoreError(f"a file under {raw} is damaged ({error}): {remedy}") from error
            there = _download(read, data, torchvision_name, root=data, train=train)
        except (ValueError, OSError, EOFError) as error:
            raise DDCoreError(f"a file under {raw} is truncated or damaged ({error}): {remedy}") from error
        if len(there.data) != len(there.targets):
            counts = f"{len(there.data)} images, {len(there.targets)} labels"
            raise DDCoreError(f"the files under {raw} do not belong together ({counts}): {remedy}")
        return Examples(there.data[:, None].contiguous(), there.targets.long())

    return image_task(name, classes, part(True), lambda: part(False), source)


def _download(read: Callable[..., Any], data: Path, name: str, **split: Any) -> Any:
    """Download through torchvision, which shows its own progress bar."""
    try:
        return read(download=True, **split)
    except (OSError, RuntimeError) as error:
        raise DDCoreError(
            f"{name} is not in {data} and cannot be downloaded: "
            "connect to the network, or set DDCORE_DATA (or --data) to a folder that has it"
        ) from error


def svhn(data: Path) -> Task:
    """Return SVHN, 32x32 colour, 73,257 + 26,032 house numbers' digits, through torchvision, from ``<data>/SVHN``."""

    def part(split: str) -> Examples:
        from torchvision.datasets import SVHN

        folder = data / "SVHN"
        path = folder / f"{split}_32x32.mat"
        remedy = f"delete {path} and run again with network access, or point --data at a folder that has it"
        try:
            there = SVHN(folder, split) if path.exists() else _download(SVHN, data, "SVHN", root=folder, split=split)
        # torchvision compares the file's checksum; what a damaged file makes scipy raise has no common kind.
        except (RuntimeError, OSError, ValueError, KeyError, TypeError) as error:
            raise DDCoreError(f"{path} is truncated or damaged: {remedy}") from error
        return Examples(torch.from_numpy(there.data).contiguous(), torch.from_numpy(there.labels))

    source = "SVHN (Netzer et al. 2011), torchvision"
    return image_task("svhn", DIGIT_CLASSES, part("train"), lambda: part("test"), source)


def cifar10(data: Path) -> Task:
    """Return CIFAR-10, 32x32 colour, 50,000 + 10,000, from parquet files in the Hugging Face layout."""
    source = "CIFAR-10 (Krizhevsky 2009), Hugging Face parquet"
    return _parquet_task("cifar10", "label", CIFAR10_CLASSES, data, source)


def cifar100(data: Path) -> Task:
    """Return CIFAR-100 with its 100 fine classes, 32x32 colour, 50,000 + 10,000, in the Hugging Face layout."""
    source = "CIFAR-100 (Krizhevsky 2009), Hugging Face parquet"
    return _parquet_task("cifar100", "fine_label", CIFAR100_CLASSES, data, source)


def _parquet_task(name: str, label: str, classes: tuple[str, ...], data: Path, source: str) -> Task:
    from ddcore.data.parquet import read_split

    def part(table: dict[str, Any]) -> Examples:
        x = torch.from_numpy(np.stack([_decode(row["bytes"]) for row in table["img"]]))
        return Examples(x.permute(0, 3, 1, 2).contiguous(), torch.tensor(table[label], dtype=torch.int64))

    train = read_split(data, name, "train")
    if any(row["bytes"].startswith(JPEG) for row in train["img"]):
        source += "; a copy compressed as JPEG, on which accuracies lie a little below those on the original"
    return image_task(name, classes, part(train), lambda: part(read_split(data, name, "test")), source)


def _decode(encoded: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
