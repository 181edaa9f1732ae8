"""``job.json``: finished stages are known again, other choices are refused, results are weighed."""

import json

import pytest

from ddcore.errors import DDCoreError, UsageError
from ddcore.job import record as module
from ddcore.job.plan import Choices, plan
from ddcore.job.record import JobRecord, reached

DEFAULT = Choices("cpu")


@pytest.fixture
def opened(tmp_path, toy_plan, monkeypatch):
    monkeypatch.setattr(module, "PLANS", {"imdb": toy_plan})

    def build(choices: Choices = DEFAULT) -> JobRecord:
        return JobRecord(tmp_path / "runs", choices, "data", plan([toy_plan], choices, 2))

    return build


def finish(record: JobRecord, name: str, accuracy: float | None = None) -> None:
    folder = record.out / name
    folder.mkdir(parents=True)
    (folder / "done").write_text("")
    (folder / "result.json").write_text(json.dumps({"seconds": 7.5, "peak_memory_bytes": 70}))
    if accuracy is not None:
        values = {"mean": accuracy, "std": 0.0, "n": 1, "values": [accuracy]}
        protocol = {"dataset": "imdb", "set": {"members": 9}, "train_members": 9, "test_members": 9, "seeds": [0]}
        scores = {"protocol": protocol, "nets": {"default": {"net": "n", "accuracy": values, "seconds": 1.0}}}
        (folder / "scores.json").write_text(json.dumps(scores))


def test_finished_stages_and_spent_seconds_are_known_again(opened):
    record = opened()
    finish(record, "imdb/half")
    record.update("imdb/half", "done", "", 3.0, 100)
    record.update("imdb/half-hard", "failed", "the loss is nan", 2.0, 50)
    again = opened()
    assert again.done("imdb/half") and again.stages["imdb/half"]["seconds"] == 3.0
    assert again.stages["imdb/half-hard"]["status"] == "pending" and not again.stages["imdb/half-hard"]["error"]
    again.update("imdb/half-hard", "done", "", 2.5, 40)
    assert again.stages["imdb/half-hard"] | {"seconds": 4.5, "peak_memory_bytes": 50} == again.stages["imdb/half-hard"]


def test_a_stage_that_was_run_by_hand_counts_with_its_own_account(opened):
    finish(opened(), "imdb/half")
    entry = opened().stages["imdb/half"]
    assert (entry["status"], entry["seconds"], entry["peak_memory_bytes"]) == ("done", 7.5, 70)


def test_a_stage_whose_command_changed_is_not_taken_for_finished(opened):
    record = opened()
    finish(record, "imdb/half")
    record.stages["imdb/half"]["command"] = ["scripts/select_subset.py", "other"]
    record.write()
    assert not opened().done("imdb/half")


def test_other_choices_are_refused_and_named(opened):
    opened(Choices("cpu", quick=True)).write()
    with pytest.raises(UsageError, match=r"quick was True, now False.*--fresh"):
        opened()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "its content is not an object"),
        ({"seconds": 1.0}, "'choices' is missing"),
        ({"choices": 3}, "'choices' is not an object"),
        ({"choices": {}, "seconds": "long"}, "'seconds' is not a number"),
        ({"choices": {}, "stages": {}}, "'stages' is not a list"),
        ({"choices": {}, "stages": [{"name": 3}]}, "'stages[0].name' is not a text"),
    ],
)
def test_a_damaged_record_is_one_line(opened, content, said):
    record = opened()
    record.write()
    record.path.write_text(json.dumps(content))
    with pytest.raises(DDCoreError) as error:
        opened()
    assert str(error.value) == f"{record.path} is damaged: {said}; delete it, finished stages are recognised"


def test_a_result_of_the_wrong_type_is_one_line(opened):
    record = opened()
    finish(record, "imdb/half")
    (record.out / "imdb/half/result.json").write_text('{"seconds": "long"}')
    with pytest.raises(DDCoreError, match=r"result\.json is damaged: 'seconds' is not a number or null"):
        opened()


def test_results_are_weighed_against_their_goals(opened, toy_plan):
    record = opened()
    finish(record, "imdb/baseline", 0.915)
    finish(record, "imdb/half")
    finish(record, "imdb/half-hard", 0.904)
    record = opened()
    first, second = (reached(record, toy_plan, result.lines[0]) for result in toy_plan.results)
    assert first == ("91.50 (1)", True)
    assert second[1] is False and "−1.10" in second[0]


def test_a_result_without_scores_says_why(opened, toy_plan):
    record = opened()
    record.update("imdb/half", "failed", "the loss is nan", 1.0, 1)
    outcomes = [reached(record, toy_plan, result.lines[0]) for result in toy_plan.results]
    assert outcomes == [("not run", None), ("failed", None)]


def test_the_file_holds_what_the_report_reads(opened):
    opened(Choices("cpu", seeds=2)).write()
    content = json.loads(opened(Choices("cpu", seeds=2)).path.read_text())
    half = content["results"][1]
    assert half["bar"] == {"kind": "loses_less_than", "value": 0.01, "baseline": "imdb/baseline/scores.json"}
    assert half["rows"][0]["scores"] == "imdb/chance/scores.json" and half["rows"][0]["bar"] == {}
    assert {
        "name",
        "dataset",
        "command",
        "folder",
        "status",
        "seconds",
        "peak_memory_bytes",
        "gpu_utilisation",
        "error",
    } == set(content["stages"][0])
    opened_again = json.loads(opened(Choices("cpu", seeds=2)).path.read_text())
    assert opened_again["profile"] == "cpu" and opened_again["seeds"] == 2
