import resource
import sys

import pytest
import torch

from ddcore.memory import available, forget_peak, keep_freed_memory, peak, seconds_of
from ddcore.runs import peak_memory

CPU = torch.device("cpu")


@pytest.mark.skipif(sys.platform != "linux", reason="the system keeps no resettable peak")
def test_the_peak_counts_what_was_held_at_once_and_nothing_from_before():
    kept = torch.ones(64 * 2**20 // 4)
    with peak(CPU) as nothing:
        kept.sum()
    with peak(CPU) as one_after_another:
        for _ in range(3):
            torch.ones(64 * 2**20 // 4)
    with peak(CPU) as together:
        held = [torch.ones(64 * 2**20 // 4) for _ in range(3)]
    assert nothing.bytes < 16 * 2**20
    assert 60 * 2**20 < one_after_another.bytes < 150 * 2**20
    assert 185 * 2**20 < together.bytes < 250 * 2**20 and len(held) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="the system keeps no resettable peak")
def test_a_forgotten_peak_is_not_on_record_any_more():
    torch.ones(128 * 2**20 // 4)
    high = peak_memory()["peak_memory_bytes"]
    forget_peak(CPU)
    assert peak_memory()["peak_memory_bytes"] < high - 100 * 2**20


def test_some_memory_is_available():
    assert available(CPU) > 50 * 2**20


def test_time_is_that_of_the_call(monkeypatch):
    clock = iter((3.0, 5.5))
    monkeypatch.setattr("ddcore.memory.time.perf_counter", lambda: next(clock))
    done = []
    assert seconds_of(lambda: done.append(1), CPU) == 2.5 and done == [1]


@pytest.mark.skipif(sys.platform != "linux", reason="another allocator")
def test_memory_of_freed_tensors_is_not_paid_for_again():
    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            torch.ones(32 * 2**20 // 4)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    keep_freed_memory()
    faults()
    assert faults() < 1000
