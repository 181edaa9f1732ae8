import pytest
import torch

from ddcore.data import parquet, text
from ddcore.data.text import imdb
from ddcore.errors import DDCoreError


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
    datasets.Dataset.from_list([{"text": "zebra zebra plot", "label": 0}]).to_parquet(path)
    task = imdb(review_data)
    assert task.load_test().x.values.tolist()[:2] == [1, 1] and task.tokeniser.token_to_id("zebra") is None


def test_a_truncated_file_is_named(review_data):
    path = review_data / "imdb" / "plain_text" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DDCoreError, match=r"train-00000-of-00001\.parquet is truncated"):
        imdb(review_data)


def test_other_labels_are_refused(review_data):
    import datasets

    path = review_data / "imdb" / "plain_text" / "train-00000-of-00001.parquet"
    datasets.Dataset.from_list([{"text": "good", "label": 7}]).to_parquet(path)
    with pytest.raises(DDCoreError, match="other than 0 and 1"):
        imdb(review_data)


def test_missing_data_that_cannot_be_downloaded_says_what_to_do(tmp_path, monkeypatch):
    import datasets

    def offline(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    assert parquet.PUBLISHERS["imdb"]
    with pytest.raises(DDCoreError, match="DDCORE_DATA"):
        imdb(tmp_path)
