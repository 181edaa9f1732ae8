"""How a program begins: its output lasts, and a signal ends it in one line while it imports."""

import begin
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ddcore.data.task import cache_dir

SCRIPTS = Path(__file__).parents[2] / "scripts"
COMPILED = "TORCHINDUCTOR_CACHE_DIR"
# What a program does with torch, as far as its caches go.
COMPILES = """
import sys
sys.path.insert(0, sys.argv[1])
sys.argv[0] = sys.argv[1] + "/distill.py"
import begin
import torch._dynamo
"""
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


def kept(monkeypatch, **variables: str) -> str | None:
    """Return where torch is told to keep what it compiles, with these variables alone."""
    for name in (COMPILED, "DDCORE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.setenv(name, variables.get(name, ""))
    begin.keep_compiled()
    return os.environ[COMPILED] or None


def test_what_torch_compiles_is_kept_in_the_cache_folder(monkeypatch, tmp_path):
    home, other = str(tmp_path), str(tmp_path / "other")
    for variables in ({"HOME": home}, {"XDG_CACHE_HOME": other, "HOME": home}, {"DDCORE_CACHE": other, "HOME": home}):
        folder = kept(monkeypatch, **variables)
        assert Path(folder).samefile(cache_dir() / "inductor")
    monkeypatch.chdir(tmp_path)
    assert kept(monkeypatch, DDCORE_CACHE="here") == str(tmp_path / "here" / "inductor")
    assert kept(monkeypatch, HOME=home, TORCHINDUCTOR_CACHE_DIR="mine") == "mine"


def test_without_a_folder_to_write_torch_chooses(monkeypatch, tmp_path, locked_up):
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    (tmp_path / "file").touch()
    assert kept(monkeypatch, DDCORE_CACHE=str(tmp_path / "file")) is None
    assert kept(monkeypatch, HOME=str(tmp_path / "home")) is None and not (tmp_path / "home").exists()
    (tmp_path / "home").mkdir()
    with locked_up(tmp_path / "home", mode=0o500):
        assert kept(monkeypatch, HOME=str(tmp_path / "home")) is None
    assert kept(monkeypatch, HOME=str(tmp_path / "home")) is not None
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *arguments: False)  # there, but on a file system that is read-only now
        assert kept(monkeypatch, HOME=str(tmp_path / "home")) is None
    monkeypatch.setattr(Path, "home", nowhere)
    assert kept(monkeypatch) is None


def test_torch_leaves_nothing_in_the_temporary_folder(tmp_path):
    (tmp_path / "temporary").mkdir()
    usual = {name: value for name, value in os.environ.items() if name != COMPILED}
    environment = {**usual, "DDCORE_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path / "temporary")}
    subprocess.run([sys.executable, "-c", COMPILES, SCRIPTS], env=environment, check=True)
    assert (tmp_path / "cache" / "inductor").is_dir() and not list((tmp_path / "temporary").iterdir())


def test_the_main_process_is_the_one_that_speaks(monkeypatch):
    for count, rank, speaks in (("", "1", True), ("1", "1", True), ("2", "0", True), ("2", "1", False)):
        monkeypatch.setenv("WORLD_SIZE", count)
        monkeypatch.setenv("RANK", rank)
        assert begin.main_process() is speaks


def catches(process: subprocess.Popen, number: int) -> bool:
    """Return whether a process has a handler of its own for a signal."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    (mask,) = (line.split()[1] for line in lines if line.startswith("SigCgt:"))
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's view of a process")
@pytest.mark.parametrize(
    ("signals", "seconds", "codes"),
    [
        ([signal.SIGINT], 0.0, [130]),
        ([signal.SIGINT], 0.5, [130]),
        ([signal.SIGTERM], 0.1, [75]),
        ([signal.SIGTERM, signal.SIGINT], 0.2, [75, 130]),
    ],
)
def test_a_signal_while_it_imports_is_one_line(signals, seconds, codes, tmp_path):
    command = [sys.executable, SCRIPTS / "train_baseline.py", "--dataset", "digits", "--out", tmp_path / "run"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not catches(process, signal.SIGUSR1):
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(seconds)
    for number in signals:
        process.send_signal(number)
    line = process.communicate(timeout=60)[1]
    assert line == "stopped: nothing was begun\n" and process.returncode in codes
    assert not (tmp_path / "run").exists()
