from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch.autograd import DeviceType

from ddcore.benchmarks import profile as module
from ddcore.benchmarks.profile import ProfileBenchmark
from ddcore.benchmarks.unroll import UnrollCase
from ddcore.errors import UsageError


def test_a_cpu_is_not_profiled():
    with pytest.raises(UsageError, match="a window step is profiled on a GPU"):
        next(ProfileBenchmark().results([], torch.device("cpu")))


def test_kernels_are_listed_by_their_time(monkeypatch):
    def event(name: str, time: float, device: str) -> SimpleNamespace:
        return SimpleNamespace(name=name, device_time=time, device_type=getattr(DeviceType, device))

    events = [event("short", 2.0, "CUDA"), *[event("long", 9.0, "CUDA")] * 10, event("host", 50.0, "CPU")]
    taken = nullcontext(SimpleNamespace(events=lambda: events))
    monkeypatch.setattr(module, "profile", lambda activities: taken)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    table = module.kernels_of(UnrollCase.of("4,1,10"), torch.device("cpu")).splitlines()
    assert [line.split() for line in table[1:3]] == [["97.8%", "9.0", "2.0", "long"], ["2.2%", "2.0", "0.2", "short"]]
    assert table[3] == "18 us and 2 launches each"
