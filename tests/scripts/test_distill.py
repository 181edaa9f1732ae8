"""A run that is stopped by a real signal, and the one that nothing stopped."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import distill
import pytest

from ddcore.runtime.signals import REQUEUE

PROGRAM = Path(distill.__file__)


def words(out, steps=6):
    return [
        "krr",
        "--dataset",
        "digits",
        "--profile",
        "cpu",
        "--budget",
        "20",
        "--net",
        "mlp",
        "--networks",
        "1",
        "--real-batch",
        "20",
        "--checks",
        "1",
        "--check-networks",
        "1",
        "--check-steps",
        "2",
        "--steps",
        str(steps),
        "--checkpoint-steps",
        "1",
        "--out",
        str(out),
    ]


def test_stopped_by_a_signal_it_asks_to_be_started_again_and_ends_with_the_same_bytes(tmp_path):
    # Long enough that it cannot be over before the signal comes; the learning rate falls with the steps, so that
    # the run that nothing stops has to be as long.
    cut, straight = words(tmp_path / "cut", 100), words(tmp_path / "straight", 100)
    with subprocess.Popen([sys.executable, str(PROGRAM), *cut], stderr=subprocess.PIPE, text=True) as process:
        try:
            end = time.monotonic() + 300
            while not (tmp_path / "cut" / "checkpoint.safetensors").exists():
                assert process.poll() is None and time.monotonic() < end
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == REQUEUE, said
    assert said.strip().splitlines()[-1] == "stopped: the same command goes on from the last checkpoint"
    assert not (tmp_path / "cut" / "done").exists()
    assert distill.main(cut) == 0 and distill.main(straight) == 0
    for name in ("set.safetensors", "set.json"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()
    assert not list((tmp_path / "cut").glob("*checkpoint*"))


def test_when_checkpoints_are_written_may_change_and_a_finished_run_stays(tmp_path, capsys):
    assert distill.main(words(tmp_path / "run")) == 0
    before = (tmp_path / "run" / "set.safetensors").stat().st_mtime_ns
    assert distill.main([*words(tmp_path / "run"), "--checkpoint-minutes", "2"]) == 0
    assert "is finished" in capsys.readouterr().out
    assert (tmp_path / "run" / "set.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("minutes", ["-1", "nan", "soon"])
def test_an_interval_that_is_no_time_is_one_line(tmp_path, capsys, minutes):
    with pytest.raises(SystemExit) if minutes == "soon" else pytest.MonkeyPatch.context():
        assert distill.main([*words(tmp_path / "run"), "--checkpoint-minutes", minutes]) == 2
    assert "--checkpoint-minutes" in capsys.readouterr().err
