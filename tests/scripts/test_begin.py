"""How a program begins: its output lasts, and a signal ends it in one line while it imports."""

import begin
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
LIST = [sys.executable, SCRIPTS / "run_job.py", "--list", "--only", "digits"]


def listed(tmp_path, **streams) -> subprocess.CompletedProcess:
    return subprocess.run([*LIST, "--out", tmp_path / "runs"], stderr=subprocess.PIPE, text=True, **streams)


def test_a_reader_that_goes_away_ends_nothing(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = listed(tmp_path, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_or_a_closed_output_ends_nothing(tmp_path):
    with open("/dev/full", "w") as full:
        done = listed(tmp_path, stdout=full)
    assert (done.returncode, done.stderr) == (0, "")
    words = f"exec {' '.join(map(str, LIST))} --out {tmp_path}/runs 0<&- 1>&-"
    done = subprocess.run(["bash", "-c", words], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_lasting_stream_writes_what_it_can(tmp_path):
    reader, writer = os.pipe()
    stream = begin.lasting(writer)
    print("read \udcff", file=stream, flush=True)
    assert os.read(reader, 100) in (b"read \\udcff\n", b"read \xed\xb3\xbf\n")
    os.close(reader)
    for _ in range(3):
        print("not read", file=stream, flush=True)
    os.close(writer)


def test_the_main_process_is_the_one_that_speaks(monkeypatch):
    for count, rank, speaks in (("", "1", True), ("1", "1", True), ("2", "0", True), ("2", "1", False)):
        monkeypatch.setenv("WORLD_SIZE", count)
        monkeypatch.setenv("RANK", rank)
        assert begin.main_process() is speaks


@pytest.mark.parametrize(
    ("signals", "seconds", "code"),
    [
        ([signal.SIGINT], 0.3, 130),
        ([signal.SIGINT], 0.8, 130),
        ([signal.SIGTERM], 0.5, 75),
        ([signal.SIGTERM, signal.SIGINT], 0.6, None),
    ],
)
def test_a_signal_while_it_imports_is_one_line(signals, seconds, code, tmp_path):
    command = [sys.executable, SCRIPTS / "train_baseline.py", "--dataset", "digits", "--out", tmp_path / "run"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    for number in signals:
        process.send_signal(number)
    line = process.communicate(timeout=60)[1]
    assert line == "stopped: nothing was begun\n" and process.returncode in ([code] if code else [75, 130])
    assert not (tmp_path / "run").exists()
