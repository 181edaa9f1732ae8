import json
import os

import pytest
import torch

from ddcore.data import custom, text
from ddcore.data.custom import parse
from ddcore.data.registry import load_task
from ddcore.data.table import label_name, read_table
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


def texts_of(path, options=""):
    content = read_table(parse(f"text:{path}{options}"))
    return sorted([*content.train.members, *content.test.members])


def lines_of(texts):
    return "".join(f"{text}\t{i % 2}\n" for i, text in enumerate(texts))


def test_a_quotation_mark_at_the_begin_of_a_row_does_not_swallow_others(tmp_path):
    texts = [f"film {i}" for i in range(120)]
    texts[40], texts[43], texts[50], texts[60] = '"Great film', 'he said "bye"', '"Well", he said', '"all"'
    path = tmp_path / "remarks.tsv"
    path.write_text("text\tlabel\n" + lines_of(texts), encoding="utf-8")
    assert texts_of(path) == sorted([*texts[:60], "all", *texts[61:]])
    path.write_text("text\tlabel\r\n\r\n" + lines_of(texts).replace("\n", "\r\n"), encoding="utf-8", newline="")
    assert len(texts_of(path)) == 120


def test_quoted_tabs_and_line_breaks_are_part_of_a_text(tmp_path):
    texts = [f'"film {i}\nand\tthe ""end"""' for i in range(30)]
    path = tmp_path / "remarks.tsv"
    path.write_text("text\tlabel\n" + lines_of(texts), encoding="utf-8")
    assert texts_of(path) == sorted(f'film {i}\nand\tthe "end"' for i in range(30))


def test_lines_that_could_be_one_row_or_several_are_refused(tmp_path):
    texts = ['"a line\nbreak"', *(f"film {i}" for i in range(30)), '"Great film', "odd", 'he said bye"']
    path = tmp_path / "remarks.tsv"
    path.write_text("text\tlabel\n" + lines_of(texts), encoding="utf-8")
    with pytest.raises(DDCoreError, match=r"the 3 lines of .*remarks\.tsv up to line 36 could be one row or 3: put"):
        texts_of(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,label,label\n" + "good,1,2\n" * 30),
        ("a.tsv", "text\tlabel\tlabel\n" + "good\t1\t2\n" * 30),
        ("a.jsonl", '{"text": "good", "label": 1, "label": 2}\n' * 30),
    ],
)
def test_a_column_that_is_there_twice_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match="has the column 'label' twice"):
        texts_of(path)


def test_other_columns_may_be_there_twice(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label,more,more\n" + "".join(f"good {i},{i % 2},,\n" for i in range(30)), encoding="utf-8")
    assert len(texts_of(path)) == 30


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"text": "good", "label": 1' + "0" * 5000 + "}", "line 1 of .* is not JSON"),
        ("[" * 200_000, "line 1 of .* is not JSON"),
        ('{"text": "good \\ud800", "label": 1}', "row 1 of .* is none of Unicode"),
        ('{"text": "good", "label": "\\udfff"}', "row 1 of .* is none of Unicode"),
    ],
)
def test_json_that_python_cannot_hold_is_one_line(tmp_path, line, told):
    path = tmp_path / "a.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(DDCoreError, match=told) as caught:
        texts_of(path)
    str(caught.value).encode()


def parquet_of(path, more=()):
    import pyarrow
    from pyarrow import parquet

    texts, labels = pyarrow.array([f"film {i}" for i in range(30)]), pyarrow.array([i % 2 for i in range(30)])
    names = ["text", "label", *(name for name, _ in more)]
    parquet.write_table(pyarrow.Table.from_arrays([texts, labels, *(each for _, each in more)], names=names), path)
    return path


def moments(kind, zone=None):
    import pyarrow

    return pyarrow.array([2**60] * 30, pyarrow.timestamp(kind, zone))


def test_columns_of_parquet_that_are_not_needed_are_not_read(tmp_path):
    more = [
        ("year", moments("us")),
        ("zone", moments("us", "Mars/Phobos")),
        ("odd", moments("ms")),
        ("odd", moments("us")),
    ]
    path = parquet_of(tmp_path / "a.parquet", more)
    assert texts_of(path) == sorted(f"film {i}" for i in range(30))


def test_columns_of_parquet_that_cannot_be_labels_are_one_line(tmp_path):
    path = parquet_of(tmp_path / "a.parquet", [("zone", moments("us", "Mars/Phobos")), ("label", moments("us"))])
    for options, told in (
        ("", "has the column 'label' twice: name the columns, as in"),
        (",label=zone", r"the column 'zone' of .* holds dates or times \(timestamp\[us, tz=Mars/Phobos\]\)"),
        (",label=stars", r"has no column 'stars' \(it has: text, label, zone, label\): name the columns, as in"),
    ):
        with pytest.raises(UsageError, match=told):
            texts_of(path, options)


def test_a_stem_of_240_letters_can_be_read(tmp_path, remarks):
    path = tmp_path / ("a" * 240 + ".csv")
    path.write_bytes(remarks.read_bytes())
    assert len(read(path).load_test()) == 16
    assert len(read(path, f",{remarks}").load_test()) == 80


def test_the_rule_of_the_split_is_part_of_the_content(remarks, monkeypatch):
    alone, both = read(remarks).content, read(remarks, f",{remarks}").content
    monkeypatch.setattr(custom, "SPLIT", "another rule")
    assert read(remarks).content != alone and read(remarks, f",{remarks}").content == both


def test_one_more_row_moves_at_most_one_other(remarks):
    def tested():
        return set(read_table(parse(f"text:{remarks}")).test.members)

    before = tested()
    remarks.write_text(remarks.read_text(encoding="utf-8") + "It was once more goodly made.,good\n", encoding="utf-8")
    assert len(before ^ tested()) <= 2


def test_texts_of_the_training_file_in_the_test_file_are_counted(remarks):
    assert (
        "80 for training and 80 for testing (80 of them are training members, too)"
        in read(remarks, f",{remarks}").source
    )


def test_a_pipe_is_refused_instead_of_read(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(UsageError, match=r"a\.csv is not a table"):
        texts_of(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_file_that_may_not_be_read_is_one_line(tmp_path, name, locked_up):
    (tmp_path / name).write_text("text,label\n", encoding="utf-8")
    with locked_up(tmp_path / name), pytest.raises(DDCoreError, match=f"{name} cannot be read: Permission denied"):
        texts_of(tmp_path / name)
