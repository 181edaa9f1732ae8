"""dsa: gradient matching under Siamese augmentation."""

from dataclasses import dataclass
from typing import ClassVar

from ddcore.data import STRATEGIES
from ddcore.methods.gradient_matching import GradientMatching, Training
from ddcore.options import group, option
from ddcore.synthesis import TrainedValidation


@dataclass(frozen=True)
class DSA(GradientMatching):
    """Gradient matching under Siamese augmentation: real and synthetic members are changed in the same way.

    Texts, which have no such changes, are matched as they are.

    Source: Zhao & Bilen 2021, DSA. Deviates: the network learns at ten times the rate, so that in a tenth of the steps
    it comes as far as theirs and gradients late in a training are matched, too; the images' Adam has one second moment
    for all pixels, so that pixels which hardly matter hardly move, as under their SGD.
    """

    name: ClassVar[str] = "dsa"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    together: ClassVar[bool] = True

    real_batch: int = option(64, "real members of each class per step", low=1)
    image_rate: float = option(0.01, "learning rate of the images, in standard deviations of a pixel", low=0)
    augment: str = option(",".join(STRATEGIES), "Siamese changes to draw from, with commas between")
    training: Training = group(Training(outer=40, steps=5, rate=0.1))
    validation: TrainedValidation = group(TrainedValidation.usual(2, 2, 1000))
