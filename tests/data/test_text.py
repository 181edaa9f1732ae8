import pytest
import torch

from ddcore.data import text
from ddcore.data.imdb import imdb
from ddcore.data.tokeniser import encode
from ddcore.errors import DDCoreError, UsageError


def test_reviews_become_tokens(review_task):
    assert len(review_task.train) == 80 and len(review_task.load_test()) == 20
    assert torch.bincount(review_task.train.y[review_task.validation]).tolist() == [4, 4]
    assert review_task.default_net == "linear" and review_task.kind == "text"
    assert review_task.train.x.values.dtype == torch.int32 and int(review_task.train.x.values.min()) >= 1


def test_a_second_read_takes_the_cache_and_gives_the_same(review_data, review_task, monkeypatch):
    first = review_task.load_test()

    def refuse(*_):
        raise AssertionError("tokenised twice")

    monkeypatch.setattr(text, "encode", refuse)
    again = imdb(review_data)
    assert torch.equal(again.train.x.values, review_task.train.x.values)
    assert torch.equal(again.load_test().x.values, first.x.values)
    assert again.tokeniser.to_str() == review_task.tokeniser.to_str()


def test_a_damaged_cache_is_made_anew(review_data, review_task, tmp_path):
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:40])
    assert torch.equal(imdb(review_data).train.x.values, review_task.train.x.values)


def test_words_come_from_the_training_reviews_only(review_data, tmp_path):
    import datasets

    path = review_data / "imdb" / "plain_text" / "test-00000-of-00001.parquet"
    datasets.Dataset.from_list([{"text": "zebra zebra plot", "label": 0}, {"text": "plot", "label": 1}]).to_parquet(
        path
    )
    task = imdb(review_data)
    assert task.load_test().x.values.tolist()[:2] == [1, 1] and task.tokeniser.token_to_id("zebra") is None


def test_a_damaged_tokeniser_in_the_cache_is_trained_again(review_data, review_task, tmp_path):
    path = next((tmp_path / "cache").glob("*.tokeniser.json"))
    path.write_text("{", encoding="utf-8")
    assert imdb(review_data).tokeniser.to_str() == review_task.tokeniser.to_str()


def test_texts_that_share_no_words_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path))
    lines = [f"{chr(97 + i)}word" for i in range(20)]
    texts = text.Texts(lambda part: (lines, torch.arange(20) % 2), lambda part: "key")
    with pytest.raises(UsageError, match="no word occurs twice in the training texts"):
        text.text_task("own", ("a", "b"), texts, "made by the test")


def test_members_give_their_source_text_whatever_part_they_are_of(review_task):
    source = review_task.train.source.load()
    assert len(source) == 80 and source[3].startswith("I saw film 3 (on tv).<br /><br />The plot was")
    few = review_task.cut(10, 5).train
    again = encode(review_task.tokeniser, few.source.load())
    assert torch.equal(again.values, few.x.values) and torch.equal(again.offsets, few.x.offsets)


def test_source_texts_of_a_changed_file_are_refused(review_data, review_task):
    path = review_data / "imdb" / "plain_text" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DDCoreError, match="the training texts of imdb have changed since this stage began"):
        review_task.train.source.load()
