"""Where a set comes from."""

from dataclasses import dataclass, field

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
