"""dsa: gradient matching under Siamese augmentation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ddcore.data import STRATEGIES, Task, published_kinds
from ddcore.methods.gradient_matching import GradientMatching, Training, as_published
from ddcore.options import group, option
from ddcore.synthesis import Preset, TrainedValidation


def paper(task: Task, ipc: int) -> Mapping[str, Any]:
    """Return the option values of DSA's code."""
    kinds = ",".join(published_kinds("dsa", task.name))
    return as_published(ipc) | {"init": "random", "augment": kinds, "inner_changes": "each"}


@dataclass(frozen=True)
class DSA(GradientMatching):
    """Gradient matching under Siamese augmentation: real and synthetic members are changed in the same way.

    Texts, which have no such changes, are matched as they are.

    Source: Zhao & Bilen 2021, DSA. Deviates: the network learns at ten times the rate, so that in a tenth of the steps
    it comes as far as theirs and gradients late in a training are matched, too; the images' Adam has one second moment
    for all pixels, so that pixels which hardly matter hardly move, as under their SGD. The preset ``paper`` has their
    rate, their SGD, and changes in the network's training whose strength differs from image to image.
    """

    name: ClassVar[str] = "dsa"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    together: ClassVar[bool] = True
    presets: ClassVar[Mapping[str, Preset]] = {"paper": paper}

    real_batch: int = option(64, "real members of each class per step", low=1)
    image_rate: float = option(0.01, "learning rate of the images, in standard deviations of a pixel", low=0)
    augment: str = option(",".join(STRATEGIES), "Siamese changes to draw from, with commas between")
    training: Training = group(Training(outer=40, steps=5, rate=0.1))
    validation: TrainedValidation = group(TrainedValidation.usual(2, 2, 1000))
