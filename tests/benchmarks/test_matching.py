import pytest
import torch

from ddcore.benchmarks import matching
from ddcore.benchmarks.matching import VARIANTS, MatchingBenchmark, MatchingCase, dm_run, measure
from ddcore.errors import DDCoreError

CPU = torch.device("cpu")
CASE = MatchingCase("convnet", 2, 20)


def test_both_variants_follow_the_same_distance():
    run = dm_run(CASE, CPU)
    ours, loop = (variant(run) for variant in VARIANTS.values())
    assert ours.shape == (20, 1, 28, 28) and (ours - loop).norm() < 1e-5 * loop.norm()


def test_every_repetition_is_timed():
    times = measure(dm_run(CASE, CPU), 2)
    assert tuple(times) == ("ddcore", "per-class-loop")
    assert all(len(each) == 2 and min(each) > 0 for each in times.values())


def test_variants_that_disagree_give_no_result(monkeypatch):
    monkeypatch.setitem(matching.VARIANTS, "per-class-loop", lambda run: 1.1 * VARIANTS["ddcore"](run))
    with pytest.raises(DDCoreError, match="different gradients on convnet N=10x2"):
        next(MatchingBenchmark(quick=True).results([], CPU))
