import math

import pytest

from ddcore.comparison.label_robust import LabelRobust, label_robust


def test_the_scores_by_hand():
    found = label_robust(own=0.88, random=0.86, hard=0.84, whole=0.92)
    assert found.ior == pytest.approx(0.02) and found.hlr == pytest.approx(0.08)
    assert found.alpha == pytest.approx(0.5 * 0.02 - 0.5 * 0.08)
    assert found.lrs == pytest.approx((math.exp(-0.03) - math.exp(-1)) / (math.e - math.exp(-1)))
    assert found.lrs == pytest.approx(0.25637, abs=1e-4)


def test_the_last_score_spans_0_to_1():
    best, worst = label_robust(1.0, 0.0, 1.0, 0.0), label_robust(0.0, 1.0, 0.0, 1.0)
    assert (best.alpha, best.lrs) == (pytest.approx(1), pytest.approx(1))
    assert (worst.alpha, worst.lrs) == (pytest.approx(-1), pytest.approx(0))


def test_without_a_whole_set_only_the_improvement_is_known():
    assert label_robust(0.9, 0.8, 0.7, None) == LabelRobust(pytest.approx(0.1))
