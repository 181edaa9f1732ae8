"""A class-conditional generator of images, the discriminator that trains it, and the generator's files."""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from ddcore.data import Fingerprint, Task
from ddcore.draws import scoped
from ddcore.errors import DDCoreError, require
from ddcore.runtime import Schema, load_tensors, read_object, save_tensors, write_json

FORMAT = 1
# The largest length of a latent code, and the most channels at full size.
MOST_LATENT, MOST_WIDTH = 4096, 512
RECORD: Schema = {
    "format": int,
    "dataset": str,
    "classes": [str],
    "shape": [int],
    "content?": str,
    "vocabulary?": str,
    "latent": int,
    "width": int,
    "score?": float,
    "step?": int,
}
"""The shape of generator.json."""
# Members per forward pass on a CPU, and elsewhere.
MICRO, LARGE = 100, 1000


class ClassNorm(nn.Module):
    """Batch norm whose gain and offset depend on the class.

    The class enters the generator only here. With a learned class vector beside the code, the generator learns the
    classes in half the steps, but soon produces nearly the same image of a class for every code.

    Source: de Vries et al. 2017.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width, affine=False)
        self.gain, self.offset = nn.Embedding(classes, width), nn.Embedding(classes, width)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.offset.weight)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ``(N, C, H, W)`` for planes of that shape and classes ``(N,)``."""
        return self.norm(x) * self.gain(y)[:, :, None, None] + self.offset(y)[:, :, None, None]


class Generator(nn.Module):
    """An image from a latent code and a class: planes at a quarter of the image's size, doubled twice.

    Args:
        shape: ``(C, H, W)`` of an image; sides not divisible by four are cropped from the next larger multiple.
        classes: number of classes.
        mean, std: of the task's normalisation.
        latent: length of a code.
        width: channels at full size; twice and four times as many at half and quarter size.

    Source: Radford et al. 2016, DCGAN. Deviates: smaller, classes through the norms.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        classes: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        latent: int,
        width: int,
    ) -> None:
        super().__init__()
        self.shape, self.latent, self.width = shape, latent, width
        channels, height, across = shape
        self.low = (math.ceil(height / 4), math.ceil(across / 4))
        self.begin = nn.Linear(latent, 4 * width * self.low[0] * self.low[1])
        self.norms = nn.ModuleList(ClassNorm(width * share, classes) for share in (4, 2, 1))
        self.doublings = nn.ModuleList(
            nn.ConvTranspose2d(2 * width * share, width * share, 4, stride=2, padding=1, bias=False) for share in (2, 1)
        )
        self.end = nn.Conv2d(width, channels, 3, padding=1)
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Return images ``(N, C, H, W)`` float32, normalised, of codes ``(N, latent)`` and classes ``(N,)``.

        In evaluation mode an image does not depend on the other members.
        """
        x = F.relu(self.norms[0](self.begin(z).view(len(z), -1, *self.low), y))
        for doubling, norm in zip(self.doublings, list(self.norms)[1:], strict=True):
            x = F.relu(norm(doubling(x), y))
        pixels = torch.sigmoid(self.end(x))[:, :, : self.shape[1], : self.shape[2]]
        return (pixels - self.mean) / self.std


class Discriminator(nn.Module):
    """Scores images of a class as real or generated: convolutions and a class projection, all with spectral norm.

    Args:
        shape: ``(C, H, W)`` of an image.
        classes: number of classes.
        width: channels of the first convolution; twice and four times as many in the next two.

    Source: Miyato & Koyama 2018, projection; Miyato et al. 2018, spectral norm.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, width: int) -> None:
        super().__init__()
        widths = [shape[0], width, 2 * width, 4 * width]
        self.convolutions = nn.ModuleList(
            spectral_norm(nn.Conv2d(below, above, 4, stride=2, padding=2))
            for below, above in itertools.pairwise(widths)
        )
        self.plain = spectral_norm(nn.Linear(4 * width, 1))
        self.of_class = spectral_norm(nn.Embedding(classes, 4 * width))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return scores ``(N,)``, high for real, of images ``(N, C, H, W)`` as members of classes ``(N,)``."""
        for convolution in self.convolutions:
            x = F.leaky_relu(convolution(x), 0.2)
        total = x.sum((2, 3))
        return self.plain(total)[:, 0] + (total * self.of_class(y)).sum(1)


def build_generator(task: Task, latent: int, width: int, *key: int | str) -> Generator:
    """Return a freshly initialised generator of a task's images on the CPU; the same key gives the same weights."""
    with scoped("weights", "generator", *key):
        return Generator(task.shape, len(task.classes), task.mean, task.std, latent, width)


def build_discriminator(task: Task, width: int, *key: int | str) -> Discriminator:
    """Return a freshly initialised discriminator on the CPU; the same key gives the same weights."""
    with scoped("weights", "discriminator", *key):
        return Discriminator(task.shape, len(task.classes), width)


def generated(net: Generator, z: Tensor, y: Tensor) -> Tensor:
    """Return the images ``(N, C, H, W)`` of codes ``(N, latent)`` and classes ``(N,)``, without a graph."""
    size = _micro(z)
    with torch.no_grad():
        return torch.cat([net(*part) for part in zip(z.split(size), y.split(size), strict=True)])


def pulled(net: Generator, z: Tensor, y: Tensor, slope: Tensor) -> Tensor:
    """Return the gradient in the codes ``(N, latent)``, given the gradient `slope` in their images ``(N, C, H, W)``."""
    gradients, size = [], _micro(z)
    for part, classes, up in zip(z.detach().split(size), y.split(size), slope.split(size), strict=True):
        part.requires_grad_()
        gradients.append(torch.autograd.grad(net(part, classes), part, up)[0])
    return torch.cat(gradients)


def _micro(z: Tensor) -> int:
    return MICRO if z.device.type == "cpu" else LARGE


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator as methods use it.

    Attributes:
        net: the generator, in evaluation mode, without gradients.
        notes: ``name`` of its folder; ``score``, the validation accuracy (a fraction) of networks trained on its
            samples; ``step``, the training step; ``note``, a line for the user about its data, see `Fingerprint.check`.
    """

    net: Generator
    notes: dict[str, str | float]


def save_generator(net: Generator, task: Task, folder: Path, **notes: float) -> None:
    """Write ``generator.safetensors`` and then ``generator.json`` into a folder, each atomically.

    Args:
        net, task: the generator and the task of its images.
        folder: to write to.
        **notes: ``score`` and ``step``, see `TrainedGenerator`.

    Raises:
        DDCoreError: the folder cannot be written.
    """
    save_tensors(folder / "generator.safetensors", dict(net.state_dict()))
    record = {"format": FORMAT, **task.fingerprint.record()}
    write_json(folder / "generator.json", {**record, "latent": net.latent, "width": net.width, **notes})


def load_generator(folder: Path, task: Task) -> TrainedGenerator:
    """Return the generator that ``train_generator.py`` wrote into its run folder.

    Raises:
        UsageError: the folder holds none, or one for other images.
        DDCoreError: a file is damaged.
    """
    remedy = f"train_generator.py {task.flag}"
    require(
        (folder / "generator.json").is_file(), f"{folder} holds no generator: train one with {remedy} --out {folder}"
    )
    record = read_object(folder / "generator.json", RECORD, f"train one with {remedy}")
    sound = record["format"] == FORMAT and 0 < record["latent"] <= MOST_LATENT and 0 < record["width"] <= MOST_WIDTH
    require(
        sound,
        f"{folder}/generator.json has another format, or sizes that no generator has: train one with {remedy}",
        DDCoreError,
    )
    data = Fingerprint.read({"content": "", "vocabulary": "", **record}, task)
    note = data.check(task, f"the generator in {folder}", f"train one with {remedy}")
    try:
        net = build_generator(task, record["latent"], record["width"])
        tensors, _ = load_tensors(folder / "generator.safetensors")
        net.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise DDCoreError(f"the generator in {folder} is damaged ({reason}): train one with {remedy}") from error
    require(
        all(bool(tensor.isfinite().all()) for tensor in tensors.values()),
        f"the generator in {folder} holds numbers that are not finite: train one with {remedy}",
        DDCoreError,
    )
    net.eval().requires_grad_(False)
    notes = {name: record[name] for name in ("score", "step") if name in record}
    return TrainedGenerator(net, {"name": folder.name, **notes, **({"note": note} if note else {})})
