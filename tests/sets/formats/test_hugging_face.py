"""Folders of the Hub: ours are opened by the library itself, and those of others are written here by it."""

import io
import re

import datasets
import pytest
import torch
from PIL import Image

from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats import limits
from ddcore.sets.formats.exporting import export_set

CARD = "---\nlicense: mit\n---\n# A set\n"


def encoded(picture) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def table(fashion, pixels, classes):
    """Rows and features of a data set as anybody's."""
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(fashion.classes))}
    pictures = [{"bytes": encoded(picture), "path": None} for picture in pixels[:, 0].numpy()]
    return {"image": pictures, "label": classes.tolist()}, features


@pytest.fixture
def write(tmp_path, table):
    """Write these rows, with changes, as a folder with a card."""

    def written(card=CARD, name="data/train-00000-of-00001.parquet", **columns):
        rows, features = table
        for column, (values, feature) in columns.items():
            rows, features = {**rows, column: values}, {**features, column: feature}
        path = tmp_path / "hub" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        datasets.Dataset.from_dict(rows, features=datasets.Features(features)).to_parquet(path)
        (tmp_path / "hub" / "README.md").write_text(card, encoding="utf-8")
        return tmp_path / "hub"

    return written


def test_a_folder_of_others_is_read(write, read, pixels, classes):
    found = read(write())
    assert torch.equal(found.small.x, pixels) and torch.equal(found.small.y, classes) and found.small.soft is None
    assert "licence on the dataset card: mit" in found.lines


def test_soft_labels_and_another_class_order_are_read(write, read, pixels, classes, fashion):
    names = datasets.ClassLabel(names=list(fashion.classes[::-1]))
    shares = (2 * torch.nn.functional.one_hot(9 - classes, 10).double() + torch.arange(10)).softmax(1)
    soft = (shares.tolist(), datasets.List(datasets.Value("float32")))
    found = read(write(label=((9 - classes).tolist(), names), soft_label=soft))
    assert (
        torch.equal(found.small.y, classes) and "its classes are brought into the order of the data set" in found.lines
    )
    assert torch.allclose(found.small.targets().double(), shares.flip(1), atol=1e-6)


def test_the_training_split_is_read_alone(write, read):
    write(name="data/test-00000-of-00001.parquet")
    assert len(read(write()).small) == 29


@pytest.fixture
def exported(write, read, tmp_path, fashion):
    """A set of normalised images with soft labels, exported."""
    from dataclasses import replace

    small = read(write()).small
    draws = torch.Generator().manual_seed(0)
    x = fashion.inputs(small.x) + 0.05 * torch.randn(small.x.shape, generator=draws)
    changes = {"x": x, "soft": torch.randn(29, 10, generator=draws), "temperature": 2.0}
    small = replace(small, **changes, recipes={"default": {"steps": 10}})
    export_set(small, tmp_path / "out", "hf")
    return small


def test_the_library_opens_our_folder_as_it_is(exported, tmp_path, fashion):
    rows = datasets.load_dataset(str(tmp_path / "out"), split="train")
    assert rows.column_names == ["image", "label", "soft_label"] and rows.features["label"].names == [*fashion.classes]
    assert rows["label"] == exported.y.tolist() and rows[0]["image"].size == (28, 28)
    assert torch.allclose(torch.tensor(rows["soft_label"]), exported.targets())


def test_the_set_itself_lies_beside_the_table(exported, tmp_path, read):
    exact = DistilledSet.load(tmp_path / "out" / "exact")
    assert torch.equal(exact.x, exported.x) and exact.digest == exported.digest and exact.recipes == exported.recipes
    again = read(tmp_path / "out")
    assert torch.allclose(again.small.targets(), exported.targets(), atol=1e-6)
    assert any("give it as --set" in line for line in again.lines)


def test_the_card_trains_a_network(exported, tmp_path):
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, object] = {}
    exec(block.replace("FOLDER", str(tmp_path / "out")).replace("range(100)", "range(2)"), names)
    assert (names["x"] - exported.scale.inputs(exported.x)).abs().max() > 0  # pictures are rounded and clamped
    assert names["loss"].isfinite()


@pytest.mark.parametrize("card", ["# A set", "---\ntags: [a]\n---\n", "---\nlicense:\n---\n", "---\n- a\n---\n"])
def test_a_card_without_a_licence_is_refused(write, refused, card):
    assert re.search("states no licence|not readable YAML", refused(write(card)))


def test_a_folder_without_a_card_is_read_with_a_line(write, read):
    home = write()
    (home / "README.md").unlink()
    assert any(line.startswith("no dataset card") for line in read(home).lines)


def test_other_tables_are_refused(write, refused, pixels, classes, tmp_path):
    picture = datasets.Image()
    small = [{"bytes": encoded(each[:27]), "path": None} for each in pixels[:, 0].numpy()]
    assert "has 28x27 pixels" in refused(write(image=(small, picture)))
    assert "row 1 of" in refused(write(image=([str(tmp_path / "secret.png")] * 29, datasets.Value("string"))))
    assert "has the labels 0 to 10" in refused(write(label=([*classes.tolist()[:-1], 10], datasets.Value("int64"))))
    ragged = ([[0.5, 0.5]] * 28 + [[1.0]], datasets.List(datasets.Value("float32")))
    assert "not a list of as many numbers" in refused(write(soft_label=ragged))
    few = ([[0.5, 0.5]] * 29, datasets.List(datasets.Value("float32")))
    assert "a label is none of the K classes" in refused(write(soft_label=few))
    home = write()
    (home / "data" / "train-00000-of-00001.parquet").write_bytes(b"PAR1 no table")
    assert "is truncated or damaged, or is not a Parquet file" in refused(home)


def test_a_table_without_the_columns_is_refused(tmp_path, refused):
    (tmp_path / "hub").mkdir()
    datasets.Dataset.from_dict({"img": [1], "label": [0]}).to_parquet(tmp_path / "hub" / "a.parquet")
    assert "has no column 'image' (it has: img, label)" in refused(tmp_path / "hub")


def test_a_table_that_unpacks_to_much_is_refused(write, refused, monkeypatch):
    home = write(more=([f"{i}" + "x" * 10**5 for i in range(29)], datasets.Value("string")))
    monkeypatch.setattr(limits, "MOST_BYTES", 10**6)
    assert "the unpacked content of" in refused(home)
