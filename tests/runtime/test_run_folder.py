import json
from functools import partial

import pytest

from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime import files
from ddcore.runtime.logs import LOG
from ddcore.runtime.run_folder import Run, other_commits, seed_folders


def test_the_same_command_goes_on_with_its_folder(tmp_path):
    first = Run.start(tmp_path / "run", "distill", {"budget": 10})
    first.log(1, loss=0.5)
    again = Run.start(tmp_path / "run", "distill", {"budget": 10})
    assert not again.finished
    again.finish({"members": 10})
    assert Run.start(tmp_path / "run", "distill", {"budget": 10}).finished
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["members"] == 10 and result["peak_memory_bytes"] > 10**7


def test_other_options_are_refused_and_named(tmp_path):
    Run.start(tmp_path / "run", "distill", {"budget": 10, "seed": 0}).log(1, loss=0.5)
    with pytest.raises(UsageError, match="budget was 10, now 20"):
        Run.start(tmp_path / "run", "distill", {"budget": 20, "seed": 0})


@pytest.mark.parametrize("begun", ["logs/rank-0.log", "tracker/run/events", "cells/dm/config.json", ".lock", "notes/"])
def test_a_folder_in_which_nothing_was_made_is_taken_over(tmp_path, begun):
    Run.start(tmp_path / "run", "distill", {"embedding": "wrong"}, "distill.py --embedding wrong")
    place = tmp_path / "run" / begun
    (place if begun.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
    place.write_text("begun") if not begun.endswith("/") else None
    Run.start(tmp_path / "run", "distill", {"embedding": "right"}, "distill.py --embedding right")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["options"] == {"embedding": "right"} and config["command"].endswith("right")


@pytest.mark.parametrize("thing", ["checkpoint.safetensors", "cells/dm/done", "metrics.jsonl"])
def test_a_folder_in_which_something_was_made_keeps_its_options(tmp_path, thing):
    Run.start(tmp_path / "run", "distill", {"budget": 10})
    (tmp_path / "run" / thing).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "run" / thing).write_text("made")
    with pytest.raises(UsageError, match=r"budget was 10, now 20.*--fresh"):
        Run.start(tmp_path / "run", "distill", {"budget": 20})


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="holds no run"):
        Run.start(tmp_path, "distill", {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_disk_that_is_nearly_full_is_refused_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: files.shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(DDCoreError, match="are free"):
        Run.start(tmp_path / "run", "distill", {})


def test_the_seconds_of_a_run_that_was_stopped_count_up_to_its_last_checkpoint(tmp_path):
    first = Run.start(tmp_path / "run", "distill", {})
    first.started -= 100
    first.pause()
    first.started -= 50
    first.pause()
    first.started -= 1000  # lost: nothing was kept after the second checkpoint
    again = Run.start(tmp_path / "run", "distill", {})
    again.started -= 20
    again.finish({})
    assert 170 <= json.loads((tmp_path / "run" / "result.json").read_text())["seconds"] < 175


@pytest.mark.parametrize("name", ["metrics.jsonl", "cells"])
def test_a_link_out_of_the_folder_is_refused(tmp_path, name):
    Run.start(tmp_path / "run", "distill", {})
    theirs = tmp_path / "theirs"
    theirs.mkdir() if name == "cells" else theirs.write_text("kept")
    (tmp_path / "run" / name).symlink_to(theirs)
    with pytest.raises(UsageError, match=f"run/{name} is a link out of .*run: remove it"):
        Run.start(tmp_path / "run", "distill", {})
    assert name == "cells" or theirs.read_text() == "kept"


def test_a_run_folder_may_itself_be_a_link(tmp_path):
    (tmp_path / "large-disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "large-disk")
    Run.start(tmp_path / "run", "distill", {}).log(1, loss=0.5)
    Run.start(tmp_path / "run", "distill", {}).log(2, loss=0.5)
    assert (tmp_path / "large-disk" / "metrics.jsonl").read_text().count("loss") == 2


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.json", "[]", "its content is not an object"),
        ("config.json", '{"options": []}', "'options' is not an object"),
        ("config.json", '{"format": "2"}', "'format' is not a whole number"),
        ("seconds", "long", "it is not JSON"),
        ("seconds", "[1]", "it holds no number of seconds; delete it"),
        ("seconds", "Infinity", "it is not JSON"),
    ],
)
def test_a_damaged_file_of_a_run_is_one_line(tmp_path, file, content, said):
    Run.start(tmp_path / "run", "distill", {}).log(1, loss=0.5)
    (tmp_path / "run" / file).write_text(content)
    with pytest.raises(DDCoreError) as error:
        Run.start(tmp_path / "run", "distill", {})
    assert str(error.value).startswith(f"{tmp_path}/run/{file} is damaged: {said}")


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="file is a file: choose another --out"):
        Run.start(tmp_path / "file", "toy", {})
    assert (tmp_path / "file").read_text() == "mine"


def test_a_run_whose_inputs_have_changed_is_refused_and_the_input_is_named(tmp_path):
    options = {"dataset": "digits", "teacher": "runs/teacher"}
    inputs = {"data": "a", "teacher": "b"}
    start = partial(Run.start, tmp_path / "run", "distill", options, "")
    start(inputs).log(1, loss=0.5)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["inputs"] == inputs
    start(inputs).finish({})
    for changed, said in (
        ({"data": "c"}, "data digits"),
        ({"data": "c", "teacher": "c"}, "data digits, teacher runs/"),
    ):
        for main in (True, False):
            with pytest.raises(UsageError, match=rf"other inputs \(changed since: {said}.*--fresh to put it aside"):
                start(inputs | changed, main=main)
    assert start(inputs | {"later": "d"}).finished  # not on record, so not compared


def test_a_run_that_made_nothing_takes_the_inputs_of_the_next_call(tmp_path):
    for digest in ("a", "b"):
        Run.start(tmp_path / "run", "distill", {}, "", {"data": digest})
    assert json.loads((tmp_path / "run" / "config.json").read_text())["inputs"] == {"data": "b"}


def test_every_commit_that_worked_on_a_run_is_on_record(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(LOG, "propagate", True)
    for number, said in (
        (1, ""),
        (1, ""),
        (2, "commit 1111111; this is commit 2222222"),
        (3, "commit 1111111, 2222222;"),
    ):
        caplog.clear()
        monkeypatch.setenv("DDCORE_COMMIT", str(number) * 40)
        run = Run.start(tmp_path / "run", "distill", {})
        run.log(1, loss=0.5)
        assert said in caplog.text if said else not caplog.text
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert (environment["commit"], environment["earlier_commits"]) == ("3" * 40, ["1" * 40, "2" * 40])
    assert other_commits(tmp_path / "run") == ["1" * 40, "2" * 40] and other_commits(tmp_path) == []


def test_seeds_have_folders_and_those_that_were_put_aside_are_not_among_them(tmp_path):
    for name in ("seed-0", "seed-1", "seed-1.old-1", "seed-x", "seeds"):
        (tmp_path / name).mkdir()
    assert [path.name for path in seed_folders(tmp_path)] == ["seed-0", "seed-1"]
