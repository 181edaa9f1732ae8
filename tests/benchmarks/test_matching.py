import torch

from ddcore.benchmarks.matching import VARIANTS, Case, measure, problem, variants

CPU = torch.device("cpu")
CASE = Case("convnet", 2, 20)


def test_both_variants_follow_the_same_distance():
    found = variants(problem(CASE, CPU))
    assert tuple(found) == VARIANTS and found["ddcore"].shape == (20, 1, 28, 28)
    ours, loop = found.values()
    assert (ours - loop).norm() < 1e-5 * loop.norm()


def test_every_repetition_is_timed():
    found = measure(CASE, 2, CPU)
    assert set(found) == set(VARIANTS) and all(len(each) == 2 and min(each) > 0 for each in found.values())
