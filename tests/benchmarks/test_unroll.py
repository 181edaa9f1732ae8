import pytest
import torch

from ddcore.benchmarks.unroll import (
    Counted,
    UnrollBenchmark,
    UnrollCase,
    UnrollProblem,
    available_variants,
    distance,
    measure,
    sketch,
)
from ddcore.errors import DDCoreError, UsageError

CPU = torch.device("cpu")
CASE = UnrollCase(3, 2, 4)


@pytest.mark.parametrize("variant", available_variants())
def test_all_variants_compute_the_same(variant):
    right = UnrollProblem(CASE, "stored-graph", CPU).run()
    for ours, theirs in zip(UnrollProblem(CASE, variant, CPU).run(), right, strict=True):
        assert float((ours - theirs).norm() / theirs.norm()) < 1e-3


def test_what_is_measured():
    engine, plain = (measure(CASE, variant, 2, CPU) for variant in ("ddcore", "stored-graph"))
    assert len(engine["time"]) == 2 and engine["estimated-time"][0] > 0
    assert set(engine) == set(plain) >= {"estimated-time", "estimated-memory", "flops", "memory"}
    assert plain["operators"][0] > 100
    assert all(0 < each["convolutions"][0] < 1 for each in (engine, plain))
    assert distance(engine["sketch"], plain["sketch"]) < 1e-3


def test_sketches_are_as_far_apart_as_the_gradients():
    first, second = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
    for share in (1e-4, 0.1):
        ours, theirs = sketch([second, first + share * second]), sketch([second, first])
        assert distance(ours, theirs) == pytest.approx(share, rel=0.4)
    assert distance(sketch([-first]), sketch([first])) == pytest.approx(2)


def test_operations_are_counted_by_hand():
    with Counted() as counted:
        torch.ones(3, 4) @ torch.ones(4, 5)
    assert counted.flops == 2 * 3 * 4 * 5 and counted.operators >= 3


def test_a_case_names_itself():
    assert str(UnrollCase(32, 20, 100)) == "convnet-32 T=20 N=100"


def test_variants_that_disagree_give_no_result(monkeypatch):
    right = sketch([torch.ones(3), torch.ones(2)])
    turned = sketch([torch.tensor([1.0, 1.0, 0.6]), torch.ones(2)])
    measured = {"stored-graph": {"sketch": right, "time": [1.0]}, "ddcore": {"sketch": turned, "time": [1.0]}}
    monkeypatch.setattr(UnrollBenchmark, "_measured", lambda *_: measured)
    with pytest.raises(DDCoreError, match="ddcore computes another gradient than the stored graph on convnet-4"):
        next(UnrollBenchmark(quick=True).results([], CPU))


@pytest.mark.parametrize("case", ["32", "a,b,c", "32,0,10"])
def test_a_wrong_case_is_refused(case):
    with pytest.raises(UsageError, match="is not WIDTH,T,MEMBERS"):
        next(UnrollBenchmark(case=case).results([], CPU))
