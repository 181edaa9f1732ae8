"""What a launcher says in the environment, and the wait for other processes."""

import threading

import pytest

from ddcore.errors import UsageError
from ddcore.runtime import launcher
from ddcore.runtime.launcher import arrival, check_counts, check_engine
from ddcore.runtime.processes import open_processes
from ddcore.runtime.watchdog import together

NAMES = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "ACCELERATE_MIXED_PRECISION",
)


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"WORLD_SIZE": ""}, "has WORLD_SIZE='', which is no number from 1: unset WORLD_SIZE"),
        ({"LOCAL_WORLD_SIZE": "0"}, "has LOCAL_WORLD_SIZE='0', which is no number from 1"),
        ({"MASTER_PORT": "http"}, "has MASTER_PORT='http', which is no number from 0"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "has RANK=2 of WORLD_SIZE=2: unset both"),
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "does not run under DeepSpeed: unset ACCELERATE_USE_DEEPSPEED"),
        ({"ACCELERATE_USE_FSDP": "1"}, "does not run under FSDP"),
        ({"ACCELERATE_MIXED_PRECISION": "bf16"}, "computes in float32, not in bf16: leave out --mixed_precision"),
    ],
)
def test_what_ddcore_does_not_do_is_refused_in_one_line(given, line, monkeypatch):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=line), together(lambda line: None):
        open_processes()


def test_usual_environments_pass(monkeypatch):
    check_counts()
    usual = {"RANK": "1", "LOCAL_RANK": "-1", "ACCELERATE_USE_DEEPSPEED": "false", "ACCELERATE_MIXED_PRECISION": "no"}
    for given in (usual, {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_PORT": "29500"}):
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        check_counts()
        check_engine()


@pytest.fixture
def lines(monkeypatch):
    """What is said and what ends a wait of at most a fraction of a second."""
    monkeypatch.setattr(launcher, "NOTICE", 0.02)
    monkeypatch.setattr(launcher, "ALONE", 0.1)
    said, ended = [], threading.Event()

    def wait(minutes: float) -> list[str]:
        with arrival(minutes, said.append, lambda line: (said.append(line), ended.set())):
            assert ended.wait(10)
        return said

    return wait


def test_a_count_that_is_left_over_ends_after_a_minute(lines, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    problem = "WORLD_SIZE=3 is set without RANK, MASTER_ADDR, MASTER_PORT: no launcher started this"
    assert lines(30) == [
        f"waiting for the other 2 of 3 processes ({problem})",
        f"the other 2 of 3 processes ({problem}) did not come in 0 s: unset WORLD_SIZE",
    ]


def test_a_launcher_waits_as_long_as_is_asked_for(lines, monkeypatch):
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "0"), ("MASTER_ADDR", "host"), ("MASTER_PORT", "99")):
        monkeypatch.setenv(name, value)
    said = lines(0.2 / 60)
    assert said == [
        "waiting for the other 1 of 2 processes (at host:99)",
        "the other 1 of 2 processes (at host:99) did not come in 0 s: start them, or give a longer --wait",
    ]


def test_nothing_is_said_once_all_are_there(monkeypatch):
    monkeypatch.setattr(launcher, "NOTICE", 0.01)
    said = []
    for count in ("1", "2"):
        monkeypatch.setenv("WORLD_SIZE", count)
        with arrival(30, said.append, said.append):
            assert threading.active_count() >= 1
    assert not said and not [
        each for each in threading.enumerate() if isinstance(each, threading.Timer) and not each.finished.is_set()
    ]
