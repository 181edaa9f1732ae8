"""Image data sets: MNIST, Fashion-MNIST, CIFAR-10 and scikit-learn's bundled digits."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.data.task import Task, spread, validation_part
from ddcore.errors import DDCoreError, UsageError
from ddcore.examples import Examples

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CIFAR10_CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
# Sides that images can be resized to, in pixels: ConvNet halves them three times.
SMALLEST, LARGEST = 8, 256
DIGIT_CLASSES = tuple(str(digit) for digit in range(10))


def image_task(
    name: str, classes: tuple[str, ...], train: Examples, load_test: Callable[[], Examples], source: str
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
        parts = [F.interpolate(part.float(), (side, side), mode="bilinear", antialias=True).round().clamp(0, 255).byte()
                 for part in members.x.split(1000)]  # fmt: skip
        return Examples(torch.cat(parts), members.y)

    source = f"{task.source}, resized to {side}x{side}"
    return image_task(task.name, task.classes, scaled(task.train), lambda: scaled(task.load_test()), source)


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
            there = _download(read, data, train, torchvision_name)
        except (ValueError, OSError, EOFError) as error:
            raise DDCoreError(f"a file under {raw} is truncated or damaged ({error}): {remedy}") from error
        if len(there.data) != len(there.targets):
            counts = f"{len(there.data)} images, {len(there.targets)} labels"
            raise DDCoreError(f"the files under {raw} do not belong together ({counts}): {remedy}")
        return Examples(there.data[:, None].contiguous(), there.targets.long())

    return image_task(name, classes, part(True), lambda: part(False), source)


def _download(read: Callable[..., object], data: Path, train: bool, name: str) -> "object":
    """Download through torchvision, which shows its own progress bar."""
    try:
        return read(root=data, train=train, download=True)
    except (OSError, RuntimeError) as error:
        raise DDCoreError(
            f"{name} is not in {data} and cannot be downloaded: "
            "connect to the network, or set DDCORE_DATA (or --data) to a folder that has it"
        ) from error


def cifar10(data: Path) -> Task:
    """Return CIFAR-10, 32x32 colour, 50,000 + 10,000, from parquet files in the Hugging Face layout."""
    source = "CIFAR-10 (Krizhevsky 2009), Hugging Face parquet"

    def part(split: str) -> Examples:
        from ddcore.data.parquet import read_split

        table = read_split(data, "cifar10", split)
        encoded = [row["bytes"] for row in table["img"]]
        x = torch.from_numpy(np.stack([_decode(image) for image in encoded])).permute(0, 3, 1, 2).contiguous()
        return Examples(x, torch.tensor(table["label"], dtype=torch.int64))

    train = part("train")
    return image_task("cifar10", CIFAR10_CLASSES, train, lambda: part("test"), source)


def _decode(encoded: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
