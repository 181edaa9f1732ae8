"""Random resized crops of whole batches, as matrix products.

Bilinear enlarging of a box, mirroring and rolling each act on the rows and on the columns of an image: a view is
``R x C'`` with a matrix R for the rows and a matrix C for the columns. So the gradient is two more products, which a
GPU sums in one order every time; that of PyTorch's interpolation is not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ddcore.runtime import sent

RATIO = (3 / 4, 4 / 3)
TRIES = 10


@dataclass(frozen=True)
class Box:
    """A part of an image, in pixels, and how the view of it is moved.

    Attributes:
        top, left, height, width: of the part, which is enlarged to the whole image.
        flip: whether the view is mirrored left to right.
        down, right: pixels that the view is then rolled by; what leaves at one edge enters at the other.
    """

    top: int
    left: int
    height: int
    width: int
    flip: bool = False
    down: int = 0
    right: int = 0


def random_box(size: Sequence[int], smallest: float, flip: bool, roll: int, draws: torch.Generator) -> Box:
    """Draw a box, uniform in its area and in its place, with a ratio of the sides between 3:4 and 4:3.

    Args:
        size: ``(H, W)`` of the image.
        smallest: least share of the image's area; 1 for the whole image.
        flip: whether to mirror every second view.
        roll: largest number of pixels to roll by, in each direction.
        draws: a CPU generator.

    Source: Szegedy et al. 2015 in the form of torchvision's ``RandomResizedCrop``, with its ten tries and the largest
    central box after them.
    """
    height, width = size
    mirrored = flip and bool(torch.rand((), generator=draws) < 0.5)
    down, right = torch.randint(0, roll + 1, (2,), generator=draws).tolist()
    area, ratio, above, beside = torch.rand(4, TRIES, generator=draws, dtype=torch.float64)
    low, high = map(math.log, RATIO)
    area, ratio = (smallest + (1 - smallest) * area) * height * width, (low + (high - low) * ratio).exp()
    tall, wide = (area / ratio).sqrt().round().int(), (area * ratio).sqrt().round().int()
    if smallest == 1:
        return Box(0, 0, height, width, mirrored, down, right)
    for h, w, u, v in zip(tall.tolist(), wide.tolist(), above.tolist(), beside.tolist(), strict=True):
        if 0 < h <= height and 0 < w <= width:
            top, left = math.floor(u * (height - h + 1)), math.floor(v * (width - w + 1))
            return Box(top, left, h, w, mirrored, down, right)
    tall, wide = min(height, round(width / RATIO[0])), min(width, round(height * RATIO[1]))
    return Box((height - tall) // 2, (width - wide) // 2, tall, wide, mirrored, down, right)


def viewed(x: Tensor, boxes: Sequence[Box], counts: Sequence[int]) -> Tensor:
    """Return batches of images, each batch through a box of its own.

    Args:
        x: ``(N, C, H, W)`` float32, batch after batch.
        boxes: one for each batch.
        counts: images of each batch; their sum is N.

    Returns:
        ``(N, C, H, W)``; differentiable in x.
    """
    height, width = x.shape[2:]
    rows = _weights([(box.top, box.height, False, box.down) for box in boxes], height)
    columns = _weights([(box.left, box.width, box.flip, box.right) for box in boxes], width)
    of = sent(torch.arange(len(boxes)).repeat_interleave(torch.tensor(counts)), x.device)
    rows, columns = (sent(each, x.device)[of][:, None] for each in (rows, columns))
    return rows @ x @ columns.transpose(2, 3)


def _weights(spans: Sequence[tuple[int, int, bool, int]], side: int) -> Tensor:
    """Return how much of each pixel of a side is in each pixel of its view: ``(K, side, side)`` float32.

    Args:
        spans: first pixel and length of the part, whether it is reversed, and how far it is rolled.
        side: pixels.
    """
    begin, length, reverse, roll = (torch.tensor(part)[:, None] for part in zip(*spans, strict=True))
    place = (torch.arange(side) - roll) % side
    place = torch.where(reverse, side - 1 - place, place)
    # The centre of each pixel of the view, in pixels of the part; nothing is read from outside of the part.
    inside = ((place + 0.5) * (length / side) - 0.5).clamp(min=0).minimum(length - 1.0)
    return (1 - (begin + inside)[:, :, None].sub(torch.arange(side)).abs()).clamp(min=0)
