import pytest
import torch

from ddcore.errors import DDCoreError, UsageError
from ddcore.unroll.cuda_graphs import Captured, Recorder, graphs_wanted

CPU = torch.device("cpu")


def on_paper(work, inputs):
    """Record as a GPU would: the results stay in the same tensors, filled anew at each replay."""
    outputs = work(*inputs)

    def replay():
        for kept, each in zip(outputs, work(*inputs), strict=True):
            kept.copy_(each)

    return replay, outputs


def test_results_are_the_functions_and_stay_the_callers():
    made = []

    def record(work, inputs):
        made.append(inputs)
        return on_paper(work, inputs)

    step = Captured(lambda a, b: (a * b, a + b), record=record)
    first = step(torch.ones(3), torch.full((3,), 2.0))
    second = step(torch.full((3,), 5.0), torch.full((3,), 2.0))
    assert [each.tolist() for each in (*first, *second)] == [[2.0] * 3, [3.0] * 3, [10.0] * 3, [7.0] * 3]
    assert len(made) == 1
    step(torch.ones(4), torch.ones(4))
    assert len(made) == 2


def test_what_cannot_be_recorded_runs_as_it_is_unless_it_must(caplog):
    def record(work, inputs):
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    step = Captured(lambda a: (a + 1,), record=record)
    assert step(torch.ones(2))[0].tolist() == [2.0, 2.0] and step(torch.ones(3))[0].shape == (3,)
    assert caplog.text.count("no CUDA graph of the inner step: operation not permitted\n") == 1
    with pytest.raises(DDCoreError, match=r"operation not permitted\): --cuda-graphs off"):
        Captured(lambda a: (a + 1,), must=True, record=record)(torch.ones(2))


def test_graphs_are_for_gpus():
    assert not graphs_wanted("auto", CPU) and not graphs_wanted("off", CPU)
    assert graphs_wanted("auto", torch.device("cuda")) and not graphs_wanted("off", torch.device("cuda"))
    with pytest.raises(UsageError, match="--cuda-graphs on needs a GPU"):
        graphs_wanted("on", CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_real_graph_computes_the_same():
    a, b = torch.randn(2, 64, 64, device="cuda")
    step = Captured(lambda a, b: (a @ b, a.sum()), must=True, record=Recorder())
    for left in (a, b):
        torch.testing.assert_close(step(left, b), (left @ b, left.sum()))
