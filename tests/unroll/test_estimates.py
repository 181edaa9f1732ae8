import contextlib
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ddcore.errors import DDCoreError
from ddcore.unroll import estimates
from ddcore.unroll.estimates import Estimate, choose, estimate
from ddcore.unroll.meta_gradient import Unroll


@pytest.fixture
def unroll():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    real = torch.randn(9, 4), F.one_hot(torch.arange(9) % 3, 3).float()
    return Unroll.of(net, torch.randn(7, 4), torch.randn(7, 3).softmax(1), real, steps=12)


def test_the_faster_mode_that_fits_is_chosen(unroll, monkeypatch):
    costs = {"states": (10, 2.0), "graph": (1000, 1.0)}
    monkeypatch.setattr(estimates, "estimate", lambda _, mode: Estimate(mode, *costs[mode]))
    monkeypatch.setattr(estimates, "available", lambda device: 5000)
    assert choose(unroll).mode == "graph" and choose(unroll, ["states"]).mode == "states"
    monkeypatch.setattr(estimates, "available", lambda device: 500)
    assert choose(unroll).mode == "states"
    monkeypatch.setattr(estimates, "available", lambda device: 5)
    with pytest.raises(DDCoreError, match=r"needs 0.0 GB in the mode 'states'.*shorten the window") as caught:
        choose(unroll)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mode", ["states", "graph"])
def test_an_estimate_grows_with_the_window(unroll, mode, monkeypatch):
    # Measured peaks differ from call to call; here every unroll measures the same.
    monkeypatch.setattr(estimates, "peak", lambda device: contextlib.nullcontext(SimpleNamespace(bytes=4096)))
    whole, short = estimate(unroll, mode), estimate(replace(unroll, window=1), mode)
    assert whole.mode == mode and whole.bytes >= short.bytes >= 4096 and whole.seconds > 0


def test_an_estimate_prints_itself():
    assert str(Estimate("states", 3 * 2**20, 0.25)) == "states: 3 MB, 0.25 s per meta-gradient"
