"""The ledger of test readings: what it takes, what it refuses, and a score's place in it."""

import json
import subprocess
import sys

import pytest

from ddcore.errors import DDCoreError
from ddcore.training.ledger import append_readings, place_of, publish, read_ledger, readings_of, subject_of
from ddcore.training.scores import score_of

WHERE = {"commit": "c" * 40, "started": "2026-11-21T04:00:00Z"}


def content(mean, sha256="a" * 64, labels="own", tested_on="test", **protocol):
    source = {"method": "dsa", "members": 500, "labels": "soft", "options": {"steps": 3}, "sha256": sha256}
    entry = {"net": "convnet", "accuracy": {"mean": mean, "std": 0.0, "n": 1, "values": [mean]}, "seconds": 1.0}
    told = {"dataset": "mnist", "set": source, "labels": labels, "seeds": [0, 1], "test_members": 10, **protocol}
    return {"protocol": {**told, "tested_on": tested_on}, "nets": {"default": entry}}


def readings(tmp_path, mean, why="figure", **changes):
    return readings_of(tmp_path, content(mean, **changes), WHERE, why)


def test_a_reading_says_when_what_and_why(tmp_path):
    [reading] = readings(tmp_path, 0.5, why="decision")
    assert reading == {
        "date": "2026-11-21T04:00:00Z",
        "commit": "c" * 40,
        "dataset": "mnist",
        "subject": "500 members by dsa, soft labels",
        "set": "a" * 64,
        "method": "dsa",
        "options": {"steps": 3},
        "net": "convnet",
        "protocol": "own protocol, profile unknown, seeds 0, 1",
        "score": 0.5,
        "why": "decision",
    }
    assert readings(tmp_path, 0.5, tested_on="validation") == []


def test_subjects_keep_labels_cuts_and_poison_apart(tmp_path):
    def subject(**changes):
        return subject_of(score_of(tmp_path, content(0.5, **changes), "default"))

    assert subject(labels="hard") == "500 members by dsa, hard labels"
    assert subject(prefix=500) == "500 members by dsa of a larger ordered set, soft labels"
    assert subject(subset=500) == "500 members by dsa drawn from a larger set, soft labels"
    changed = content(0.5)
    changed["nets"]["default"]["before"] = changed["nets"]["default"]["accuracy"]
    score = score_of(tmp_path, changed, "default")
    assert subject_of(score) == "500 members by dsa, soft labels, networks trained before"
    changed["nets"]["default"]["turned"] = changed["nets"]["default"]["accuracy"]
    assert subject_of(score_of(tmp_path, changed, "default")) == "500 members by dsa, poison"


def test_readings_are_appended_once_and_in_order(tmp_path):
    path = tmp_path / "deep" / "ledger.jsonl"
    assert read_ledger(path) == []
    assert append_readings(path, readings(tmp_path, 0.5)) == 1
    first = path.read_text()
    again = readings(tmp_path, 0.5) + readings(tmp_path, 0.6, sha256="b" * 64, why="decision")
    assert append_readings(path, again) == 1 and append_readings(path, again) == 0
    assert path.read_text().startswith(first) and path.read_text().count("\n") == 2
    assert [each["score"] for each in read_ledger(path)] == [0.5, 0.6]
    assert [each.name for each in path.parent.iterdir()] == ["ledger.jsonl"]


def test_processes_that_append_at_once_lose_nothing(tmp_path):
    program = (
        "import sys; from pathlib import Path; from ddcore.training.ledger import append_readings, Reading\n"
        "for k in range(10):\n"
        "    append_readings(Path(sys.argv[1]), [Reading(date='', commit=None, dataset='d', subject=sys.argv[2],"
        " set=None, method='m', options=None, net='n', protocol='', score=k / 10, why='figure')])\n"
    )
    path = tmp_path / "ledger.jsonl"
    running = [subprocess.Popen([sys.executable, "-c", program, str(path), name]) for name in "ab"]
    assert [each.wait(60) for each in running] == [0, 0]
    for name in "ab":
        assert [each["score"] for each in read_ledger(path) if each["subject"] == name] == [k / 10 for k in range(10)]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ("[]", "its content is not an object"),
        ('{"date": "2026"}', "'commit' is missing"),
        ({"score": "0.5"}, "'score' is not a number or null"),
        ({"why": "fun"}, "'why' is not figure or decision"),
    ],
)
def test_a_damaged_line_is_one_error_with_its_number(line, fault, tmp_path):
    path = tmp_path / "ledger.jsonl"
    append_readings(path, readings(tmp_path, 0.5))
    line = line if isinstance(line, str) else json.dumps({**readings(tmp_path, 0.5)[0], **line})
    path.write_text(path.read_text() + line + "\n" + path.read_text())
    before = path.read_bytes()
    for use in (lambda: read_ledger(path), lambda: append_readings(path, readings(tmp_path, 0.7))):
        with pytest.raises(DDCoreError, match="line 2, is damaged") as caught:
            use()
        assert fault in str(caught.value) and "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_ledger_that_cannot_be_read_or_written_is_one_line(tmp_path):
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\xfd")
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "folder.jsonl", tmp_path / "bytes.jsonl"):
        with pytest.raises(DDCoreError, match="cannot be read"):
            read_ledger(path)
    with pytest.raises(DDCoreError, match="cannot write in"):
        append_readings(tmp_path / "file" / "ledger.jsonl", [])


def test_the_place_of_a_score_counts_readings_of_its_kind_and_decisions_before_it(tmp_path):
    ledger = [
        *readings(tmp_path, 0.5, sha256="a", why="decision"),
        *readings(tmp_path, 0.9, labels="hard"),
        *readings(tmp_path, 0.6, sha256="b"),
        *readings(tmp_path, 0.7, sha256=None),
    ]

    def place(mean, **changes):
        return place_of(ledger, score_of(tmp_path, content(mean, **changes), "default"))

    assert place(0.6, sha256="b") == place(0.6, sha256=None) == {"number": 2, "of": 3, "decisions": 1}
    assert place(0.5, sha256="a") == {"number": 1, "of": 3, "decisions": 0}
    assert place(0.7, sha256="c") == {"number": 3, "of": 3, "decisions": 1}
    assert place(0.9, labels="hard") == {"number": 1, "of": 1, "decisions": 0}
    assert place(0.6, sha256="c") is None and place(0.61, sha256="b") is None


def test_random_clauses_are_no_reading_of_cover(tmp_path):
    def reading(mean, options, **earlier):
        packed = content(mean, sha256=None)
        packed["protocol"]["set"] |= {"method": "cover", "options": options}
        [line] = readings_of(tmp_path, packed, WHERE)
        return {**line, **earlier}, score_of(tmp_path, packed, "default")

    chance = {"candidates": 1, "strongest": 1.0, "seed": 0}
    (chosen, score), (control, other) = reading(0.9, {"candidates": 300, "strongest": 0.1}), reading(0.8, chance)
    assert chosen["subject"] == "500 members by cover, soft labels"
    assert control["subject"] == "500 members by cover of random clauses, soft labels"
    before, _ = reading(0.8, chance, subject="500 members by cover, soft labels", method="cover")
    for ledger in ([control, chosen], [before, chosen]):  # the latter as earlier versions wrote it
        assert place_of(ledger, score) == place_of(ledger, other) == {"number": 1, "of": 1, "decisions": 0}
        path = tmp_path / f"{len(ledger[0]['subject'])}.jsonl"
        assert append_readings(path, ledger) == 2 and append_readings(path, [control]) == 0


def test_a_finished_run_is_published_when_a_ledger_is_named(tmp_path):
    (tmp_path / "scores.json").write_text(json.dumps(content(0.5)))
    (tmp_path / "environment.json").write_text(json.dumps(WHERE))
    path = tmp_path / "ledger.jsonl"
    assert publish(None, tmp_path, "figure") == ""
    assert publish(path, tmp_path, "figure") == f"{path}: 1 of 1 test readings are new"
    assert publish(path, tmp_path, "figure") == f"{path}: 0 of 1 test readings are new"
    assert read_ledger(path) == readings(tmp_path, 0.5)
