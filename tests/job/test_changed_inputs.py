"""A job that is run again makes the stages again whose inputs have changed, and no others."""

import json
import shutil
from itertools import pairwise
from pathlib import Path

import fetch_data
import pytest

from ddcore.api import load_task
from ddcore.job import record as record_module
from ddcore.job import runner
from ddcore.job.launch import Outcome
from ddcore.job.plan import Choices
from ddcore.job.runner import Job, Place
from ddcore.job.table import DatasetPlan, Output, Seeds, Stage
from ddcore.runtime.files import write_json
from ddcore.runtime.run_folder import Run
from ddcore.training.inputs import inputs_of

SELECT = {"selector": "random", "budget": 4, "seeds": Seeds.DRAWS}
STAGES = (
    Stage("teacher", "train_baseline", {"part": "fit"}, 1),
    Stage("whole", "train_baseline", {"part": "all"}, 1),
    Stage("soft", "select_subset", {**SELECT, "labels": "soft", "teacher": Output("teacher")}, 1),
    Stage("hard", "select_subset", SELECT, 1),
    Stage("soft-scores", "evaluate", {"set": Output("soft")}, 1),
    Stage("hard-scores", "evaluate", {"set": Output("hard")}, 1),
)
NAMES = [stage.name for stage in STAGES]
FAILING = []


def program(words: list[str]) -> None:
    """Finish the run folders of a stage, each with a product that depends on all that went in."""
    options = {flag[2:]: value for flag, value in pairwise(words) if flag.startswith("--")}
    out, seeds = Path(options.pop("out")), int(options.get("seeds", 1))
    inputs = inputs_of(load_task(options["dataset"]), options)
    for folder in [out / f"seed-{seed}" for seed in range(seeds)] if seeds > 1 else [out]:
        run = Run.start(folder, "stage", options, "", inputs)
        if not run.finished:
            for name in ("teacher.safetensors", "set.json", "scores.json"):
                write_json(folder / name, inputs)
            run.finish({})


def in_process(command, environment, log, screen) -> Outcome:
    """Do the work of a command line, in place of a process of its own; no report is made."""
    place = next(k for k, word in enumerate(command) if word.endswith(".py"))
    name, words = Path(command[place]).stem, list(command[place + 1 :])
    if name in FAILING:
        return Outcome(1, 0.1, 10, "the loss is nan")
    if name == "fetch_data":
        assert fetch_data.main(words) == 0
    elif name != "make_report":
        program(words)
    return Outcome(0, 0.1, 10, "")


@pytest.fixture
def home(tmp_path):
    return tmp_path / "runs" / "images-pets"


@pytest.fixture
def job(pets, tmp_path, monkeypatch):
    """Run a job on the images in `pets`, and return what it said and the stages that it ran."""
    plan = DatasetPlan("images-pets", "Pets", (48, 24, 4), (48, 24, 4), STAGES, (), (), f"images:{pets}")
    monkeypatch.setattr(record_module, "PLANS", {})
    monkeypatch.setattr(runner, "run_logged", in_process)

    def run(complete: bool = True) -> tuple[list[str], list[str]]:
        said: list[str] = []
        place = Place(tmp_path / "runs", tmp_path, 1)
        job = Job([plan], Choices("cpu", seeds=2, dataset=plan.address), place, said.append)
        assert job.run() == complete
        return said, [line.split("] images-pets/")[1].split(": done")[0] for line in said if ": done in" in line]

    yield run
    FAILING.clear()


def retrain(home) -> None:
    """Train the teacher again, in place."""
    write_json(home / "teacher" / "teacher.safetensors", "another teacher")


def test_a_teacher_that_was_trained_again_remakes_what_reads_it_and_nothing_else(job, home):
    assert job()[1] == NAMES
    said, ran = job()
    assert not ran and "all 6 stages are finished" in said[0]
    before = {name: (home / name / "scores.json").read_bytes() for name in ("soft-scores", "hard-scores")}
    retrain(home)
    said, ran = job()
    assert ran == ["soft", "soft-scores"]
    assert f"[3/6] images-pets/soft: made again, changed since: teacher {home}/teacher" in said
    assert f"[5/6] images-pets/soft-scores: made again, changed since: set {home}/soft" in said
    assert "[4/6] images-pets/hard: finished earlier" in said
    assert (home / "soft.old-1" / "seed-0" / "set.json").exists()
    assert (home / "soft-scores.old-1" / "scores.json").read_bytes() == before["soft-scores"]
    assert (home / "soft-scores" / "scores.json").read_bytes() != before["soft-scores"]
    assert (home / "hard-scores" / "scores.json").read_bytes() == before["hard-scores"]
    record = json.loads((home.parent / "job.json").read_text())
    assert all(entry["status"] == "done" and entry["seconds"] == 0.1 for entry in record["stages"])
    assert not job()[1]


def test_an_interrupted_stage_begins_again_after_a_change(job, home):
    job()
    (home / "soft" / "seed-1" / "done").unlink()
    assert job()[1] == ["soft"] and not (home / "soft.old-1").exists()
    (home / "soft" / "seed-1" / "done").unlink()
    retrain(home)
    assert job()[1] == ["soft", "soft-scores"] and (home / "soft.old-1").exists()


def test_a_stage_is_not_made_again_while_what_it_needs_fails(job, home):
    job()
    shutil.move(home / "teacher", home / "away")
    FAILING.append("train_baseline")
    said, ran = job(complete=False)
    assert not ran and "[3/6] images-pets/soft: not run, needs images-pets/teacher" in said
    shutil.move(home / "away", home / "teacher")
    said, ran = job()
    assert not ran and "all 6 stages are finished" in said[0]


def test_changed_images_remake_everything(job, pets):
    job()
    shutil.copy(pets / "cat" / "003.png", pets / "cat" / "new.png")
    said, ran = job()
    assert ran == NAMES
    assert f"[1/6] images-pets/teacher: made again, changed since: data images:{pets}" in said
    assert not job()[1]


def test_another_commit_is_said(job, monkeypatch):
    monkeypatch.setenv("DDCORE_COMMIT", "1" * 40)
    job()
    monkeypatch.setenv("DDCORE_COMMIT", "2" * 40)
    said, ran = job()
    assert not ran and "[2/6] images-pets/whole: finished earlier, at commit 1111111" in said
