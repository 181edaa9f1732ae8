from pathlib import Path

import pytest
import torch

from ddcore.errors import DDCoreError
from ddcore.methods.registry import METHODS
from ddcore.runtime import estimates as forecast
from ddcore.runtime import files
from ddcore.runtime.estimates import Needs, check_room, needs, outlook, waiting

CPU = torch.device("cpu")
FREE = type("Usage", (), {"free": 70 * 10**9})


@pytest.fixture
def machine(monkeypatch):
    monkeypatch.setattr(forecast, "available", lambda device: 12_100_000_000)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda folder: FREE)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)


def test_what_cannot_fit_is_refused_with_numbers(machine, tmp_path):
    check_room(Needs(12 * 10**9, 60 * 10**9), tmp_path, CPU)
    with pytest.raises(DDCoreError, match=r"^needs about 31.0 GB of memory, 12.1 GB are free: lower --budget"):
        check_room(Needs(31 * 10**9, 0), tmp_path, CPU)
    with pytest.raises(DDCoreError, match=r"^needs about 80.1 GB of disk, 70.0 GB are free in .*: lower --budget"):
        check_room(Needs(0, 80 * 10**9), tmp_path, CPU)


def test_processes_of_one_machine_share_its_memory(machine, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with pytest.raises(DDCoreError, match=r"12.0 GB of memory, 3.0 GB are free"):
        check_room(Needs(12 * 10**9, 0), Path(), CPU)


def test_needs_grow_with_the_set_and_its_checkpoints():
    few, many = (torch.zeros(n, 1, 28, 28) for n in (10, 1000))
    small, large = (needs([x, x, x], [x], shards=8, pictures=5) for x in (few, many))
    assert large.memory == 100 * small.memory == 10 * 1000 * 28 * 28 * 4
    assert large.disk == 100 * small.disk > 9 * 1000 * 28 * 28 * 4


def test_the_outlook_is_one_line(machine, tmp_path):
    line = outlook(4680, tmp_path, CPU)
    assert line.endswith(" GB and 78 minutes; 12.1 GB of memory and 70.0 GB of disk are free") and "about " in line
    assert "and 2.5 hours" in outlook(9000, tmp_path, CPU)


@pytest.mark.parametrize(
    ("name", "given", "line"),
    [
        ("krr", {}, "1 part a step for 4 processes: 3 will wait; --shards 4 uses them all"),
        (
            "dd",
            {"networks": 2, "batches": 1},
            "2 parts a step for 4 processes: 2 will wait; --networks 4 uses them all",
        ),
        ("dm", {"shards": 1}, "1 part a step for 4 processes: 3 will wait; --networks 4 uses them all"),
        ("dc", {}, "2 parts a step for 4 processes: 2 will wait"),
        ("dm", {"networks": 2}, ""),
    ],
)
def test_processes_that_would_wait_are_told_of(toy, name, given, line):
    method = METHODS[name](net="mlp", **given)
    assert waiting(method, method.start(toy, 4, None, 0, CPU), 4) == line
