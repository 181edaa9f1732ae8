from dataclasses import replace

import pytest
import torch
from huggingface_hub import metadata_load

from ddcore.data.task import Scale
from ddcore.errors import UsageError
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.card import write_card
from ddcore.sets.formats.contract import Notes
from ddcore.sets.origin import Origin


@pytest.fixture
def small():
    x, origin = torch.zeros(3, 1, 28, 28, dtype=torch.uint8), Origin("mnist", tuple("0123456789"), "k-means", {"a": 1})
    return DistilledSet("images", x, torch.tensor([0, 1, 1]), origin, Scale((0.13,), (0.31,)))


def card(small, folder, **notes):
    write_card(small, folder, Notes(**notes))
    return metadata_load(folder / "README.md"), (folder / "README.md").read_text(encoding="utf-8")


def test_the_card_says_what_the_set_is(small, tmp_path):
    front, text = card(small, tmp_path, scores=(("convnet, | dc", "70.5 ± 0.4"),))
    assert front["license"] == "cc-by-sa-3.0" and front["configs"][0]["data_files"][0]["path"] == "data/train-*.parquet"
    for part in ("MNIST, 3 members by k-means", "CC BY-SA 3.0", "3, per class 0 to 2", "mean 0.1300", small.digest):
        assert part in text
    assert "| convnet, \\| dc | 70.5 ± 0.4 |" in text and "exact: the members are pixels of 8 bits" in text


def test_the_card_says_what_soft_labels_the_exact_set_holds(small, tmp_path):
    soft = torch.eye(10)[:3]
    assert "logits at temperature 2 in `exact`" in card(replace(small, soft=soft, temperature=2.0), tmp_path)[1]
    assert "regression targets in `exact`" in card(replace(small, soft=soft, temperature=0.0), tmp_path)[1]


def test_several_decoded_images_per_stored_one_are_said(small, tmp_path):
    _, text = card(replace(small, origin=replace(small.origin, factor=2)), tmp_path)
    assert "class V: 4 members decoded from each stored image" in text


def test_the_licence_of_own_data_must_be_said(small, tmp_path):
    own = replace(small, origin=replace(small.origin, dataset="images-photos"))
    with pytest.raises(UsageError, match="give --licence NAME"):
        card(own, tmp_path)
    assert not (tmp_path / "README.md").exists()
    assert card(own, tmp_path, licence="cc0-1.0")[0]["license"] == "cc0-1.0"


@pytest.mark.parametrize(("dataset", "licence"), [("cifar10", "unknown"), ("svhn", "other"), ("fashion_mnist", "mit")])
def test_licences_have_the_identifiers_of_the_hub(small, tmp_path, dataset, licence):
    assert card(replace(small, origin=replace(small.origin, dataset=dataset)), tmp_path)[0]["license"] == licence
