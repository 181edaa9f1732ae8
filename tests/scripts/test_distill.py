"""A run that is stopped by a real signal, and the one that nothing stopped."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import distill
import pytest
import torch
from toys import ONE_VALIDATION, problem, saved_networks, short_selector, started, toy_teacher

from ddcore.methods.dm import DM
from ddcore.options import changed, read_options
from ddcore.runtime.session import Session
from ddcore.runtime.signals import REQUEUE
from ddcore.selection.registry import SELECTORS

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
        "--validations",
        "1",
        "--validation-networks",
        "1",
        "--validation-steps",
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
    assert said.strip().splitlines()[-1] == "stopped: the same command resumes from the last checkpoint"
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
    with pytest.raises(SystemExit) if minutes != "-1" else pytest.MonkeyPatch.context():
        assert distill.main([*words(tmp_path / "run"), "--checkpoint-minutes", minutes]) == 2
    assert "--checkpoint-minutes" in capsys.readouterr().err


def typed(*words) -> DM:
    """What dm is after these words on the command line, briefly."""
    shared = ["--dataset", "toy", "--budget", "8", "--out", "run", "--net", "mlp"]
    return changed(read_options(distill.options().parse_args(["dm", *shared, *words]), DM), ONE_VALIDATION)


@pytest.mark.parametrize("flag", ["--init", "--images"])
@pytest.mark.parametrize("name", SELECTORS)
def test_any_selector_starts_the_images_of_a_method(name, flag, toy, monkeypatch, tmp_path):
    teacher, short = toy_teacher(toy, saved_networks(toy, tmp_path)), short_selector(name)
    # A selector that is named so has its default options, and those take longer than a test may.
    monkeypatch.setitem(SELECTORS, name, lambda: short)
    run = started(typed(flag, name), toy, 8, teacher)
    assert run.method.init == name
    members = short.select(problem(toy, 8, teacher), Session())
    assert torch.equal(run.chosen, members) and torch.equal(run.x, toy.inputs(toy.train.x[members]))
    assert toy.train.y[members].bincount().tolist() == [4, 4] and torch.isin(members, toy.fit).all()
    assert run.decode().options["init"] == name


def test_the_name_of_an_earlier_version_is_not_shown(capsys):
    with pytest.raises(SystemExit):
        distill.main(["dm", "--help"])
    shown = capsys.readouterr().out
    assert "--init" in shown and "--images" not in shown


def dd(out, *words):
    short = ["--net", "mlp", "--batches", "1", "--epochs", "2", "--steps", "1", "--real-batch", "20"]
    return ["dd", "--dataset", "digits", "--quick", "--budget", "10", *short, *words, "--out", str(out)]


def test_known_weights_are_not_what_images_start_as(tmp_path, capsys):
    assert distill.main(dd(tmp_path / "run", "--init", "known")) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.count("\n") == 1 and "--start-weights known" in told
    assert not (tmp_path / "run").exists(), "the corrected command would find the options of this one"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--init", "random"], "dd: the images start as random, the weights are random"),
        (["--start-weights", "known"], "dd: the images start as noise, the weights are known"),
    ],
)
def test_a_run_of_dd_says_first_what_its_images_start_as(words, line, tmp_path, capsys):
    assert distill.main(dd(tmp_path / "run", *words)) == 0
    assert capsys.readouterr().out.splitlines()[0] == line
