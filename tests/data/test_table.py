import json

import pytest
import torch

from ddcore.data import text
from ddcore.data.registry import load_task
from ddcore.data.table import label_name
from ddcore.errors import DDCoreError, UsageError


def read(path, options=""):
    return load_task(f"text:{path}{options}", path)


def rows_of(path):
    import csv

    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_csv_file_becomes_a_task_with_a_fifth_held_out(remarks):
    task = read(remarks)
    assert (task.name, task.kind, task.classes, task.default_net) == ("text-remarks", "text", ("bad", "good"), "linear")
    assert torch.bincount(task.train.y).tolist() == [32, 32]
    assert torch.bincount(task.load_test().y).tolist() == [8, 8]
    # The class can be read off the third word.
    words = [task.tokeniser.id_to_token(int(task.train.x.sequence(i)[2])) for i in range(4)]
    assert words == [f"{task.classes[y]}ly" for y in task.train.y[:4].tolist()]


@pytest.mark.parametrize("suffix", ["tsv", "jsonl", "parquet"])
def test_every_format_gives_the_same_task(remarks, tmp_path, suffix):
    rows = rows_of(remarks)
    other = tmp_path / f"other.{suffix}"
    if suffix == "tsv":
        other.write_text("\n".join(["text\tlabel", *(f'"{row["text"]}"\t{row["label"]}' for row in rows)]))
    elif suffix == "jsonl":
        other.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    else:
        import datasets

        datasets.Dataset.from_list(rows).to_parquet(other)
    first, second = read(remarks), read(other)
    assert torch.equal(first.train.x.values, second.train.x.values)
    assert torch.equal(first.load_test().y, second.load_test().y) and first.classes == second.classes


def test_columns_can_be_named_and_a_second_file_is_the_test_part(tmp_path, remarks):
    train, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    train.write_text("\n".join(json.dumps({"review": f"word{i % 3} it is", "stars": 1 + i % 3}) for i in range(30)))
    test.write_text(json.dumps({"review": "word1 zebra", "stars": 2.0}))
    task = read(train, f",{test},text=review,label=stars")
    assert task.classes == ("1", "2", "3") and task.default_net == "bag" and len(task.train) == 30
    held = task.load_test()
    assert held.y.tolist() == [1] and int(held.x.values[1]) == 1, "words of the test part are unknown"


def test_a_second_read_takes_the_cache_and_other_content_does_not(remarks, monkeypatch):
    before = read(remarks)
    held = before.load_test()
    with monkeypatch.context() as patch:
        patch.setattr(text, "encode", lambda *_: pytest.fail("tokenised twice"))
        again = read(remarks)
        assert torch.equal(again.train.x.values, before.train.x.values)
        assert torch.equal(again.load_test().x.values, held.x.values)
    remarks.write_text(remarks.read_text().replace("number 1", "issue 1"))
    assert read(remarks).content != before.content
    assert read(remarks).tokeniser.token_to_id("issue") is not None


def test_labels_are_words_or_whole_numbers():
    assert [label_name(label) for label in (3, 3.0, True, " a  b ", "3")] == ["3", "3", "True", "a b", "3"]
    assert [label_name(label) for label in (None, 0.5, float("nan"), " ", ["a"])] == [None] * 5


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.csv",
            "review,label\ngood,1\n",
            r"no column 'text' \(row 1 has: review, label\).*,text=COLUMN",
        ),
        ("a.csv", "text,label\ngood,1\n,2\n", "row 2 of .* has no text"),
        ("a.csv", "text,label\ngood,1\nbad,\n", "row 2 of .* has no label"),
        ("a.csv", "text,label\ngood, really,1\n", "line 2 of .* more or fewer than 2 fields"),
        ("a.csv", "text,label\n", "holds no rows"),
        ("a.csv", "", "holds no rows"),
        ("a.csv", "text,label\n" + "good,1\n" * 20, r"only one class \('1'\)"),
        ("a.csv", "text,label\n" + "good,1\n" * 20 + "bad,2\n", "class '2' of .* has 1 member"),
        ("a.csv", 'text,label\n"good,1\n', "not a readable csv file"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\xff\xfe", "not UTF-8"),
        ("a.parquet", b"PAR1 no more", "not a Parquet file"),
        ("a.jsonl", "text,label\ngood,1\n", "line 1 of .* is not JSON"),
        ("a.json", '[\n{"text": "good", "label": 1}\n]', "line 1 of .* is not JSON"),
        ("a.jsonl", '["good", 1]', "not a JSON object"),
        ("a.xlsx", b"PK", r"not a table: text:FILE reads \.csv"),
    ],
)
def test_files_that_cannot_be_used_are_one_line(tmp_path, name, content, told):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DDCoreError, match=told) as caught:
        read(path)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_a_folder_and_labels_of_the_test_file_only_are_refused(remarks, tmp_path, write_table):
    with pytest.raises(UsageError, match="not a table"):
        read(tmp_path)
    test = write_table(tmp_path / "test.csv", 6, ("bad", "ugly"))
    with pytest.raises(UsageError, match="has a label 'ugly' that"):
        read(remarks, f",{test}")
