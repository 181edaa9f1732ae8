import os
import resource
import subprocess
import sys

import pytest
import torch

from ddcore.runtime.machine import (
    _group_rooms,
    available,
    available_cores,
    bind,
    forget_peak,
    keep_freed_memory,
    peak_memory,
    seconds_of,
    unseen_gpu,
)

CPU = torch.device("cpu")


# In a process of its own: a program that another test has run may have told the allocator to keep freed memory.
PEAKS = """
import torch
from ddcore.runtime.machine import peak

CPU = torch.device("cpu")
kept = torch.ones(64 * 2**20 // 4)
with peak(CPU) as nothing:
    kept.sum()
with peak(CPU) as one_after_another:
    for _ in range(3):
        torch.ones(64 * 2**20 // 4)
with peak(CPU) as together:
    held = [torch.ones(64 * 2**20 // 4) for _ in range(3)]
print(nothing.bytes, one_after_another.bytes, together.bytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system keeps no resettable peak")
def test_the_peak_counts_what_was_held_at_once_and_nothing_from_before():
    said = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True).stdout
    nothing, one_after_another, together = (int(number) / 2**20 for number in said.split())
    assert nothing < 16 and 60 < one_after_another < 150 and 185 < together < 250


@pytest.mark.skipif(sys.platform != "linux", reason="the system keeps no resettable peak")
def test_a_forgotten_peak_is_not_on_record_any_more():
    torch.ones(128 * 2**20 // 4)
    high = peak_memory()["peak_memory_bytes"]
    forget_peak(CPU)
    assert peak_memory()["peak_memory_bytes"] < high - 100 * 2**20


def test_some_memory_is_available():
    assert available(CPU) > 50 * 2**20


@pytest.mark.parametrize(("old", "line"), [(False, "0::/job/step"), (True, "4:memory:/job/step")])
def test_a_container_has_what_its_tightest_group_leaves(tmp_path, old, line):
    own, home = tmp_path / "cgroup", tmp_path / "groups" / ("memory" if old else "")
    own.write_text(f"9:name=systemd:/job\n{line}\n")
    limit, used = ("limit_in_bytes", "usage_in_bytes") if old else ("max", "current")
    for folder, most in (("job/step", "max"), ("job", "1000"), ("", "5000")):
        (home / folder).mkdir(parents=True, exist_ok=True)
        (home / folder / f"memory.{limit}").write_text(most + "\n")
        (home / folder / f"memory.{used}").write_text("700\n")
        (home / folder / "memory.stat").write_text(f"anon 1\n{'total_' if old else ''}inactive_file 50\n")
    assert sorted(_group_rooms(own, tmp_path / "groups")) == [350, 4350]
    assert _group_rooms(tmp_path / "none", tmp_path) == []


def test_time_is_that_of_the_call(monkeypatch):
    clock = iter((3.0, 5.5))
    monkeypatch.setattr("ddcore.runtime.machine.time.perf_counter", lambda: next(clock))
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


@pytest.fixture
def affinity(monkeypatch):
    """A process that may use some of a machine's cores; what it is bound to replaces them."""
    allowed = [{1, 3, 4, 6, 7}]
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: allowed[-1])
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, own: allowed.append(set(own)))
    return allowed


def test_the_cores_are_shared_out_without_overlap(affinity):
    parts = []
    for number in range(2):
        parts.append(bind(number, 2))
        assert affinity.pop() == set(parts[-1])
    assert parts == [[1, 3], [4, 6, 7]]


@pytest.mark.parametrize("count", [1, 6])
def test_one_process_and_too_many_are_left_alone(affinity, count):
    assert bind(0, count) == [1, 3, 4, 6, 7] and len(affinity) == 1


def test_a_container_share_counts_as_cores(tmp_path):
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert available_cores(tmp_path / "cpu.max") == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert available_cores(tmp_path / "cpu.max") >= 1
    assert available_cores(tmp_path / "nothing") >= torch.get_num_threads() // 64


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Make an nvidia-smi that says what it is told, on a machine whose torch sees no GPU."""

    def put(says, code=0):
        path = tmp_path / "nvidia-smi"
        path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name in ("CUDA_VISIBLE_DEVICES", "ACCELERATE_USE_CPU"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return put


def test_a_gpu_that_torch_does_not_see_is_told_with_both_versions(smi):
    smi("NVIDIA H200, 535.104.05")
    line = unseen_gpu()
    assert line.startswith(f"the NVIDIA H200 is not used: torch {torch.__version__} is made for ")
    assert "the driver is 535.104.05;" in line and "\n" not in line


@pytest.mark.parametrize("name, value", [("CUDA_VISIBLE_DEVICES", ""), ("ACCELERATE_USE_CPU", "true")])
def test_nothing_is_told_to_those_who_asked_for_the_cpu(smi, monkeypatch, name, value):
    smi("NVIDIA H200, 535.104.05")
    monkeypatch.setenv(name, value)
    assert unseen_gpu() == ""


def test_nothing_is_told_without_a_driver(smi, monkeypatch):
    smi("NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver", 9)
    assert unseen_gpu() == ""
    monkeypatch.setenv("PATH", "/nowhere")
    assert unseen_gpu() == ""
