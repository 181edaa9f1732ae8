"""Several processes: one ends, and the others with it, in one line."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from torch.distributed import TCPStore

from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime import watchdog as peers
from ddcore.runtime.watchdog import KILLED, Peers

TWO = [
    sys.executable,
    "-m",
    "accelerate.commands.launch",
    "--multi_gpu",
    "--main_process_port",
    "0",
    "--num_processes",
    "2",
    "--num_machines",
    "1",
    "--mixed_precision",
    "no",
    "--dynamo_backend",
    "no",
    "--num_cpu_threads_per_process",
    "1",
]
MEMBER = Path(__file__).parents[1] / "toys" / "member.py"


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("full", "error: process 2 of 2 ended: the disk is full"),
        ("kill", f"error: process 2 of 2 ended: {KILLED}"),
    ],
)
def test_one_process_ends_the_others_with_one_line_within_30_seconds(tmp_path, what, line):
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true"}
    words = list(map(str, [*TWO, MEMBER, what, tmp_path / "when"]))
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
    # The launcher's own report follows; that of the processes is this line.
    assert [each for each in ended.stderr.splitlines() if each.startswith("error:")] == [line], ended.stderr
    assert "Error: " not in ended.stderr.split("closing signal")[0] and ended.returncode == 1
    assert time.time() - float((tmp_path / "when").read_text()) < 30


@pytest.fixture
def two(monkeypatch):
    """Two processes of one machine, both of them this one; nobody waits long."""
    monkeypatch.setattr(peers, "GRACE", 0.2)
    monkeypatch.setattr(peers, "PATIENCE", 1.0)
    monkeypatch.setattr(peers, "BEAT", 0.05)
    store = TCPStore("localhost", 0, is_master=True)
    yield [Peers(rank, 2, "0", ("localhost", store.port)) for rank in range(2)]


def test_a_process_that_hangs_is_ended_with_the_reason_of_the_other(two):
    said = []
    done = threading.Event()
    two[0].watch(lambda line: (said.append(line), done.set()))
    told = two[1].conclusion(DDCoreError("the disk is full"))
    assert str(told) == "process 2 of 2 ended: the disk is full"
    assert done.wait(10) and said == [""]


def test_a_process_that_is_gone_is_missed_unless_it_left(two):
    said = []
    done = threading.Event()
    store = two[0]._store()
    child = subprocess.Popen([sys.executable, "-c", ""])
    store.set(two[0]._key("pid", 1), json.dumps(["1", child.pid]))
    child.wait()
    assert two[0]._ended(store) is None, "it is of another machine"
    store.set(two[0]._key("pid", 1), json.dumps(["0", child.pid]))
    assert two[0]._ended(store) == (1, KILLED)
    two[1].leave()
    assert two[0]._ended(store) is None
    store.delete_key(two[0]._key("left", 1))
    two[0].watch(lambda line: (said.append(line), done.set()))
    assert done.wait(10) and said == [f"process 2 of 2 ended: {KILLED}"]


def test_only_the_first_to_fail_says_so(two):
    assert isinstance(two[0].conclusion(UsageError("no such budget")), UsageError)
    silent = two[1].conclusion(UsageError("no such budget"))
    assert isinstance(silent, SystemExit) and silent.code == 2


def test_a_lack_of_memory_is_told_with_what_helps(two):
    told = str(two[1].conclusion(MemoryError("cannot allocate")))
    assert told == "process 2 of 2 ended: out of memory (cannot allocate); try a smaller budget or network"


def test_an_error_of_the_library_that_a_gpu_reports_later_is_not_this_processs_own(two, monkeypatch):
    monkeypatch.setattr(peers, "PATIENCE", 0.1)
    told = str(two[0].conclusion(RuntimeError("NCCL error: remote process exited or there was a network error")))
    assert told.startswith("process 2 of 2 ended: ")


def test_an_interruption_and_a_bug_stay_what_they_are(two):
    stopped, bug = KeyboardInterrupt(), ValueError("odd")
    assert two[0].conclusion(stopped) is stopped
    assert two[1].conclusion(bug) is bug
    # The launcher's signal, after the bug of another.
    assert isinstance(two[0].conclusion(KeyboardInterrupt()), SystemExit)


def test_processes_find_out_whether_all_came_to_a_place(two):
    assert not two[0].all_at("alone", 0.1)
    came = []
    other = threading.Thread(target=lambda: came.append(two[1].all_at("both", 10)))
    other.start()
    assert two[0].all_at("both", 10)
    other.join()
    assert came == [True]


def test_a_store_that_is_gone_changes_nothing(two):
    alone = Peers(0, 2, "0", ("localhost", 1))
    error = DDCoreError("the disk is full")
    assert alone.conclusion(error) is error
    alone.leave()


def test_a_process_alone_watches_nobody(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert Peers.here() is None
