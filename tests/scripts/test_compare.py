"""The program as a user calls it: table, files, later methods, other options, bad input."""

import json

import compare
import pytest
import train_baseline

SHARED = [
    "--dataset",
    "digits",
    "--quick",
    "--budget",
    "20",
    "--minutes",
    "0.01",
    "--net",
    "mlp",
    "--nets",
    "lenet",
    "--seeds",
    "1",
]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "teacher"
    words = ["--dataset", "digits", "--part", "fit", "--quick", "--net", "mlp", "--steps", "20", "--out", str(out)]
    assert train_baseline.main(words) == 0
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory, teacher):
    """A comparison with a selector and a method, the whole set included."""
    out = tmp_path_factory.mktemp("compared") / "out"
    words = ["--methods", "dm:net=mlp,random:balanced=no", "--teacher", str(teacher), "--whole", "--out", str(out)]
    assert compare.main([*SHARED, *words]) == 0
    return out


def read(folder):
    return json.loads((folder / "comparison.json").read_text())


def test_random_members_are_the_first_row_under_both_kinds_of_labels(folder):
    record = read(folder)
    assert [cell["title"] for cell in record["cells"]] == ["random", "dm:net=mlp", "k-means", "random:balanced=no"]
    for cell in record["cells"]:
        assert set(cell["scores"]) == set(cell["fair"]) == {"hard", "soft"} and cell["fair"]["hard"]["lrs"] is not None
    page = (folder / "comparison.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert rows[0].startswith("| set |") and rows[2].startswith("| random | hard labels |")
    assert (folder / "comparison.svg").read_text().startswith("<?xml") and (folder / "done").exists()


def test_a_later_method_runs_alone_and_the_table_keeps_the_others(folder, teacher, capsys):
    times = {path: path.stat().st_mtime_ns for path in (folder / "cells").rglob("*") if path.is_file()}
    words = ["--methods", "cover,random:labels=soft", "--teacher", str(teacher), "--out", str(folder)]
    assert compare.main([*SHARED, *words]) == 0
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    told = capsys.readouterr().out
    assert "skipped: cover does not read images" in told and "random:labels=soft  soft labels" in told
    record = read(folder)
    assert [cell["title"] for cell in record["cells"]] == [
        "random",
        "random:labels=soft",
        "dm:net=mlp",
        "k-means",
        "random:balanced=no",
    ]
    assert record["whole"]["score"]["mean"] > 0 and record["skipped"] == {"cover": "cover does not read images"}


def test_draws_are_scored_one_by_one_and_kept_in_the_ledger(tmp_path, capsys):
    words = [*SHARED, "--methods", "random:balanced=no", "--draws", "2", "--out", str(tmp_path / "out")]
    ledger = tmp_path / "ledger.jsonl"
    assert compare.main([*words, "--ledger", str(ledger)]) == 0
    assert "2 sets" in capsys.readouterr().out
    readings = [json.loads(line) for line in ledger.read_text().splitlines()]
    rows = {cell["title"]: cell for cell in read(tmp_path / "out")["cells"]}
    for title, row in rows.items():
        mine = [each for each in readings if each["method"] == title and each["net"] == "mlp"]
        assert [each["set"] for each in mine] == [each["set"] for each in row["draws"]]
        assert len({each["options"]["seed"] for each in mine}) == 2
    assert compare.main([*words[:-4], "--out", str(tmp_path / "out")]) == 2
    assert "draws was 2, now None" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--minutes", "1"], "holds a run with other options (minutes was 0.01, now 1.0)"),
        (["--seeds", "2"], "seeds was 1, now 2"),
        (["--minutes", "0"], "--minutes 0.0 must be above 0"),
        (["--temperature", "-1"], "--temperature -1.0 must be above 0"),
        (["--methods", "magic"], "unknown method or selector 'magic'"),
        (["--methods", "dm:steps=5"], "leave steps out"),
        (["--nets", "bag"], "network 'bag' does not read images"),
        (["--dataset", "emnist"], "unknown data set 'emnist'"),
    ],
)
def test_what_is_wrong_is_one_line_and_changes_nothing(folder, teacher, capsys, words, said):
    before = (folder / "comparison.json").read_bytes()
    shared = [*SHARED, "--methods", "random", "--teacher", str(teacher), "--out", str(folder)]
    capsys.readouterr()
    assert compare.main([*shared, *words]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.count("\n") == 1 and said in told
    assert (folder / "comparison.json").read_bytes() == before


def test_a_budget_that_cannot_be_shared_is_refused_before_anything_is_made(tmp_path, capsys):
    assert compare.main([*SHARED, "--budget", "25", "--methods", "random", "--out", str(tmp_path / "out")]) == 2
    assert "--budget 25 cannot be shared evenly by 10 classes" in capsys.readouterr().err
    assert not (tmp_path / "out" / "cells").exists()


def test_every_set_is_judged_under_a_published_protocol(tmp_path, capsys):
    words = ["--dataset", "digits", "--quick", "--budget", "10", "--minutes", "0.01", "--net", "mlp", "--seeds", "1"]
    out = tmp_path / "out"
    assert compare.main([*words, "--methods", "random", "--protocol", "dsa", "--out", str(out)]) == 0
    assert "for each set and kind of labels: protocol dsa: 1 network, 1,000 images" in capsys.readouterr().out
    protocol = read(out)["protocol"]
    assert protocol["evaluation"]["name"] == "dsa" and protocol["others"] == []
    assert protocol["recipes"]["mlp"]["augment"] == "dsa" and protocol["recipes"]["mlp"]["steps"] == 100
