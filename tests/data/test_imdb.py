import pytest

from ddcore.data.imdb import imdb
from ddcore.errors import DDCoreError


def test_a_truncated_file_is_named(review_data):
    path = review_data / "imdb" / "plain_text" / "train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DDCoreError, match=r"train-00000-of-00001\.parquet is truncated"):
        imdb(review_data)


def test_other_labels_are_refused(review_data):
    import datasets

    path = review_data / "imdb" / "plain_text" / "train-00000-of-00001.parquet"
    datasets.Dataset.from_list([{"text": "good", "label": 7}]).to_parquet(path)
    with pytest.raises(DDCoreError, match="has the label 7, and labels are whole numbers from 0 to 1: delete"):
        imdb(review_data)


def test_missing_data_that_cannot_be_downloaded_says_what_to_do(tmp_path, monkeypatch):
    import datasets

    def offline(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DDCoreError, match="DDCORE_DATA"):
        imdb(tmp_path)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("good", 1), ("better", 1)], "has no members with the label 0"),
        ([("good", 1), ("bad", 0), (None, 0)], "row 3 of the train part in .* holds no text: delete"),
        ([("good", 1), ("bad", None)], "has the label None"),
        ([("good", "pos"), ("bad", "neg")], "has the label 'pos'"),
    ],
)
def test_half_the_data_and_cells_without_value_are_one_line(review_data, rows, told):
    import datasets

    path = review_data / "imdb" / "plain_text" / "train-00000-of-00001.parquet"
    datasets.Dataset.from_list([{"text": text, "label": label} for text, label in rows]).to_parquet(path)
    with pytest.raises(DDCoreError, match=told):
        imdb(review_data)
