"""Sentences on test readings, times and commits: each comes from a record, and changes with it."""

import json

import pytest

from ddcore.errors import DDCoreError
from ddcore.report.make_report import make_report
from ddcore.report.protocol import commit_line, device_line, protocol_line
from ddcore.report.records import read_records
from ddcore.report.tables import commands, prepared, results_table, summary
from ddcore.training.ledger import append_readings, readings_of
from ddcore.training.scores import read_scores


@pytest.fixture
def report(job, tmp_path):
    def made(*readings, line=""):
        ledger = tmp_path / "ledger.jsonl"
        ledger.unlink(missing_ok=True)
        append_readings(ledger, readings)
        if line:
            ledger.write_text(ledger.read_text() + line)
        problems = make_report([job], tmp_path / "report")
        return problems, json.loads((tmp_path / "report" / "records.json").read_text())

    return made


def soft(job):
    path = job / "fashion_mnist/small-eval/scores.json"
    return readings_of(path, read_scores(path), {"commit": "c" * 40})


def places(records):
    return [row["reading"] for result in records["results"] for row in result["rows"] if "reading" in row]


def test_without_a_ledger_the_number_of_readings_is_not_claimed(job, tmp_path):
    make_report([job], tmp_path / "report")
    records = read_records(tmp_path / "report")
    text = protocol_line(records)
    assert "not on record: no ledger lists them" in text and "once" not in text and "validation" not in text
    assert "reading" not in results_table(records).headers


def test_the_sentence_changes_with_the_ledger(job, report):
    readings = soft(job)
    problems, records = report(*readings)
    assert not problems and {place["of"] for place in places(records)} == {1}
    text = protocol_line(records)
    count = len(places(records))
    rows = sum(row["score"] is not None for result in records["results"] for row in result["rows"])
    assert text.count(f"{count} of {rows} rows are the only reading of the test set on record") == 1
    assert f"{rows - count} are not in the ledger. No reading before them led to a changed setting." in text
    earlier = [{**each, "score": 0.5, "set": "b" * 64, "why": "decision"} for each in readings[:1]]
    _, changed = report(*earlier, *readings)
    assert {"number": 2, "of": 2, "decisions": 1} in places(changed)
    text = protocol_line(changed)
    assert f"{count - 1} of {rows} rows are the only reading" in text
    assert "1 are one of several" in text and "1 came after a reading that led to a changed setting." in text
    table = results_table(changed)
    cells = [row[table.headers.index("reading")] for row in table.rows]
    assert cells.count("2 of 2") == 1 and cells.count("1 of 1") == count - 1


def test_reports_that_are_read_again_follow_the_ledger_of_now(job, report, tmp_path):
    readings = soft(job)
    report(*readings)
    append_readings(tmp_path / "ledger.jsonl", [{**readings[0], "score": 0.1}])
    assert {"number": 1, "of": 2, "decisions": 0} in places(read_records(tmp_path / "report"))


def test_a_damaged_ledger_is_a_line_of_a_job_s_report_and_an_error_of_a_page(job, report, tmp_path):
    problems, records = report(*soft(job), line="{\n")
    assert len(problems) == 1 and "is damaged" in problems[0] and str(tmp_path) not in problems[0]
    assert not places(records) and "not on record" in protocol_line(records)
    with pytest.raises(DDCoreError, match=r"line .* is damaged"):
        read_records(tmp_path / "report")


def test_minutes_are_the_sum_of_the_stages(report):
    _, records = report()
    stages = [stage for stage in records["stages"] if stage["seconds"] is not None]
    total = sum(stage["seconds"] for stage in stages)
    assert f"Its {len(stages)} stages took {total / 60:.0f} minutes together." in device_line(records)
    stages[0]["seconds"] += 6000
    assert f"took {(total + 6000) / 60:.0f} minutes together." in device_line(records)
    assert "in all" not in device_line(records)
    records["stages"] = []
    assert "minutes" not in device_line(records)


def test_one_commit_is_claimed_only_where_all_rows_carry_it(job, report):
    _, records = report()
    assert commit_line(records) == "All rows were made at commit 0123456789."
    origins = [title[title.index(" (0123456789") :] for title, _ in commands(records) if " (0123456789" in title]
    assert origins and all(each.startswith(" (0123456789, 2026-11-21T04:00:00Z, on 2 cores ") for each in origins)
    place = next(job.glob("fashion_mnist/small*/environment.json"))
    place.write_text(json.dumps({**json.loads(place.read_text()), "commit": "f" * 40}))
    _, records = report()
    assert commit_line(records) == "The rows come from 2 commits."
    assert any("ffffffffff" in title for title, _ in commands(records))
    for environment in job.glob("*/*/environment.json"):
        environment.write_text(json.dumps({**json.loads(environment.read_text()), "commit": "unknown"}))
    _, records = report()
    assert commit_line(records) == "The commit of the rows is not on record."


def test_every_row_carries_its_machine_and_when_it_was_measured(job, report):
    _, records = report()
    first = "2 cores of Example CPU @ 2.50GHz, no GPU, Python 3.11.2, torch 2.15.0"
    assert device_line(records).startswith(f"Ran on {first}, started ")
    place = next(job.glob("fashion_mnist/small-eval/environment.json"))
    other = {"device": "NVIDIA H100", "processes": 2, "started": "2026-12-01T00:00:00Z", "python": "3.12.1"}
    place.write_text(json.dumps({**json.loads(place.read_text()), **other}))
    _, records = report()
    second = "NVIDIA H100, with 2 cores of Example CPU @ 2.50GHz, 2 processes, Python 3.12.1, torch 2.15.0"
    assert f"Ran on {first}; on {second}, started" in device_line(records)
    marked = [title for title, _ in commands(records) if f", 2026-12-01T00:00:00Z, on {first} and {second})" in title]
    assert len(marked) == 1 and sum("NVIDIA" in title for title, _ in commands(records)) == 1
    for each in [*records["stages"], *(row for result in records["results"] for row in result["rows"])]:
        del each["machines"]  # as earlier versions wrote them
    text = device_line(records)
    assert text.startswith("The first stage ran on ")
    assert f"The machines of {len(records['stages'])} stages are not on record." in text
    assert all("machine not on record)" in title for title, _ in commands(records) if "(0123456789" in title)


def test_training_members_that_are_test_members_are_counted_from_the_rows(report):
    _, records = report()
    assert "test members, too" not in protocol_line(records)
    rows = next(each["rows"] for each in records["results"] if each["rows"][0]["score"]["method"] == "whole")
    score = rows[0]["score"]
    other = {**score, "method": "whole without test members", "members": score["members"] - 123, "mean": 0.5}
    rows.append({**rows[0], "score": other})
    said = f"are test members, too: without them {score['net']} reaches 50.00 % instead of {100 * score['mean']:.2f} %."
    assert f"123 of the {score['members']:,} training members of " in protocol_line(records)
    assert said in protocol_line(records)


def test_rows_of_soft_labels_without_their_controls_are_counted(report):
    _, records = report()
    score = next(row["score"] for each in records["results"] for row in each["rows"] if row["score"])
    score = {**score, "changes": {}, "prefix": None, "subset": None}
    kinds = [("dm", "soft"), ("dm", "hard"), ("random", "soft"), ("random", "hard")]
    rows = [{"score": {**score, "method": method, "labels": labels}} for method, labels in kinds]
    said = "1 of 1 rows with soft labels lack a row of the same method with hard labels, or one of random members"
    for left_out in range(4):
        some = [row for number, row in enumerate(rows) if number != left_out]
        records["results"] = [{"name": "toy", "rows": some}]
        assert (said in protocol_line(records)) == (left_out in (1, 2)), kinds[left_out]


def test_the_summary_compares_equal_protocols_only(report):
    _, records = report()
    sentence = "Fashion-MNIST: resnet-s2d trained on 600 members"
    assert sum(line.startswith(sentence) for line in summary(records)) == 1
    whole = records["results"][0]["rows"][0]
    protocol = records["protocols"][whole["protocol"]]
    original = json.loads(json.dumps(protocol))
    for change in ({"schedule": {"steps": 100}}, {"recipes": {"default": {"steps": 1}}}, {"recipes": {}}):
        records["protocols"][whole["protocol"]] = {**original, **change}
        assert not any(line.startswith(sentence) for line in summary(records)), change
    records["protocols"][whole["protocol"]] = original
    whole["score"]["net"] = "lenet"
    assert not any(line.startswith(sentence) for line in summary(records))


def test_the_time_of_teachers_stands_in_a_column_of_its_own(report):
    _, records = report()
    result, row = next((r, row) for r in records["results"] for row in r["rows"] if prepared(records, row))
    teacher = next(stage for stage in records["stages"] if "train_baseline" in stage["command"])
    assert teacher["command"] in row["commands"][:-1] and prepared(records, row) == teacher["seconds"]
    assert row["seconds"] > teacher["seconds"] and result["rows"]
    teacher["seconds"] += 5000
    assert prepared(records, row) == teacher["seconds"]
    table = results_table(records)
    column = table.headers.index("of them: teacher, experts, generator")
    assert any(cells[column].startswith(f"{teacher['seconds']:,.0f}") for cells in table.rows)
    baseline = next(
        row for r in records["results"] for row in r["rows"] if row["commands"] and len(row["commands"]) == 1
    )
    assert prepared(records, baseline) == 0


def test_scores_of_earlier_versions_call_controls_by_their_names(job, report, tmp_path):
    _, records = report()
    row = next(row for result in records["results"] for row in result["rows"] if row["score"])
    row["score"]["method"] = "cover"
    records["protocols"][row["protocol"]]["set"] = {"options": {"candidates": 1, "strongest": 1.0}}
    (tmp_path / "records.json").write_text(json.dumps(records))
    methods = [row["score"]["method"] for each in read_records(tmp_path)["results"] for row in each["rows"][:1]]
    assert methods[0] == "cover of random clauses"
