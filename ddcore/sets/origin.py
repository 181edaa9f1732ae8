"""Where a set comes from, and the scale of its members."""

from dataclasses import dataclass, field

from ddcore.data import Task
from ddcore.runtime import JSONObject


@dataclass(frozen=True)
class Origin:
    """Where a set comes from.

    Attributes:
        dataset: name of the real set.
        classes: readable names, one per class.
        method: what produced the set, e.g. ``frepo`` or ``k-means``.
        options: the method's options, budget and seed.
        provenance: where its parts came from: data source, teacher, start.
    """

    dataset: str
    classes: tuple[str, ...]
    method: str
    options: JSONObject = field(default_factory=dict)
    provenance: JSONObject = field(default_factory=dict)


@dataclass(frozen=True)
class Scale:
    """How members become the numbers that a network reads.

    Attributes:
        mean, std: of the normalisation, per channel, on the 0–1 pixel scale; empty for texts.
        max_tokens: longest text that a network is meant to read; 0 for images.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    max_tokens: int = 0

    @staticmethod
    def of(task: Task) -> "Scale":
        """Return that of a real set."""
        return Scale(task.mean, task.std, task.max_tokens)
