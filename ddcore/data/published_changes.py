"""The random changes of published evaluations: one kind for a batch, its strength drawn for each image.

``dsa`` and ``frepo`` change normalised images as their repositories do; ``dc`` draws a kind for each image, too. Filled
places are zero, the mean of the data, unless said otherwise.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ddcore.data.siamese import (
    BRIGHTNESS,
    CONTRAST,
    CONTRASTED,
    CROP,
    CUT,
    DEGREES,
    MAP,
    SATURATED,
    SATURATION,
    SCALE,
    SHIFT,
    Changes,
    span,
)
from ddcore.kernels import placed, reach_of

DIGITS = ("mnist", "svhn", "digits")
"""Data sets that no published evaluation mirrors, because a mirrored digit is another one or none."""
GREY = ("mnist", "fashion_mnist")
"""Data sets that FRePo and RCIG do not mirror."""
JITTER, ZOOM = 0.25, 1.25
DC_CROP, DC_SCALE, DC_DEGREES = 4, 0.2, 45


def published_kinds(protocol: str, dataset: str) -> tuple[str, ...]:
    """Return the kinds of changes that a published evaluation draws from on a data set; none where it changes nothing.

    Args:
        protocol: ``dc``, ``dsa``, ``dd-ranking``, ``frepo``, ``rcig`` or ``rded``, whose changes `CropChanges` makes.
        dataset: its name in ddcore.

    Source: VICO-UoE/DatasetCondensation, ``utils.py``, get_daparam, and its readme; yongchao97/FRePo,
    ``script/evaluate.py``; yolky/RCIG, ``configs_final``; LINs-lab/RDED, ``validation/main.py``, which mirrors all.
    """
    mirrored = ("flip",) if dataset not in GREY else ()
    match protocol:
        case "dc":
            return ("crop", "scale", "rotate") if dataset == "mnist" else ()
        case "dsa" | "dd-ranking":
            kinds = ("colour", "crop", "cutout", "flip", "scale", "rotate")
            return tuple(kind for kind in kinds if kind != "flip" or dataset not in DIGITS)
        case "frepo":
            return (*mirrored, "colour", "crop", "rotate", "translate", "cutout")
        case "rded":
            return ("crop", *(() if dataset in DIGITS else ("flip",)), "mix")
    return (*mirrored, "crop", "rotate", "translate", "cutout")


def published_changes(x: Tensor, protocol: str, kinds: tuple[str, ...], draws: torch.Generator) -> Tensor:
    """Return a batch changed as a published evaluation changes it.

    Args:
        x: ``(N, C, H, W)`` float32, normalised.
        protocol: as for `published_kinds`.
        kinds: to draw from; none for no change.
        draws: a CPU generator.

    Returns:
        ``(N, C, H, W)`` float32.
    """
    if not kinds:
        return x
    if protocol == "dc":
        return torch.cat([_dc_changed(x, k, kinds, draws) for k in range(len(x))])
    kind = kinds[int(torch.randint(len(kinds), (), generator=draws))]
    rows = _rows(kind, x, protocol, torch.rand(len(x), 3, generator=draws))
    reach = reach_of(rows[:, MAP].reshape(-1, 2, 3))
    changes = Changes((kind,), rows, reach).to(x.device)
    return changes.together(x, torch.arange(len(x), device=x.device), [len(x)])


def _rows(kind: str, x: Tensor, protocol: str, u: Tensor) -> Tensor:
    """Return a row of `Changes.table` for each image from ``(N, 3)`` numbers between 0 and 1."""
    n, height, width = len(x), *x.shape[2:]
    rows = torch.zeros(n, CUT + height + width)
    flip, scale = torch.zeros(n, dtype=torch.bool), torch.ones(n, 2)
    angle, shift = torch.zeros(n), torch.zeros(n, 2)
    sides = torch.tensor([float(height), float(width)])
    siamese = protocol == "dsa"
    match kind:
        case "colour" if siamese:
            rows[:, SHIFT] = (u[:, :1] - 0.5) * BRIGHTNESS
            rows[:, SATURATED] = u[:, 1:2] * SATURATION - 1
            rows[:, CONTRASTED] = u[:, 2:] + CONTRAST - 1
        case "colour":
            rows[:, SHIFT] = (2 * u[:, :1] - 1) * JITTER
            rows[:, SATURATED] = ((2 * u[:, 1:2] - 1) * JITTER).exp() - 1
            rows[:, CONTRASTED] = ((2 * u[:, 2:] - 1) * JITTER).exp() - 1
        case "cutout":
            _cut(rows, u, (height, width), siamese)
        case "flip":
            flip = u[:, 0] < 0.5
        case "rotate":
            angle = (2 * u[:, 0] - 1) * math.radians(DEGREES)
        case "scale":
            # The place that a pixel shows is drawn, not the factor of the content.
            scale = 1 / (1 / SCALE + u[:, :2] * (SCALE - 1 / SCALE))
        case "translate":
            shift = (2 * u[:, :2] - 1) * CROP * sides
        case "crop" if siamese:
            most = (CROP * sides + 0.5).floor()
            shift = (u[:, :2] * (2 * most + 1)).floor() - most
        case "crop":
            zoom = ((2 * u[:, :1] - 1) * math.log(ZOOM)).exp()
            scale = zoom.expand(n, 2)
            shift = (2 * u[:, 1:] - 1) * (sides * zoom - sides).abs() / 2
    rows[:, MAP] = placed(flip, scale, angle, shift).flatten(1)
    return rows


def _cut(rows: Tensor, u: Tensor, sides: tuple[int, int], siamese: bool) -> None:
    """Mark the rows and columns that are cut out of each image."""
    for row, place in zip(rows, u.tolist(), strict=True):
        first = CUT
        for side, at in zip(sides, place, strict=False):
            if siamese:
                cut = span(side, at)
            else:
                size = side // 4
                begin = math.floor(at * (side - size + 1))
                cut = slice(begin, begin + size)
            row[first : first + side][cut] = 1
            first += side


def _dc_changed(x: Tensor, k: int, kinds: tuple[str, ...], draws: torch.Generator) -> Tensor:
    """Return one image ``(1, C, H, W)`` of a batch, shifted, scaled or rotated as DC's evaluation of MNIST does."""
    kind = kinds[int(torch.randint(len(kinds), (), generator=draws))]
    change: Callable[[Tensor, Tensor, list[float]], Tensor] = {
        "crop": _dc_shifted,
        "scale": _dc_scaled,
        "rotate": _dc_rotated,
    }[kind]
    return change(x[k : k + 1], x.mean((0, 2, 3)), torch.rand(2, generator=draws).tolist())


def _dc_shifted(x: Tensor, mean: Tensor, u: list[float]) -> Tensor:
    """Return an image shifted by -4 to 3 pixels each way; the batch's mean enters at the edge."""
    height, width = x.shape[2:]
    padded = mean.view(1, -1, 1, 1).repeat(1, 1, height + 2 * DC_CROP, width + 2 * DC_CROP)
    padded[:, :, DC_CROP : DC_CROP + height, DC_CROP : DC_CROP + width] = x
    top, left = (math.floor(each * 2 * DC_CROP) for each in u)
    return padded[:, :, top : top + height, left : left + width]


def _dc_scaled(x: Tensor, mean: Tensor, u: list[float]) -> Tensor:
    """Return an image enlarged or shrunk by up to a fifth each way, by nearest pixels; zeros enter at the edge."""
    side, across = x.shape[2:]
    height, width = (int((1 - DC_SCALE + each * 2 * DC_SCALE) * side) for each in u)
    most = max(height, width, side, across)
    whole = x.new_zeros(1, x.shape[1], most, most)
    top, left = (most - height) // 2, (most - width) // 2
    whole[:, :, top : top + height, left : left + width] = F.interpolate(x, (height, width))
    top, left = (most - side) // 2, (most - across) // 2
    return whole[:, :, top : top + side, left : left + across]


def _dc_rotated(x: Tensor, mean: Tensor, u: list[float]) -> Tensor:
    """Return an image rotated by -45 to 44 degrees, by cubic splines; the batch's mean enters at the edge."""
    from scipy import ndimage  # it takes long

    angle = math.floor(u[0] * 2 * DC_DEGREES) - DC_DEGREES
    turned = ndimage.rotate(x[0].cpu().numpy(), angle, axes=(-2, -1), cval=float(mean.mean()))
    top, left = ((turned.shape[k] - x.shape[k]) // 2 for k in (-2, -1))
    return torch.from_numpy(turned[None, :, top : top + x.shape[2], left : left + x.shape[3]]).to(x)
