"""A whole job with stand-ins for its programs: order, failures, going on, no data."""

import json
import os
import signal
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from ddcore.errors import DDCoreError
from ddcore.job import record as record_module
from ddcore.job import runner
from ddcore.job.launch import Outcome
from ddcore.job.plan import Choices
from ddcore.job.runner import Job, Place, in_folder
from ddcore.training.ledger import read_ledger

DEFAULT = Choices("cpu")


def calls(folder: Path) -> int:
    """Return how often a stage ran."""
    path = folder / "calls"
    return len(path.read_text()) if path.exists() else 0


@pytest.fixture
def job(tmp_path, programs, toy_plan, monkeypatch):
    monkeypatch.setattr(record_module, "PLANS", {"imdb": toy_plan})
    lines: list[str] = []

    def build(choices: Choices = DEFAULT) -> Job:
        lines.clear()
        made = Job([toy_plan], choices, Place(tmp_path / "runs", tmp_path / "data", 2, scripts=programs), lines.append)
        made.lines = lines
        return made

    return build


def test_a_job_runs_every_stage_once_and_ends_with_its_results(job, tmp_path):
    first = job()
    assert first.run()
    said = "\n".join(first.lines)
    assert "3 stages on 2 CPU cores: about" in first.lines[0]
    assert "toy, half" in said and "−0.50 points" in said and first.lines[-1].endswith("runs/report/report.html")
    again = job()
    assert again.run() and "all 3 stages are finished" in again.lines[0]
    assert all(calls(tmp_path / "runs" / "imdb" / name) == 1 for name in ("baseline", "half", "half-hard"))


def test_a_failing_stage_stops_only_what_needs_it(job, tmp_path, monkeypatch):
    monkeypatch.setenv("FAIL", "half")
    broken = job()
    assert not broken.run()
    said = "\n".join(broken.lines)
    assert "FAILED: imdb/half: the loss is nan" in said and "imdb/half-hard: not run, needs imdb/half" in said
    assert calls(tmp_path / "runs/imdb/baseline") == 1
    states = {
        entry["name"]: entry["status"] for entry in json.loads((tmp_path / "runs/job.json").read_text())["stages"]
    }
    assert states == {"imdb/baseline": "done", "imdb/half": "failed", "imdb/half-hard": "skipped"}
    monkeypatch.delenv("FAIL")
    assert job().run() and calls(tmp_path / "runs/imdb/baseline") == 1


def test_the_test_readings_of_a_job_go_to_a_ledger_once_and_only_when_asked(job, tmp_path, monkeypatch):
    path = tmp_path / "runs" / "ledger.jsonl"
    monkeypatch.setenv("FAIL", "half-hard")
    assert not job().run() and not path.exists()
    monkeypatch.delenv("FAIL")
    for _ in range(2):  # stages that finished earlier are on record, too
        asked = job()
        asked.place = replace(asked.place, ledger=path)
        assert asked.run()
        readings = read_ledger(path)
        assert [each["score"] for each in readings] == [0.91, 0.905]
        assert {each["why"] for each in readings} == {"figure"} and readings[0]["date"] == "2026-11-26"
    path.write_text("{")
    with pytest.raises(DDCoreError, match="line 1, is damaged"):
        asked.run()


def test_without_data_the_same_job_runs_on_digits_and_is_not_complete(job, tmp_path, monkeypatch, toy_plan):
    digits = replace(toy_plan, dataset="digits", title="digits")
    monkeypatch.setattr(record_module, "PLANS", {"imdb": toy_plan, "digits": digits})
    monkeypatch.setattr(runner, "DIGITS", digits)
    monkeypatch.setenv("NO_DATA", "imdb")
    poor = job()
    assert not poor.run()
    assert sum(line.startswith("NO DATA: nothing is there and nothing can be downloaded") for line in poor.lines) == 1
    assert calls(tmp_path / "runs/digits/half-hard") == 1 and calls(tmp_path / "runs/imdb/baseline") == 0
    monkeypatch.delenv("NO_DATA")
    assert job().run()


def test_seeds_add_the_comparisons(job, tmp_path):
    assert job(Choices("cpu", seeds=2)).run()
    assert calls(tmp_path / "runs/imdb/chance") == 1 and calls(tmp_path / "runs/imdb/half/seed-4") == 1


def test_an_interrupted_job_is_written_down(job, tmp_path, monkeypatch):
    monkeypatch.setenv("SLOW", "half")
    log = tmp_path / "runs/logs/imdb-half.log"

    def interrupt():
        while "slow" not in (log.read_text() if log.exists() else ""):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        job().run()
    states = {
        entry["name"]: entry["status"] for entry in json.loads((tmp_path / "runs/job.json").read_text())["stages"]
    }
    assert states["imdb/baseline"] == "done" and states["imdb/half"] == "pending"


def test_a_full_disk_is_told_before_anything_runs(job, monkeypatch):
    monkeypatch.setattr(runner.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(DDCoreError, match="make room"):
        job().run()


def test_a_folder_inside_the_current_one_gets_the_same_name_however_it_is_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for out in (tmp_path / "runs", tmp_path / "runs" / "..", tmp_path / "x" / ".." / "runs"):
        assert not in_folder(Place(out, tmp_path, 2)).out.is_absolute()
    assert in_folder(Place(tmp_path.parent / "runs", tmp_path, 2)).out.is_absolute()


def test_a_data_set_that_was_asked_for_is_not_replaced_by_digits(job, monkeypatch, tmp_path):
    monkeypatch.setenv("NO_DATA", "imdb")
    asked = job(Choices("cpu", dataset="imdb"))
    with pytest.raises(DDCoreError, match="nothing is there"):
        asked.run()
    assert not (tmp_path / "runs/digits").exists() and not any("NO DATA" in line for line in asked.lines)


def test_the_words_of_an_own_data_set_reach_every_program_and_its_results_the_record(job, toy_plan, tmp_path):
    own = replace(toy_plan, dataset="images-pets", address="images:pets")
    made = job(Choices("cpu", dataset="images:pets"))
    made.plans = [own]
    made.record = made._opened()
    assert made.run()
    content = json.loads((tmp_path / "runs/job.json").read_text())
    assert content["stages"][0]["folder"] == "images-pets/baseline" and "images:pets" in content["stages"][0]["command"]
    assert [entry["dataset"] for entry in content["results"]] == ["images-pets"] * 2


def test_a_log_is_not_written_through_a_link_out_of_the_folder(job, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "logs").symlink_to(tmp_path / "theirs")
    with pytest.raises(DDCoreError, match=r"'logs/data-imdb\.log' leads out of"):
        job().run()
    assert not any((tmp_path / "theirs").iterdir())


@pytest.mark.parametrize("cores, gpus, threads", [(1, 0, 1), (4, 0, 4), (8, 2, 8), (1, 2, 1)])
def test_a_stage_has_the_cores_that_its_processes_leave_it(job, monkeypatch, cores, gpus, threads):
    """The toy's stages take one GPU at most."""
    made, asked = job(), []
    made.place = replace(made.place, cores=cores, gpus=gpus)
    call = made._call

    def watched(name: str, command: list[str], *threads: int) -> Outcome:
        asked.extend(threads)
        return call(name, command, *threads)

    monkeypatch.setattr(made, "_call", watched)
    monkeypatch.setattr(runner, "monitored", lambda: nullcontext([0.5]))
    made.run()
    assert asked and set(asked) == {threads}
