"""Label-robust scores: what a set is worth once the help of its labels is set aside."""

import math
from dataclasses import dataclass

WEIGHT = 0.5


@dataclass(frozen=True)
class LabelRobust:
    """The scores of one set; fractions.

    Attributes:
        ior: improvement over random: by how much it beats random members under the same kind of labels.
        hlr: hard label recovery: by how much it misses the whole set, both with hard labels; None without a whole set.
        alpha: ``w ior - (1 - w) hlr`` with w = 0.5; None without a whole set.
        lrs: label-robust score, alpha brought to 0 … 1; None without a whole set.
    """

    ior: float
    hlr: float | None = None
    alpha: float | None = None
    lrs: float | None = None


def label_robust(own: float, random: float, hard: float, whole: float | None) -> LabelRobust:
    """Return the scores of a set.

    ``LRS = (e^alpha - e^-1) / (e - e^-1)``.

    Args:
        own: test accuracy under the set's own kind of labels, a fraction, as are all.
        random: of random members under that kind of labels.
        hard: of the set under hard labels.
        whole: of the whole training set under hard labels; None if it was not measured.

    Source: Li et al. 2024, DD-Ranking.
    """
    ior = own - random
    if whole is None:
        return LabelRobust(ior)
    hlr = whole - hard
    alpha = WEIGHT * ior - (1 - WEIGHT) * hlr
    lrs = (math.exp(alpha) - math.exp(-1)) / (math.e - math.exp(-1))
    return LabelRobust(ior, hlr, alpha, lrs)
