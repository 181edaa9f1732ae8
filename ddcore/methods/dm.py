"""dm: images whose features, in random networks, have the same mean as the real members'."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from torch import nn

from ddcore.data import Task, published_kinds
from ddcore.methods.features import FeatureMatching, FeatureRun, distances
from ddcore.methods.matching import ClassShard, Matching, shared_out
from ddcore.nets import need_features
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime import Session
from ddcore.synthesis import Preset


def paper(task: Task, ipc: int) -> Mapping[str, Any]:
    """Return the option values of DM's code, ``main_DM.py`` in VICO-UoE/DatasetCondensation."""
    return {
        "steps": 20000,
        "net": "convnet-128",
        "init": "random",
        "real_batch": 256,
        "image_optimiser": "sgd",
        "image_rate": 1.0,
        "augment": ",".join(published_kinds("dsa", task.name)),
        "validation_networks": 0,
    }


@dataclass(frozen=True)
class DM(Matching):
    """Distribution matching: in each step a random network embeds both, and class means are drawn together.

    Source: Zhao & Bilen 2023, eq. 4. ``--moments 2`` adds the distance of the covariances, which it does not have.
    """

    name: ClassVar[str] = "dm"
    kinds: ClassVar[tuple[str, ...]] = ("images", "text")
    presets: ClassVar[Mapping[str, Preset]] = {"paper": paper}

    augment: str = option("colour,crop,cutout,flip,scale,rotate", "Siamese changes to draw from, with commas between")
    moments: int = option(1, "1 matches means, 2 covariances, too", low=1, high=2)
    networks: int = option(1, "random networks per step", low=1)

    def start(self, problem: Problem, session: Session) -> "DMRun":
        """Return real members to begin with.

        Raises:
            UsageError: a name is unknown, a teacher is missing, or the network has no features.
        """
        run = DMRun(self, problem, session)
        need_features(run.fresh("embed"), run.net_name, "dm")
        return run


class DMRun(FeatureRun):
    """One run."""

    method: DM

    def __init__(self, method: DM, problem: Problem, session: Session) -> None:
        super().__init__(method, problem, session)
        self.matching = FeatureMatching(self.real, self.y, self._network, partial(distances, moments=method.moments))

    def shards(self, step: int) -> Sequence[ClassShard]:
        """Return the classes of each network of a step, in groups."""
        return shared_out(step, self.method.networks, self.step_classes(step), self.method.shards)

    def _network(self, step: int, part: int) -> nn.Module:
        return self.awake(self.fresh("embed", step, part))
