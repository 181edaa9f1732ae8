"""Texts in the folders that the Hugging Face library opens; tables of others are written here by pyarrow alone."""

import re
from dataclasses import replace

import pyarrow
import pytest
import torch
from pyarrow import parquet

from ddcore import DDCoreError, DistilledSet
from ddcore.data.tokeniser import encode
from ddcore.nets.embedding import Embedding
from ddcore.sets.formats.exporting import export_set
from ddcore.sets.formats.importing import Details, import_set
from ddcore.sets.origin import Origin

TEXTS = ("The plot was GREAT!", "It doesn't end,\n“really” — 好 😀", "The cast was dull.")


def token_set(task, **changes) -> DistilledSet:
    origin = replace(Origin.of(task, "random", {"budget": 3}, {}), texts=TEXTS)
    made = {"x": encode(task.tokeniser, TEXTS), "y": torch.tensor([1, 0, 0]), "origin": origin, "scale": task.scale}
    return DistilledSet(kind="tokens", **(made | changes))


def opened(folder):
    import datasets

    return datasets.load_dataset(str(folder), split="train", cache_dir=str(folder.parent / "cache"))


@pytest.mark.parametrize("soft", [None, torch.tensor([[0.0, 2.0], [0.1, -9.0], [3.0, 3.5]])])
def test_the_library_opens_the_folder_and_it_comes_back(tmp_path, review_task, soft):
    small = token_set(review_task, soft=soft, temperature=1.0 if soft is None else 2.0)
    folder = tmp_path / "out"
    export_set(small, folder, "hf")
    table, order = opened(folder), torch.tensor([1, 2, 0])
    assert table.column_names == ["text", "label", "soft_label"] and table.features["label"].names == list(
        small.classes
    )
    assert list(table["text"]) == [TEXTS[1], TEXTS[2], TEXTS[0]] and list(table["label"]) == [0, 0, 1]
    assert torch.allclose(torch.tensor(list(table["soft_label"])), small.targets()[order])
    again = import_set(folder, Details(review_task)).small
    assert again.texts == tuple(table["text"]) and again.y.tolist() == [0, 0, 1] and again.kind == "tokens"
    assert torch.equal(again.x.values, small.x[order].values) and again.labels == small.labels
    assert torch.allclose(again.targets(), small.targets()[order], atol=1e-6)
    exact = DistilledSet.load(folder / "exact")
    assert exact.digest == small.class_by_class().digest and exact.texts == again.texts


def test_the_card_says_what_the_texts_are_and_how_to_train_on_them(tmp_path, review_task):
    export_set(token_set(review_task), tmp_path / "out", "hf")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "- text-classification" in card and "license: unknown" in card and "normalisation" not in card
    assert "| members in the table | its source text: case and punctuation as they were |" in card
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    space = {}
    exec(
        code.replace("FOLDER", str(tmp_path / "out")).replace(
            "(folder,", f"(folder, cache_dir='{tmp_path / 'cache'}',"
        ),
        space,
    )
    assert (space["net"](space["x"]).argmax(1) == torch.tensor([0, 0, 1])).all()


def test_words_in_place_of_source_texts_are_named_and_left_out_of_the_set(tmp_path, review_task):
    small = token_set(review_task)
    small = replace(small, origin=replace(small.origin, texts=()))
    lines = export_set(small, tmp_path / "out", "hf", tokeniser=review_task.tokeniser)
    assert lines[0].startswith("it holds no source texts")
    assert list(opened(tmp_path / "out")["text"])[2] == "the plot was great!"
    assert "the words of its tokens, in lower case" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    exact = DistilledSet.load(tmp_path / "out" / "exact")
    assert exact.texts == () and exact.provenance == small.provenance


def test_synthetic_texts_stay_vectors_in_the_exact_set(tmp_path, review_task):
    table = torch.eye(review_task.tokeniser.get_vocab_size())
    embedding = Embedding("here", "cnn", table, torch.ones(len(table), dtype=torch.bool))
    ids = torch.tensor([[review_task.tokeniser.token_to_id(word) for word in ("great", "plot")]])
    small = DistilledSet(
        "embeddings", table[ids] * 0.9, torch.tensor([1]), Origin.of(review_task, "dm", {}, {}), embedding=embedding
    )
    export_set(small, tmp_path / "out", "hf", tokeniser=review_task.tokeniser)
    assert list(opened(tmp_path / "out")["text"]) == ["great plot"]
    assert torch.equal(DistilledSet.load(tmp_path / "out" / "exact").x, small.x)


def written(folder, columns):
    folder.mkdir()
    parquet.write_table(pyarrow.table(columns), folder / "train.parquet")
    return folder


def test_a_table_of_others_is_read_in_the_order_of_its_files(tmp_path, review_task):
    folder = written(tmp_path / "in", {"text": ["The plot"], "label": [1], "other": [0.5]})
    parquet.write_table(pyarrow.table({"text": ["A cast"], "label": [0]}), folder / "train2.parquet")
    done = import_set(folder, Details(review_task))
    assert done.small.texts == ("The plot", "A cast") and done.small.y.tolist() == [1, 0] and done.small.soft is None
    assert done.small.x.lengths.tolist() == [2, 2]
    assert "no dataset card: licence, method and normalisation are not stated" in done.lines
    assert any("are not in the vocabulary of imdb" in line for line in done.lines)


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        ({"text": ["a", None], "label": [0, 1]}, "row 2 of .*train.parquet holds no text in 'text'"),
        ({"text": ["a", " "], "label": [0, 1]}, "row 2 of .*train.parquet holds no text in 'text'"),
        ({"text": [1, 2], "label": [0, 1]}, "row 1 of .*train.parquet holds no text in 'text'"),
        ({"text": ["a", "b"], "label": [0, -1]}, "a label in .* is not a class number"),
        ({"text": ["a", "b"], "label": [0, 2]}, "has the labels 0 to 2"),
        ({"sentence": ["a"], "label": [0]}, r"has no column 'text' \(it has: sentence, label\)"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(tmp_path, review_task, columns, line):
    with pytest.raises(DDCoreError, match=line) as error:
        import_set(written(tmp_path / "in", columns), Details(review_task))
    assert "\n" not in str(error.value)
