"""A job that is run again makes the stages again whose inputs have changed, and no others: with the real programs."""

import importlib
import json
import shutil
from pathlib import Path

import pytest

from ddcore.job import record as record_module
from ddcore.job import runner
from ddcore.job.launch import Outcome
from ddcore.job.plan import Choices
from ddcore.job.runner import Job, Place
from ddcore.job.table import DatasetPlan, Output, Seeds, Stage

SELECT = {"selector": "random", "budget": 4, "seeds": Seeds.DRAWS}
STAGES = (
    Stage("teacher", "train_baseline", {"part": "fit", "net": "mlp", "steps": 5}, 1),
    Stage("whole", "train_baseline", {"part": "all", "net": "mlp", "steps": 5}, 1),
    Stage("soft", "select_subset", {**SELECT, "labels": "soft", "teacher": Output("teacher")}, 1),
    Stage("hard", "select_subset", SELECT, 1),
    Stage("soft-scores", "evaluate", {"set": Output("soft"), "nets": "mlp"}, 1),
    Stage("hard-scores", "evaluate", {"set": Output("hard"), "nets": "mlp"}, 1),
)
BEHIND_THE_TEACHER = ["soft", "soft-scores"]


def in_process(command, environment, log, screen) -> Outcome:
    """Call the program of a command line, in place of a process of its own; no report is made."""
    place = next(k for k, word in enumerate(command) if word.endswith(".py"))
    name = Path(command[place]).stem
    code = 0 if name == "make_report" else importlib.import_module(name).main(list(command[place + 1 :]))
    return Outcome(code, 0.1, 10, "it failed" if code else "")


@pytest.fixture
def job(pets, tmp_path, monkeypatch):
    """Run a job on the images in `pets`, and return what it said and the stages that it ran."""
    plan = DatasetPlan("images-pets", "Pets", (48, 24, 4), (48, 24, 4), STAGES, (), (), f"images:{pets}")
    monkeypatch.setattr(record_module, "PLANS", {})
    monkeypatch.setattr(runner, "run_logged", in_process)

    def run(complete: bool = True) -> tuple[list[str], list[str]]:
        said: list[str] = []
        place = Place(tmp_path / "runs", tmp_path, 1)
        job = Job([plan], Choices("cpu", quick=True, seeds=2, dataset=plan.address), place, said.append)
        assert job.run() == complete
        return said, [line.split("] images-pets/")[1].split(": done")[0] for line in said if ": done in" in line]

    return run


def test_a_teacher_that_was_trained_again_remakes_what_reads_it_and_nothing_else(job, tmp_path):
    train_baseline = importlib.import_module("train_baseline")
    home = tmp_path / "runs" / "images-pets"
    assert job()[1] == [stage.name for stage in STAGES]
    said, ran = job()
    assert not ran and "all 6 stages are finished" in said[0]
    before = {name: (home / name / "scores.json").read_bytes() for name in ("soft-scores", "hard-scores")}
    words = json.loads((home / "teacher" / "config.json").read_text())["options"]
    again = ["--part", "fit", "--net", "mlp", "--steps", "9", "--quick", "--dataset", words["dataset"]]
    shutil.rmtree(home / "teacher")
    assert train_baseline.main([*again, "--out", str(home / "teacher")]) == 0
    said, ran = job()
    assert ran == BEHIND_THE_TEACHER
    assert f"[3/6] images-pets/soft: made again, changed since: teacher {home}/teacher" in said
    assert f"[5/6] images-pets/soft-scores: made again, changed since: set {home}/soft" in said
    assert "[4/6] images-pets/hard: finished earlier" in said
    assert (home / "soft.old-1" / "seed-0" / "set.json").exists()
    assert (home / "soft-scores.old-1" / "scores.json").read_bytes() == before["soft-scores"]
    assert (home / "hard-scores" / "scores.json").read_bytes() == before["hard-scores"]
    record = json.loads((tmp_path / "runs" / "job.json").read_text())
    assert all(entry["status"] == "done" and entry["seconds"] == 0.1 for entry in record["stages"])
    assert not job()[1]


def test_a_stage_is_not_made_again_while_what_it_needs_fails(job, tmp_path, monkeypatch):
    home = tmp_path / "runs" / "images-pets"
    job()
    shutil.rmtree(home / "teacher")
    monkeypatch.setattr(importlib.import_module("train_baseline"), "main", lambda words: 1)
    said, ran = job(complete=False)
    assert not ran and "[3/6] images-pets/soft: not run, needs images-pets/teacher" in said
    monkeypatch.undo()


def test_changed_images_remake_everything(job, pets, tmp_path):
    job()
    shutil.copy(pets / "cat" / "003.png", pets / "cat" / "new.png")
    said, ran = job()
    assert ran == [stage.name for stage in STAGES]
    assert f"[1/6] images-pets/teacher: made again, changed since: data images:{pets}" in said
    assert not job()[1]


def test_another_commit_is_said(job, monkeypatch):
    monkeypatch.setenv("DDCORE_COMMIT", "1" * 40)
    job()
    monkeypatch.setenv("DDCORE_COMMIT", "2" * 40)
    said, ran = job()
    assert not ran and "[2/6] images-pets/whole: finished earlier, at commit 1111111" in said
