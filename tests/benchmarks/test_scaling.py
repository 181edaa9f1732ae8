from functools import partial

import pytest
import torch
from accelerate import Accelerator

from ddcore.benchmarks import scaling
from ddcore.benchmarks.scaling import ScalingBenchmark, ScalingCase, gather, measure
from ddcore.errors import UsageError


def test_a_process_alone_has_a_rate_and_no_communication(tmp_path):
    found = measure(
        ScalingCase("krr", 1, 10, 2),
        1,
        tmp_path / "run",
        Accelerator(cpu=True),
        partial(gather, tmp_path / "g", "0", 1),
    )
    assert found["rate"][0] > 0 and found["communication"] == [0]


def test_nobody_waits_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "PATIENCE", 0.05)
    with pytest.raises(TimeoutError, match="2 processes"):
        gather(tmp_path / "ready", "0", 2)


def test_each_process_needs_a_gpu_of_its_own_if_there_is_one(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(UsageError, match="--processes 3 need a GPU each, and this machine has 2"):
        next(ScalingBenchmark(processes=3).results([], torch.device("cuda")))
