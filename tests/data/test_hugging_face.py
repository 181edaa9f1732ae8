"""Own data sets of the Hugging Face library as tasks, and what is wrong with them in one line."""

import datasets
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Value

from ddcore.data import pixel_cache
from ddcore.data.custom import SPLIT, parse
from ddcore.data.hf_cells import Cells
from ddcore.data.hugging_face import read_hugging_face
from ddcore.data.picture_task import Pictures
from ddcore.data.registry import load_task
from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime import LOG

PETS = ["cat", "dog"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    quiet = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    yield
    if not quiet:
        datasets.enable_progress_bars()


@pytest.fixture
def warnings(monkeypatch):
    lines = []
    monkeypatch.setattr(LOG, "warning", lambda line, *values: lines.append(line % values))
    return lines


def task(path, options=""):
    return load_task(f"hf:{path}{options}", path)


def refused(path, options="", error=UsageError):
    with pytest.raises(error) as caught:
        task(path, options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def save(path, texts, labels, feature=None, name="text", column=None):
    """Save members and labels; both features may be given."""
    features = Features({name: column or Value("string"), "label": feature or ClassLabel(names=PETS)})
    rows = Dataset.from_dict({name: texts, "label": labels}, features=features)
    rows.save_to_disk(path)
    return rows


def texts(count):
    return [f"text number {i}" for i in range(count)]


def test_saved_pictures_are_a_task(write_saved, tmp_path):
    found = task(write_saved(tmp_path / "my pets", "image", 30, 8))
    assert found.name == "hf-my-pets" and found.classes == ("cat", "dog") and found.shape == (1, 12, 12)
    assert found.kind == "images" and found.address == f"hf:{tmp_path / 'my pets'}" and found.content
    assert found.train.y.tolist() == [0] * 15 + [1] * 15 and len(found.load_test()) == 8
    assert found.source.startswith("custom images 'my pets', 30 for training and 8 for testing, content ")
    saved = datasets.load_from_disk(str(tmp_path / "my pets"))["train"]
    pixels = torch.tensor([[*each["image"].tobytes()] for each in saved.select(range(0, 30, 2))], dtype=torch.uint8)
    assert torch.equal(found.train.x[:15].flatten(1), pixels)
    assert task(tmp_path / "my pets", ",side=16").shape == (1, 16, 16)


def test_saved_texts_are_a_task(write_saved, tmp_path):
    found = task(write_saved(tmp_path / "pets", "text", 40))
    assert found.kind == "text" and found.classes == ("cat", "dog") and len(found.train) == 32
    assert len(found.load_test()) == 8 and found.source.startswith("custom texts 'pets', 32 for training and 8")


@pytest.mark.parametrize("kind", ["image", "text"])
def test_a_fifth_is_held_out_and_other_files_of_the_same_members_are_the_same_data(write_saved, tmp_path, kind):
    home = write_saved(tmp_path / "pets", kind, 40)
    datasets.load_from_disk(str(home)).to_parquet(tmp_path / "parquet" / "all.parquet")
    saved, parquet = task(home), task(tmp_path / "parquet")
    for each in (saved, parquet):
        assert torch.bincount(each.train.y).tolist() == [16, 16]
        assert torch.bincount(each.load_test().y).tolist() == [4, 4]
    assert saved.content == parquet.content
    found = read_hugging_face(parse(f"hf:{home}"))
    assert (found.content if isinstance(found, Pictures) else found).split == SPLIT


def test_a_folder_of_pictures(write_pictures, tmp_path):
    for part, count in (("train", 15), ("test", 4)):
        write_pictures(tmp_path / "photos" / part, {"b cat": count, "a dog": count})
    found = task(tmp_path / "photos")
    assert found.classes == ("a dog", "b cat") and len(found.train) == 30 and len(found.load_test()) == 8
    own = load_task(f"images:{tmp_path / 'photos'}", tmp_path)
    assert own.classes == found.classes and torch.equal(own.train.x, found.train.x) and own.content == found.content


def test_a_changed_member_changes_the_content(write_saved, tmp_path):
    save(tmp_path / "a", texts(40), [0, 1] * 20)
    save(tmp_path / "b", [*texts(39), "another"], [0, 1] * 20)
    save(tmp_path / "c", texts(40), [*[0, 1] * 19, 1, 0])
    assert len({task(tmp_path / name).content for name in "abc"}) == 3


def test_large_sets_are_mapped_and_not_read_again(write_saved, tmp_path, monkeypatch):
    home = write_saved(tmp_path / "pets", "image", 30, 8)
    small = task(home)
    monkeypatch.setattr("ddcore.data.picture_task.MAPPED", 1)
    monkeypatch.setattr("ddcore.data.file_index.FRESH", -(10**15))
    first = task(home)
    assert torch.equal(first.train.x, small.train.x) and torch.equal(first.load_test().x, small.load_test().x)
    assert {path.suffix for path in pixel_cache.pixel_folder().iterdir() if path.is_file()} >= {".pixels", ".files"}
    reads, read = [], Cells.__getitem__
    monkeypatch.setattr(Cells, "__getitem__", lambda cells, i: reads.append(i) or read(cells, i))
    again = task(home)
    assert again.content == first.content and torch.equal(again.train.x, first.train.x) and len(reads) < 2


def test_class_names_keep_their_published_order(tmp_path, warnings):
    save(tmp_path / "pets", texts(30), [0, 2] * 15, ClassLabel(names=["dog", "ant", "cat"]))
    assert task(tmp_path / "pets").classes == ("dog", "cat")
    assert warnings == [f"1 of 3 classes of {tmp_path / 'pets'} have no training members and are left out"]
    save(tmp_path / "more", texts(30), [10, 9] * 15, Value("int64"))
    assert task(tmp_path / "more").classes == ("9", "10")


def test_splits_are_chosen(tmp_path, warnings):
    parts = {name: save(tmp_path / name, texts(n), [0, 1] * (n // 2)) for name, n in (("train", 30), ("valid", 40))}
    DatasetDict(parts).save_to_disk(tmp_path / "pets")
    assert len(task(tmp_path / "pets").load_test()) == 6
    said = [line for line in warnings if "becomes the test set" in line]
    assert len(said) == 1 and said[0].endswith("to test on another split, add ,test= and one of: valid")
    warnings.clear()
    assert len(task(tmp_path / "pets", ",test=valid").load_test()) == 40
    assert len(task(tmp_path / "pets", ",train=valid,test=train").train) == 40
    assert len(task(tmp_path / "pets", ",train=valid,test=").train) == 32
    assert not [line for line in warnings if "becomes" in line]
    assert "has no split 'big': give ,train=SPLIT to --dataset, one of: train, valid" in refused(
        tmp_path / "pets", ",train=big"
    )
    assert "has no split 'big': give ,test=SPLIT" in refused(tmp_path / "pets", ",test=big")
    assert "cannot be both training and test set" in refused(tmp_path / "pets", ",test=train")
    DatasetDict(valid=parts["valid"], other=parts["train"]).save_to_disk(tmp_path / "odd")
    assert "has no split 'train': give ,train=SPLIT to --dataset, one of: valid, other" in refused(tmp_path / "odd")


def with_test(tmp_path, values, feature=None):
    train = save(tmp_path / "train", texts(30), [0, 1] * 15)
    test = save(tmp_path / "test", texts(len(values)), values, feature)
    DatasetDict(train=train, test=test).save_to_disk(tmp_path / "pets")
    return tmp_path / "pets"


def test_an_unlabelled_test_split_is_one_line_with_a_way_out(tmp_path):
    home = with_test(tmp_path, [-1] * 6)
    said = refused(home)
    assert "the split 'test' of" in said and "has no labels: row 1 has the class -1" in said and "write ,test=" in said
    assert len(task(home, ",test=").load_test()) == 6


@pytest.mark.parametrize(
    ("values", "feature", "line"),
    [
        ([], None, "pets/test is a data set or a split without any rows"),
        (
            ["emu"] * 3,
            Value("string"),
            "the split 'test' of .* has the label 'emu', which the split 'train' does not have",
        ),
        ([0], ClassLabel(names=["emu"]), "the split 'test' of .* has the label 'emu'"),
        ([[0]], List(ClassLabel(names=PETS)), "the column 'label' of the split 'test' of .* holds no classes"),
    ],
)
def test_a_test_split_that_does_not_fit_is_one_line(tmp_path, values, feature, line):
    with pytest.raises(UsageError, match=line):
        task(with_test(tmp_path, values, feature))


def test_a_test_split_with_other_columns_is_one_line(tmp_path):
    train = save(tmp_path / "train", texts(30), [0, 1] * 15)
    DatasetDict(train=train, test=train.remove_columns("label")).save_to_disk(tmp_path / "pets")
    assert "the split 'test' of" in refused(tmp_path / "pets")
    assert "has no column 'label'" in refused(tmp_path / "pets")


def test_a_test_split_may_number_its_classes_otherwise(tmp_path):
    home = with_test(tmp_path, [0, 0, 1], ClassLabel(names=["dog", "cat"]))
    assert task(home).load_test().y.tolist() == [1, 1, 0]


def test_what_cannot_be_learned_from_is_one_line(tmp_path):
    for number, (labels, line) in enumerate(
        (
            ([], "0 is a data set or a split without any rows"),
            ([0] * 30, r"holds only one class \('cat'\)"),
            ([0, 1] * 5, "holds 10 members: at least 20"),
            ([0] * 30 + [1], "class 'dog' of .* has 1 member, too few to split off a test set"),
        )
    ):
        save(tmp_path / str(number), texts(len(labels)), labels)
        with pytest.raises(UsageError, match=line):
            task(tmp_path / str(number))
    save(tmp_path / "same", ["a b", "c d"] * 15, [0, 1] * 15)
    assert "are all the same" in refused(tmp_path / "same")
    save(tmp_path / "twins", texts(30), [0, 1] * 15, ClassLabel(names=["a b", "a  b"]))
    assert "two classes of" in refused(tmp_path / "twins")


def test_texts_that_are_missing_or_to_be_resized_are_one_line(tmp_path):
    save(tmp_path / "gap", [*texts(29), None], [0, 1] * 15)
    assert "row 30 of the split 'train'" in refused(tmp_path / "gap")
    save(tmp_path / "whole", texts(30), [0, 1] * 15)
    assert "side= is for images, and the members are texts" in refused(tmp_path / "whole", ",side=32")
    assert "damaged= is for images, and the members" in refused(tmp_path / "whole", ",damaged=skip")


def pictures(write_saved, tmp_path, change):
    """Save 30 pictures of which the fourth is changed: row 4."""
    saved = datasets.load_from_disk(str(write_saved(tmp_path / "whole", "image", 30))).cast_column(
        "image", Image(decode=False)
    )
    cells = saved["image"][:]
    cells[3] = change(cells[3])
    features = Features({"image": Image(), "label": ClassLabel(names=PETS)})
    columns = {"image": cells, "label": saved["label"][:]}
    Dataset.from_dict(columns, features=features).save_to_disk(tmp_path / "pets")
    return tmp_path / "pets"


@pytest.mark.parametrize(
    ("change", "line", "error"),
    [
        (lambda cell: None, "row 4 of the split 'train' of .* holds no image in the column 'image'", DDCoreError),
        (
            lambda cell: {**cell, "bytes": b"none"},
            "row 4 of the split 'train' of .* is not a readable image",
            DDCoreError,
        ),
        (lambda cell: {**cell, "bytes": cell["bytes"][:60]}, "row 4 of the split 'train' of .* is broken", DDCoreError),
    ],
)
def test_pictures_that_are_missing_or_damaged_are_named(write_saved, tmp_path, change, line, error):
    with pytest.raises(error, match=line):
        task(pictures(write_saved, tmp_path, change))


def test_damaged_pictures_are_left_out_where_asked(write_saved, tmp_path, warnings):
    home = pictures(write_saved, tmp_path, lambda cell: {**cell, "bytes": cell["bytes"][:60]})
    found = task(home, ",damaged=skip")
    assert len(found.train) + len(found.load_test()) == 29 and "1 damaged ones left out" in found.source
    assert warnings == [f"1 damaged images of {home} are left out: row 4 of the split 'train' of {home} …"]


def test_pictures_of_different_sizes_are_asked_for_a_side(tmp_path, write_pictures):
    write_pictures(tmp_path / "photos", {"cat": 15, "dog": 15})
    write_pictures(tmp_path / "photos", {"cat": 1}, side=14)
    said = refused(tmp_path / "photos")
    assert "has 14x14 pixels, 29 of 30 images have 12x12" in said and f"hf:{tmp_path / 'photos'},side=12" in said
    assert task(tmp_path / "photos", ",side=12").shape == (1, 12, 12)


def test_a_damaged_column_is_one_line_and_does_not_end_the_process(tmp_path):
    save(tmp_path / "pets", texts(30), [0, 1] * 15)
    path = tmp_path / "pets" / "data-00000-of-00001.arrow"
    whole = path.read_bytes()
    begin = whole.index(b"text number 0") - 4 * 31  # the end of the offsets
    place = whole.rindex((13).to_bytes(4, "little"), 0, begin + 64)
    path.write_bytes(whole[:place] + b"\xff\xff\xff\x7f" + whole[place + 4 :])
    assert "is damaged in the column 'text'" in refused(tmp_path / "pets", error=DDCoreError)


def test_a_name_on_the_hub_is_a_task(monkeypatch, tmp_path):
    rows = save(tmp_path / "pets", texts(40), [0, 1] * 20)
    monkeypatch.setattr(datasets, "load_dataset", lambda name: DatasetDict(train=rows))
    found = load_task("hf:some/animals,label=label", tmp_path)
    monkeypatch.setattr(datasets, "load_dataset", lambda name: DatasetDict(train=rows.select([])))
    assert "the split 'train' of 'some/animals' on the Hugging Face Hub is empty" in refused("some/animals")
    assert found.name == "hf-some-animals" and found.address == "hf:some/animals,label=label" and len(found.train) == 32
    assert "custom texts 'some/animals'" in found.source
