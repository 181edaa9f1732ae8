import os

import pytest
import torch

from ddcore import cores


@pytest.fixture
def machine(monkeypatch):
    """A process that may use some of a machine's cores; what it is bound to replaces them."""
    allowed = [{1, 3, 4, 6, 7}]
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: allowed[-1])
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, own: allowed.append(set(own)))
    return allowed


def test_the_cores_are_shared_out_without_overlap(machine):
    parts = []
    for number in range(2):
        parts.append(cores.bind(number, 2))
        assert machine.pop() == set(parts[-1])
    assert parts == [[1, 3], [4, 6, 7]]


@pytest.mark.parametrize("count", [1, 6])
def test_one_process_and_too_many_are_left_alone(machine, count):
    assert cores.bind(0, count) == [1, 3, 4, 6, 7] and len(machine) == 1


def test_a_container_share_counts_as_cores(tmp_path):
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert cores.available_cores(tmp_path / "cpu.max") == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cores.available_cores(tmp_path / "cpu.max") >= 1
    assert cores.available_cores(tmp_path / "nothing") >= torch.get_num_threads() // 64
