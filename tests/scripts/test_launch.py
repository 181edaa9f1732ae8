"""Launching a program: which processes are started, what reaches them, and what comes back."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import launch
import pytest

REPO = Path(__file__).parents[2]
TWO = [
    "--multi_gpu",
    "--num_processes",
    "2",
    "--num_machines",
    "1",
    "--main_process_port",
    "0",
    "--mixed_precision",
    "no",
    "--dynamo_backend",
    "no",
]

# Says that it is there; ends with the code that it is given, or saves when it is told to and waits for SIGTERM.
PROGRAM = """
import os, pathlib, signal, sys, time
rank, code, here = os.environ.get("RANK", "alone"), sys.argv[1], pathlib.Path(__file__).parent
def save(number, frame):
    (here / f"{signal.Signals(number).name}-{rank}").touch()
    if number == signal.SIGTERM:
        sys.exit(75)
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, save)
(here / f"there-{rank}").write_text("|".join(sys.argv[1:]))
if code != "waits":
    sys.exit(int(code) if rank != "1" else 0)
while True:
    time.sleep(0.1)
"""


@pytest.fixture
def started(tmp_path):
    """Start the launcher with some words, on the program; its processes see no GPU."""
    (tmp_path / "program.py").write_text(PROGRAM)
    processes = []

    (tmp_path / "temporary").mkdir()

    def start(*words: str, options: tuple[str, ...] = ()) -> subprocess.Popen:
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
        environment["TMPDIR"] = str(tmp_path / "temporary")
        command = [sys.executable, REPO / "scripts" / "launch.py", *options, tmp_path / "program.py", *words]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_two_processes_get_the_launchers_signals_and_their_code_comes_back(started, tmp_path):
    process = started("waits", "a b", options=TWO)
    until = time.monotonic() + 400

    def both(name: str) -> None:
        while not all((tmp_path / f"{name}-{rank}").exists() for rank in (0, 1)):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)

    both("there")
    process.send_signal(signal.SIGUSR1)
    both("SIGUSR1")
    process.send_signal(signal.SIGTERM)
    complaint = process.communicate(timeout=400)[1]
    assert process.returncode == 75 and "Traceback" not in complaint, complaint
    assert all((tmp_path / f"SIGTERM-{rank}").exists() for rank in (0, 1))
    assert (tmp_path / "there-1").read_text() == "waits|a b"


def test_one_process_that_fails_is_the_launchers_code_and_nothing_is_left(started, tmp_path):
    process = started("3", options=TWO)
    complaint = process.communicate(timeout=400)[1]
    assert process.returncode == 3 and "Traceback" not in complaint
    assert not list((tmp_path / "temporary").iterdir())


def test_without_a_gpu_it_is_one_process_on_the_cpu(started, tmp_path):
    process = started("4", "a b", "*")
    complaint = process.communicate(timeout=400)[1]
    assert process.returncode == 4 and complaint == "launch: no GPU: one process on the CPU\n"
    assert (tmp_path / "there-alone").read_text() == "4|a b|*"


def test_two_gpus_get_a_process_each(monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr(launch.signal, "signal", lambda number, handler: None)
    called = []
    monkeypatch.setattr(launch, "launch", lambda words: called.append(words) or 0)
    assert launch.main(["program.py", "--seed", "1"]) == 0
    (words,) = called
    assert words[-3:] == ["program.py", "--seed", "1"] and words[words.index("--num_processes") + 1] == "2"
    assert "--multi_gpu" in words and capsys.readouterr().err == "launch: 2 GPUs: one process on each\n"


def test_a_signal_before_the_first_process_asks_to_be_started_again(monkeypatch):
    monkeypatch.setattr(launch.psutil.Process, "children", lambda process: [])
    with pytest.raises(SystemExit) as stopped:
        launch.pass_on(signal.SIGTERM, None)
    assert stopped.value.code == 75


def test_no_program_is_one_line(capsys):
    assert launch.main([]) == 2
    assert capsys.readouterr().err == "error: name the program to launch (see --help)\n"
