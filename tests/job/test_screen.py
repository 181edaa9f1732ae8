"""The lines of text that a job prints."""

import json

from ddcore.job.plan import Choices, plan
from ddcore.job.record import JobRecord
from ddcore.job.screen import columns, duration, outlook, size, stage_list, summary


def test_times_and_sizes_in_words():
    assert [duration(s) for s in (8.4, 200, 7200)] == ["8 s", "3 min", "2.0 h"]
    assert [size(mb) for mb in (5, 2500)] == ["5 MB", "2.5 GB"]


def test_columns_are_aligned():
    assert columns([["a", "b"], ["long", "c"]]) == ["a     b", "long  c"]


def test_the_list_has_every_stage_and_on_request_its_command(tmp_path, toy_plan):
    stages = plan([toy_plan], Choices("cpu"), 2)
    assert len(stage_list(stages, tmp_path, commands=False)) == 4
    with_commands = stage_list(stages, tmp_path, commands=True)
    assert len(with_commands) == 7 and with_commands[2].strip().startswith("scripts/train_baseline.py")


def test_the_work_of_stages_in_words(toy_plan):
    stages = plan([toy_plan], Choices("cpu"), 2)
    assert outlook(stages, 2, 0) == "3 stages on 2 CPU cores: about 3 min and 20 MB of disk"
    assert outlook(stages, 2, 3).startswith("3 stages on 3 GPU(s): about")


def test_the_table_of_results_says_what_is_met(tmp_path, toy_plan):
    record = JobRecord(tmp_path, Choices("cpu"), "data", plan([toy_plan], Choices("cpu"), 2), [toy_plan])
    values = {"mean": 0.91, "std": 0.0, "n": 1, "values": [0.91]}
    protocol = {"dataset": "imdb", "set": {"members": 9}, "train_members": 9, "test_members": 9, "seeds": [0]}
    scores = {"protocol": protocol, "nets": {"default": {"net": "n", "accuracy": values, "seconds": 1.0}}}
    (tmp_path / "imdb" / "baseline").mkdir(parents=True)
    (tmp_path / "imdb" / "baseline" / "scores.json").write_text(json.dumps(scores))
    record.update("imdb/baseline", "done", seconds=12.0, peak=10**9)
    head, first, second = summary(record, [toy_plan])
    assert head.split()[:3] == ["result", "goal", "met"]
    assert "yes" in first and "91.00 (1)" in first and "12 s" in first and "1.00 GB" in first and "not run" in second
