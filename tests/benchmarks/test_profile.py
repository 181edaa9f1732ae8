import pytest
import torch

from ddcore.benchmarks.profile import ProfileBenchmark
from ddcore.errors import UsageError


def test_a_cpu_is_not_profiled():
    with pytest.raises(UsageError, match="a window step is profiled on a GPU"):
        next(ProfileBenchmark().results([], torch.device("cpu")))
