"""Texts as JSON lines: files as DiLM and `datasets` write them, and lines that nobody should write."""

import json
from dataclasses import replace

import pytest
import torch

from ddcore import DDCoreError, DistilledSet
from ddcore.data.registry import load_task
from ddcore.data.task import Scale
from ddcore.data.tokeniser import encode
from ddcore.errors import UsageError
from ddcore.sets.formats.exporting import export_set
from ddcore.sets.formats.importing import Details, import_set
from ddcore.sets.formats.registry import guessed
from ddcore.sets.origin import Origin

# As arumaekawa/DiLM leaves them: one JSON object per line, without a blank, in a file named .json.
DILM = '{"sentence":"The plot was GREAT, on tv!","labels":1}\n{"sentence":"The cast was awful.","labels":0}\n'


def imported(path, task, text=None):
    if text is not None:
        path.write_text(text, encoding="utf-8")
    return import_set(path, Details(task))


def test_a_file_of_dilm_is_tokenised_with_the_words_of_the_data_set(tmp_path, review_task):
    done = imported(tmp_path / "dataset_0.json", review_task, DILM)
    small = done.small
    assert small.texts == ("The plot was GREAT, on tv!", "The cast was awful.") and small.y.tolist() == [1, 0]
    words = [review_task.tokeniser.id_to_token(i) for i in small.x.sequence(1).tolist()]
    assert words == ["the", "cast", "was", "awful", "."] and small.kind == "tokens" and small.soft is None
    assert small.fingerprint.vocabulary == review_task.fingerprint.vocabulary
    assert small.provenance["format"] == "jsonl" and small.provenance["imported from"] == "dataset_0.json"
    assert done.lines == (
        "2 members of 2 classes, 1 per class; hard labels",
        "0.0 % of 13 tokens are not in the vocabulary of imdb: its networks read them as unknown words",
    )


def test_unknown_and_long_texts_are_said(tmp_path, review_task):
    task = replace(review_task, scale=Scale(max_tokens=3))
    lines = imported(tmp_path / "a.jsonl", task, '{"text": "the plot zebra quux", "label": 0}\n').lines
    assert any(line.startswith("50.0 % of 4 tokens are not in the vocabulary") for line in lines)
    assert any(line.startswith("1 texts are longer than 3 tokens") for line in lines)


@pytest.mark.parametrize(
    ("labels", "y", "shares"),
    [
        (['"label": 1', '"label": 0'], [1, 0], None),
        (['"labels": 1.0', '"labels": 0'], [1, 0], None),
        (['"label": "positive"', '"label": "negative"'], [1, 0], None),
        (['"labels": [0.25, 0.75]', '"labels": [0.9, 0.1]'], [1, 0], [[0.25, 0.75], [0.9, 0.1]]),
        (['"label": 0, "soft_label": [0.25, 0.75]', '"soft_label": [1, 0]'], [0, 0], [[0.25, 0.75], [1, 0]]),
        (['"labels": [0.0, 1.0]', '"labels": [1, 0]'], [1, 0], None),
        (['"label": 0, "soft_label": [0, 1]', '"label": 0, "soft_label": [1, 0]'], [0, 0], [[0, 1], [1, 0]]),
    ],
)
def test_labels_are_numbers_names_or_probabilities(tmp_path, review_task, labels, y, shares):
    lines = [f'{{"text": "the plot", {each}}}' for each in labels]
    small = imported(tmp_path / "a.jsonl", review_task, "\n".join(lines)).small
    assert small.y.tolist() == y and (small.soft is None) == (shares is None)
    if shares is not None:
        assert torch.allclose(small.targets(), torch.tensor(shares, dtype=torch.float32), atol=1e-6)


def test_blank_lines_a_byte_order_mark_and_odd_line_ends_do_no_harm(tmp_path, review_task):
    path = tmp_path / "a.jsonl"
    lines = ['{"text": "The plot\u2028was", "label": 1}\r\n', "\r\n", '{"text": "a\\nb", "label": 0}']
    path.write_bytes(b"\xef\xbb\xbf" + "".join(lines).encode())
    assert imported(path, review_task).small.texts == ("The plot\u2028was", "a\nb")


BAD = {
    "{": "is not JSON",
    "[1]": "is not a JSON object",
    "9" * 5000: "is not JSON",
    "[" * 100_000: "is not JSON",
    "{}": r"has no text: one of the columns sentence, text is read \(it has none\)",
    '{"premise": "a", "hypothesis": "b", "labels": 0}': r"has no text.*\(it has: premise, hypothesis, labels\)",
    '{"text": 3, "label": 0}': "has no text",
    '{"text": " \\n", "label": 0}': "has no text",
    '{"text": "a", "sentence": "b", "label": 0}': "has both sentence and text",
    '{"text": "a", "text": "b", "label": 0}': "has 'text' twice",
    '{"text": "a\\ud800", "label": 0}': "holds a sign that is none of Unicode .half of a pair",
    '{"text": "a"}': r"has no label \(it has: text\)",
    '{"text": "a", "label": 0, "labels": 1}': "has both labels and label",
    '{"text": "a", "label": 2}': r"has the label 2, and imdb has the classes 0 to 1 \(negative, positive\)",
    '{"text": "a", "label": -1}': "has the label -1",
    '{"text": "a", "label": true}': "has the label True",
    '{"text": "a", "label": 0.5}': "has the label 0.5",
    '{"text": "a", "label": NaN}': "has the label nan",
    '{"text": "a", "label": "good"}': "has the label good",
    '{"text": "a", "label": {"x": 1}}': "has the label",
    '{"text": "a", "label": [0.5, 0.6]}': "has a soft label that is not 2 probabilities with the sum 1",
    '{"text": "a", "label": [1.5, -0.5]}': "has a soft label",
    '{"text": "a", "label": [1]}': "has a soft label",
    '{"text": "a", "label": [NaN, 1]}': "has a soft label",
    '{"text": "a", "label": [true, false]}': "has a soft label",
    '{"text": "a", "label": [1' + "0" * 400 + ", 0]}": "has a soft label",
    '{"text": "a", "label": 0, "soft_label": 0.5}': "has a soft label",
    '{"text": "a", "labels": [1, 0], "soft_label": [1, 0]}': "has two soft labels",
}


@pytest.mark.parametrize(("line", "said"), BAD.items(), ids=[line[:40] for line in BAD])
def test_a_line_that_cannot_be_used_is_named_with_its_file(tmp_path, review_task, line, said):
    with pytest.raises(DDCoreError, match=f"^line 3 of .*a.jsonl {said}") as error:
        imported(tmp_path / "a.jsonl", review_task, f'{{"text": "a", "label": 0}}\n\n{line}\n')
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "holds no lines"),
        (b"\n\n", "holds no lines"),
        (b'{"text": "\xff", "label": 0}', "is not UTF-8 text"),
        (b'{"text": "a", "label": 0}\n{"text": "a", "label": [1, 0]}', "has soft labels on 1 of 2 lines"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path, review_task, content, said):
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(DDCoreError, match=f"a.jsonl {said}"):
        imported(tmp_path / "a.jsonl", review_task)


def test_texts_do_not_fit_a_data_set_of_images(tmp_path, toy):
    with pytest.raises(DDCoreError, match=r"a\.jsonl holds texts, the data set .* holds images"):
        imported(tmp_path / "a.jsonl", toy, DILM)


def token_set(task, **changes) -> DistilledSet:
    texts = ("The plot was great!", 'It doesn\'t end,\n"really" — 好 😀', "The\u2028cast\x85was DULL.")
    origin = replace(Origin.of(task, "random", {}, {}), texts=texts)
    made = {"x": encode(task.tokeniser, texts), "y": torch.tensor([1, 0, 0]), "origin": origin, "scale": task.scale}
    return DistilledSet(kind="tokens", **(made | changes))


@pytest.mark.parametrize("soft", [None, torch.tensor([[0.0, 2.0], [0.1, -9.0], [3.0, 3.5]])])
def test_what_is_written_comes_back(tmp_path, review_task, soft):
    small = token_set(review_task, soft=soft, temperature=1.0 if soft is None else 2.0)
    lines = export_set(small, tmp_path / "out", "jsonl")
    assert not any("source texts, as sets" in line for line in lines)
    path = tmp_path / "out" / "set.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [set(row) for row in rows] == [{"sentence", "labels"} | ({"soft_label"} if soft is not None else set())] * 3
    assert [row["labels"] for row in rows] == [0, 0, 1]
    again = import_set(path, Details(review_task)).small
    order = torch.tensor([1, 2, 0])
    assert again.texts == tuple(small.texts[i] for i in order.tolist()) and again.y.tolist() == [0, 0, 1]
    assert torch.equal(again.x.values, small.x[order].values) and again.labels == small.labels
    assert torch.allclose(again.targets(), small.targets()[order], atol=1e-7)


def test_datasets_reads_what_is_written(tmp_path, review_task):
    import datasets

    export_set(token_set(review_task), tmp_path / "out", "jsonl")
    table = datasets.Dataset.from_json(str(tmp_path / "out" / "set.jsonl"), cache_dir=str(tmp_path / "cache"))
    assert table.column_names == ["sentence", "labels"] and table["labels"] == [0, 0, 1]
    assert table[2]["sentence"] == "The plot was great!"


def test_its_suffix_tells_the_format(tmp_path):
    for name in ("a.jsonl", "b.JSON", "c.ndjson"):
        (tmp_path / name).write_text("{}")
        assert guessed(tmp_path / name).name == "jsonl"
    (tmp_path / "d.txt").write_text("{}")
    with pytest.raises(UsageError, match="is not clear from its name"):
        guessed(tmp_path / "d.txt")


def test_the_programs_read_and_write_texts(review_data, tmp_path, capsys):
    import export_set as exporting
    import import_set as importing

    (tmp_path / "dilm.json").write_text(DILM)
    data = ["--dataset", "imdb", "--data", str(review_data)]
    assert importing.main([str(tmp_path / "dilm.json"), *data, "--out", str(tmp_path / "set")]) == 0
    assert "\nthe plot was great, on tv!\n" in (tmp_path / "set" / "members.txt").read_text()
    argv = ["--set", str(tmp_path / "set"), "--format", "jsonl", "--out", str(tmp_path / "out")]
    assert exporting.main(argv) == 0
    sentences = [json.loads(line)["sentence"] for line in (tmp_path / "out" / "set.jsonl").read_text().splitlines()]
    assert sentences == ["The cast was awful.", "The plot was GREAT, on tv!"]
    capsys.readouterr()
    made = DistilledSet.load(tmp_path / "set")
    replace(made, origin=replace(made.origin, texts=())).save(tmp_path / "set")  # as sets of earlier versions
    assert exporting.main([*argv, "--fresh"]) == 0
    assert capsys.readouterr().out.startswith("it holds no source texts, as sets of earlier versions: the words of")
    assert "the cast was awful." in (tmp_path / "out" / "set.jsonl").read_text()
    (tmp_path / "set" / "tokeniser.json").unlink()
    assert exporting.main([*argv, "--fresh"]) == 1
    assert "no tokeniser.json lies beside it" in capsys.readouterr().err
    (tmp_path / "dilm.json").write_text(DILM + '{"sentence": "A", "labels": 7}\n')
    assert importing.main([str(tmp_path / "dilm.json"), *data, "--out", str(tmp_path / "new")]) == 1
    assert capsys.readouterr().err.startswith(
        f"error: line 3 of {tmp_path / 'dilm.json'} has the label 7, and imdb has"
    )
    assert not (tmp_path / "new").exists()


def test_a_table_of_your_own_gives_the_words_and_the_classes(tmp_path, remarks):
    task = load_task(f"text:{remarks}", tmp_path)
    text = '{"text": "It was GOODLY made", "label": "good"}\n{"text": "It was badly made", "label": 0}\n'
    small = imported(tmp_path / "a.jsonl", task, text).small
    assert small.y.tolist() == [1, 0] and small.classes == ("bad", "good") and small.dataset == task.name
    assert [task.tokeniser.id_to_token(i) for i in small.x.sequence(0).tolist()] == ["it", "was", "goodly", "made"]
    assert small.origin.content == task.fingerprint.content
