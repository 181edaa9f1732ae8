import json
from dataclasses import fields

import pytest
import torch

from ddcore import DDCoreError, DistilledSet
from ddcore.data.task import Scale
from ddcore.nets.linear import LinearRecipe
from ddcore.sets.format_1 import LINEAR, SHARED, from_format_1
from ddcore.sets.origin import Origin

EVERY = {"steps": 3, "lr": 0.1, "span": 0, "ngrams": 3, "strength": 1.0}


def test_a_network_keeps_the_fields_that_it_reads():
    record = from_format_1({"format": 1, "recipes": {"mlp": EVERY, "linear": EVERY, "default": EVERY}})
    assert record["format"] == 2
    assert record["recipes"]["mlp"] == {"steps": 3, "lr": 0.1, "span": 0}
    assert record["recipes"]["linear"] == {"steps": 3, "ngrams": 3, "strength": 1.0}
    assert record["recipes"]["default"] == EVERY
    assert {each.name for each in fields(LinearRecipe)} == {*SHARED, *LINEAR}


@pytest.fixture
def folder(tmp_path):
    origin = Origin("toy", ("a", "b"), "random", {"budget": 2}, {"source": "here"})
    x, y = torch.zeros(2, 1, 4, 4), torch.tensor([0, 1])
    DistilledSet("images", x, y, origin, Scale((0.5,), (0.5,)), recipes={"mlp": EVERY}).save(tmp_path)
    return tmp_path


def rewritten(folder, change):
    record = json.loads((folder / "set.json").read_text())
    assert record.pop("record_sha256") and record["format"] == 2
    (folder / "set.json").write_text(json.dumps(change(record)))


def test_a_set_of_format_1_is_read(folder):
    rewritten(folder, lambda record: record | {"format": 1})
    old = DistilledSet.load(folder)
    assert old.recipes == {"mlp": {"steps": 3, "lr": 0.1, "span": 0}} and old.origin.options == {"budget": 2}


def test_what_a_later_version_adds_is_passed_over_and_what_is_optional_may_lack(folder):
    optional = ("options", "provenance", "recipes", "max_tokens", "ordered", "schedule", "embedding", "labels")
    rewritten(folder, lambda record: {k: v for k, v in record.items() if k not in optional} | {"later": [1]})
    new = DistilledSet.load(folder)
    assert (new.recipes, new.options, new.provenance, new.ordered, new.mean) == ({}, {}, {}, False, (0.5,))


@pytest.mark.parametrize("recipes", [[1], {"mlp": 3}, None])
@pytest.mark.parametrize("number", [1, 2])
def test_recipes_of_another_kind_are_one_line(folder, recipes, number):
    rewritten(folder, lambda record: record | {"format": number, "recipes": recipes})
    with pytest.raises(DDCoreError, match=f"{folder} is not a distilled set of this format"):
        DistilledSet.load(folder)


def test_a_format_of_the_future_is_one_line(folder):
    rewritten(folder, lambda record: record | {"format": 3})
    with pytest.raises(DDCoreError, match=r"set\.json has format 3; this ddcore reads 1 and 2"):
        DistilledSet.load(folder)
