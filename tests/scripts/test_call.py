"""One call of a stage program: the data set, the run folders and what is said."""

import argparse
import json
import logging
from types import SimpleNamespace

import pytest
import torch

from call import QUICK_TRAIN, Call
from ddcore.errors import UsageError
from ddcore.runtime.logs import LOG
from ddcore.runtime.run_folder import Interval


@pytest.fixture
def call(tmp_path):
    def made(**more) -> Call:
        options = {"dataset": "digits", "data": tmp_path, "out": tmp_path / "run", "seed": 3, "seeds": 1, "net": "mlp"}
        others = {
            "wait": 30.0,
            "profile": None,
            "quick": False,
            "fresh": False,
            "debug": False,
            "tracker": None,
            "note": None,
        }
        return Call("toy", argparse.Namespace(**{**options, **others, **more}), "scripts/toy.py --seed 3")

    return made


@pytest.fixture(autouse=True)
def handlers():
    """What a call adds to the log ends with the test."""
    before = list(LOG.handlers)
    yield
    LOG.handlers[:] = before


def config(folder):
    return json.loads((folder / "config.json").read_text())


def test_a_session_keeps_what_decides_the_result_and_nothing_else(call, tmp_path):
    session = call().session("toy", apart=["seeds"], profile="cpu", nets=["mlp", "lenet"])
    kept = {"dataset": "digits", "seed": 3, "net": "mlp", "quick": False, "profile": "cpu", "nets": ["mlp", "lenet"]}
    assert config(session.folder)["options"] == kept and config(session.folder)["stage"] == "toy"
    assert config(session.folder)["command"] == "scripts/toy.py --seed 3"
    assert session.main and not session.finished and session.progress is not None
    session.run.log(1, loss=0.5)
    with pytest.raises(UsageError, match="seed was 3, now 4"):
        call(seed=4).session("toy", apart=["seeds"], profile="cpu", nets=["mlp", "lenet"])
    call(seed=4, fresh=True).session("toy", apart=["seeds"])
    assert config(tmp_path / "run.old-1")["options"] == kept


def test_the_content_of_a_users_own_data_decides_the_result(call, pets):
    made = call(dataset=f"images:{pets}")
    assert config(made.session("toy").folder)["options"]["content"] == made.task.content != ""


def test_several_seeds_have_folders_of_their_own(call, tmp_path):
    alone = [(seed, session.folder) for seed, session in call().sessions("toy")]
    assert alone == [(3, tmp_path / "run")] and config(tmp_path / "run")["options"]["seed"] == 3
    several = call(seeds=2, out=tmp_path / "more").sessions("toy", ["net"], Interval(7.0, 9))
    folders = []
    for seed, session in several:
        assert session.run.interval == Interval(7.0, 9)
        options = config(session.folder)["options"]
        assert options["seed"] == seed and options["profile"] == "cpu" and "net" not in options
        folders.append(session.folder)
    assert folders == [tmp_path / "more" / "seed-3", tmp_path / "more" / "seed-4"]


def test_a_finished_run_says_so(call, capsys, tmp_path):
    made = call()
    session = made.session("toy")
    assert not made.finished(session) and not capsys.readouterr().out
    session.finish({"members": 1})
    assert made.finished(call().session("toy")) and f"{tmp_path / 'run'} is finished" in capsys.readouterr().out


def test_quick_cuts_the_data_set_and_a_profile_is_what_is_there(call):
    assert len(call().task.train) == 1437 and len(call(quick=True).task.train) <= QUICK_TRAIN
    assert call().profile == "cpu" and call(profile="gpu").profile == "gpu"
    made = call()
    made.__dict__["processes"] = SimpleNamespace(device=torch.device("cuda"), is_main_process=True)
    assert made.profile == "gpu"


def test_lines_are_printed_by_the_main_process_and_kept_in_its_log(call, capsys, monkeypatch):
    kept = []
    monkeypatch.setattr(LOG, "info", lambda line, *words: kept.append(line % words))
    made = call()
    made.say("ten members")
    assert kept == ["ten members"] and capsys.readouterr().out == "ten members\n"
    made.__dict__["processes"] = SimpleNamespace(is_main_process=False)
    made.say("another")
    assert kept == ["ten members"] and not capsys.readouterr().out


def test_warnings_of_the_log_are_shown(call, capsys):
    call().session("toy")
    LOG.warning("a damaged file")
    LOG.info("a detail")
    assert capsys.readouterr().err == "warning: a damaged file\n" and LOG.level <= logging.INFO


def test_what_is_logged_goes_to_the_tracker(call, monkeypatch):
    seen = []
    monkeypatch.setattr("call.tracker", lambda name, folder: lambda *line: seen.append((name, folder.name, *line)))
    session = call(tracker="toyboard").session("toy")
    session.run.log(2, loss=0.5)
    assert seen == [("toyboard", "run", 2, {"loss": 0.5})]
