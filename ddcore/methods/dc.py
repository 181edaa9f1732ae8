"""dc: images on which a network's loss pulls the same way as on real members."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ddcore.data import Task
from ddcore.methods.gradient_matching import GradientMatching, as_published
from ddcore.options import option
from ddcore.synthesis import Preset


def paper(task: Task, ipc: int) -> Mapping[str, Any]:
    """Return the option values of DC's code."""
    return as_published(ipc) | {"init": "noise", "augment": "none"}


@dataclass(frozen=True)
class DC(GradientMatching):
    """Gradient matching: class by class, the loss's gradients on synthetic and on real members are drawn together.

    A network starts from fresh weights every --outer steps; between steps it is trained on the synthetic set for
    --inner steps.

    Source: Zhao, Mopuri & Bilen 2021, algorithm 1 and eq. 9, the distance layer by layer. Deviates: the images move
    once per step for all classes, by Adam; with the preset ``paper`` by SGD, from noise, as in its code.
    """

    name: ClassVar[str] = "dc"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    presets: ClassVar[Mapping[str, Preset]] = {"paper": paper}

    image_rate: float = option(0.005, "learning rate of the images, in standard deviations of a pixel", low=0)
