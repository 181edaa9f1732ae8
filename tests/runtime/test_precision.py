from contextlib import nullcontext

import pytest
import torch

from ddcore.errors import UsageError
from ddcore.runtime import PRECISIONS, autocast, environment, precise, precision, set_precision, timed_precisions


@pytest.fixture(autouse=True)
def as_before():
    with precise("ieee"):
        yield


@pytest.mark.parametrize("name", PRECISIONS)
def test_a_choice_is_known_recorded_and_taken_back(name):
    with precise(name):
        assert precision() == environment()["precision"] == name
        assert torch.backends.cudnn.allow_tf32 == torch.backends.cuda.matmul.allow_tf32 == (name != "ieee")
    assert precision() == "ieee"


def test_without_a_choice_it_is_pytorchs_own():
    torch.backends.cudnn.allow_tf32 = True
    assert precision() == "default"


def test_bf16_is_refused_where_it_would_coarsen_a_set():
    with pytest.raises(UsageError, match="--precision bf16 is for teachers and evaluations"):
        set_precision("bf16", "distill")
    set_precision("bf16", "evaluate")
    assert precision() == "bf16"


def test_networks_run_in_bfloat16_only_under_bf16_and_on_a_gpu(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "autocast", lambda kind, dtype: asked.append((kind, dtype)) or nullcontext())
    for name, device in (("bf16", "cuda:1"), ("bf16", "cpu"), ("tf32", "cuda")):
        with precise(name), autocast(device):
            pass
    assert asked == [("cuda", torch.bfloat16)]


def test_a_cpu_has_one_precision_to_time():
    assert timed_precisions(torch.device("cpu")) == ("ieee",)
    assert timed_precisions(torch.device("cuda")) == ("ieee", "tf32")
