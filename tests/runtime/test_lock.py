"""A run folder has one user at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from ddcore.errors import DDCoreError
from ddcore.runtime import lock
from ddcore.runtime.files import set_aside
from ddcore.runtime.lock import alone, hold, wait_until_free
from ddcore.runtime.run_folder import Run

# Holds the folder of its argument until it is killed.
HOLDER = """
import sys, time
from pathlib import Path
from ddcore.runtime import lock
from ddcore.runtime.lock import hold, wait_until_free
held = hold(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(100)
"""


@pytest.fixture
def holder(tmp_path):
    Run.start(tmp_path / "run", "toy", {"seed": 0}).lock.close()
    process = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path / "run"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_told_who_uses_the_folder_until_that_one_is_killed(holder, tmp_path):
    with pytest.raises(DDCoreError, match=rf"run is in use by process {holder.pid} on .*another --out"):
        Run.start(tmp_path / "run", "toy", {"seed": 0})
    with pytest.raises(DDCoreError, match="in use"):
        set_aside(tmp_path / "run")
    # The processes of one run are one user: only the main one holds the folder.
    assert Run.start(tmp_path / "run", "toy", {"seed": 0}, main=False).lock is None
    holder.kill()
    holder.wait()
    assert Run.start(tmp_path / "run", "toy", {"seed": 0}).lock is not None


def test_one_process_may_open_a_folder_twice_and_a_finished_run_is_free(tmp_path):
    first = Run.start(tmp_path / "run", "toy", {})
    assert Run.start(tmp_path / "run", "toy", {}).lock is None
    file = first.lock
    first.finish({})
    assert first.lock is None and not (tmp_path / "run" / ".lock").exists()
    file.close()
    assert Run.start(tmp_path / "run", "toy", {}).lock is None


def test_a_file_system_without_locks_is_used_without(tmp_path, monkeypatch):
    def flock(file, how):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    assert hold(tmp_path) is None


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DDCoreError, match=r"cannot write .*file/run/.lock: Not a directory"):
        hold(Path(tmp_path / "file" / "run"))


def test_a_folder_is_waited_for_until_its_user_ends(holder, tmp_path, monkeypatch):
    with pytest.raises(DDCoreError, match=f"in use by process {holder.pid}"):
        wait_until_free(tmp_path / "run", 0)

    def sleep(seconds: float) -> None:
        holder.kill()
        holder.wait()

    monkeypatch.setattr(lock.time, "sleep", sleep)
    wait_until_free(tmp_path / "run")
    assert Run.start(tmp_path / "run", "toy", {"seed": 0}).lock is not None
    wait_until_free(tmp_path / "elsewhere", 0)
    assert not (tmp_path / "elsewhere").exists()


# Is alone with the file of its argument until it is killed.
OWNER = """
import sys, time
from pathlib import Path
from ddcore.runtime.lock import alone
with alone(Path(sys.argv[1]), print):
    print("alone", flush=True)
    time.sleep(100)
"""


def test_one_is_alone_until_it_is_killed_and_the_next_waits(tmp_path, monkeypatch):
    path, said = tmp_path / "new" / ".lock", []
    owner = subprocess.Popen([sys.executable, "-c", OWNER, path], stdout=subprocess.PIPE, text=True)
    assert owner.stdout.readline() == "alone\n"

    def sleep(seconds: float) -> None:
        if len(sleeps) == 2:
            owner.kill()
            owner.communicate()
        sleeps.append(seconds)

    sleeps = []
    monkeypatch.setattr(lock.time, "sleep", sleep)
    with alone(path, said.append):
        assert path.exists() and len(sleeps) == 3
    assert len(said) == 1 and said[0].startswith(f"process {owner.pid} on ") and not path.exists()


def test_who_waited_for_a_file_that_was_removed_takes_the_new_one(tmp_path, monkeypatch):
    path = tmp_path / ".lock"
    real, calls = lock.fcntl.flock, []

    def flock(file, how):
        calls.append(how)
        if len(calls) == 1:
            path.unlink()  # by the owner, between opening and locking
        real(file, how)

    monkeypatch.setattr("fcntl.flock", flock)
    with alone(path, calls.append):
        assert path.exists() and len(calls) == 2
    assert not path.exists()


def test_without_locks_nobody_waits_and_what_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    def flock(file, how):
        raise OSError(37, "No locks available")

    (tmp_path / "file").touch()
    with pytest.raises(DDCoreError, match=r"cannot write .*file/.lock: "), alone(tmp_path / "file" / ".lock", print):
        pass
    monkeypatch.setattr("fcntl.flock", flock)
    with alone(tmp_path / ".lock", pytest.fail), alone(tmp_path / ".lock", pytest.fail):
        pass
