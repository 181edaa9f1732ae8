"""Where a set comes from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ddcore.data import Task
from ddcore.runtime import JSONObject

SOURCES = "source texts"
"""The entry of a provenance that counts the training texts whose parts a set of packed texts holds."""


@dataclass(frozen=True)
class Origin:
    """Where a set comes from.

    Attributes:
        dataset: name of the real set.
        classes: readable names, one per class.
        method: what produced the set, e.g. ``frepo`` or ``k-means``.
        options: the method's options, budget and seed.
        provenance: where its parts came from: data source, teacher, start.
        content, vocabulary: digests of the real set, see `ddcore.data.Fingerprint`; empty if they are not known.
        factor: tiles per side that each stored image was decoded from (multi-formation: ``factor**2`` members per
            stored image); 1 for sets whose members are what was stored.
        tiles: small real images per side that each member shows and that are trained on as one image (a mosaic);
            1 for members of one image.
        texts: the source text of each member: case, punctuation and line breaks as in the real set. Empty for images,
            for synthetic members, and where it is not known.
    """

    dataset: str
    classes: tuple[str, ...]
    method: str
    options: JSONObject = field(default_factory=dict)
    provenance: JSONObject = field(default_factory=dict)
    content: str = ""
    vocabulary: str = ""
    factor: int = 1
    tiles: int = 1
    texts: tuple[str, ...] = ()

    @staticmethod
    def of(task: Task, method: str, options: JSONObject, provenance: JSONObject, texts: Sequence[str] = ()) -> "Origin":
        """Return the origin of a set that a method made from a task."""
        data = task.fingerprint
        return Origin(
            task.name, task.classes, method, options, provenance, data.content, data.vocabulary, texts=tuple(texts)
        )
