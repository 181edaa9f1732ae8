from pathlib import Path

import pytest
import torch

from ddcore.errors import DDCoreError
from ddcore.runtime import estimates as forecast
from ddcore.runtime import files
from ddcore.runtime.estimates import Needs, check_room, needs, outlook

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
    # Three states of three tensors (one of them is being written), the set, and six pictures of a byte a pixel.
    assert large.disk == 100 * small.disk == (9 + 1 + 6 / 4) * 1000 * 28 * 28 * 4


def test_the_outlook_is_one_line(machine, tmp_path):
    line = outlook(4680, tmp_path, CPU)
    assert line.endswith(" GB and 78 minutes; 12.1 GB of memory and 70.0 GB of disk are free") and "about " in line
    assert "and 2.5 hours" in outlook(9000, tmp_path, CPU)


def test_the_fastest_step_of_the_probe_decides_and_is_measured_once(monkeypatch):
    probes = []
    monkeypatch.setattr(forecast, "_probe", lambda seconds: probes.append(seconds) or [0.5, 0.0062, 0.1])
    forecast.slowness.cache_clear()
    threads = torch.get_num_threads()
    assert forecast.slowness() == forecast.slowness() == pytest.approx(2.0) and probes == [2.0]
    assert torch.get_num_threads() == threads
    forecast.slowness.cache_clear()


def test_the_probe_times_at_least_one_step():
    assert len(forecast._probe(0.0)) == 1 and forecast._probe(0.0)[0] > 0
