from dataclasses import replace

import pytest
import torch

from ddcore.data.task import Scale
from ddcore.data.tokens import Tokens
from ddcore.errors import DDCoreError, UsageError
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.formats.contract import Notes
from ddcore.sets.formats.exporting import export_set
from ddcore.sets.formats.registry import EXPORTED, FORMATS
from ddcore.sets.origin import Origin
from ddcore.unroll.schedule import Schedule


@pytest.fixture
def small():
    """Five members that do not stand class by class, with soft labels, places and a schedule."""
    return DistilledSet(
        "images",
        torch.arange(5 * 64, dtype=torch.float32).view(5, 1, 8, 8) / 320,
        torch.tensor([1, 0, 1, 0, 0]),
        Origin("digits", ("a", "b"), "dm"),
        Scale((0.0,), (1.0,)),
        soft=torch.arange(10, dtype=torch.float32).view(5, 2) % 3,
        indices=torch.tensor([9, 8, 7, 6, 5]),
        schedule=Schedule("mlp", torch.tensor([0.1]), torch.tensor([[0, 1]])),
    )


def test_members_stand_class_by_class(small):
    found = small.class_by_class()
    assert found.y.tolist() == [0, 0, 0, 1, 1] and found.indices.tolist() == [8, 6, 5, 9, 7]
    assert torch.equal(found.x, small.x[[1, 3, 4, 0, 2]]) and torch.equal(found.soft, small.soft[[1, 3, 4, 0, 2]])
    assert found.schedule.order.tolist() == [[3, 0]]


@pytest.mark.parametrize("name", [name for name in EXPORTED if "images" in FORMATS[name].kinds])
def test_every_format_takes_a_set_whose_classes_differ_in_size(small, tmp_path, name):
    left_out, rounding = export_set(small, tmp_path / "out", name)
    assert left_out == f"left out: {FORMATS[name].lacks}" and rounding == f"round trip: {FORMATS[name].rounding}"
    assert any((tmp_path / "out").rglob("*.*"))


def test_texts_are_refused_by_formats_of_images(tmp_path):
    texts = DistilledSet("tokens", Tokens.of([[4]]), torch.tensor([0]), Origin("t", ("a",), "x"))
    with pytest.raises(DDCoreError, match="the set holds tokens, which dc does not"):
        export_set(texts, tmp_path / "out", "dc")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(small, tmp_path):
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UsageError, match="is not empty: choose another --out"):
        export_set(small, tmp_path, "mtt")
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]


def test_a_licence_needs_a_page_and_an_imported_format_is_not_exported(small, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="dc has no page for a licence and scores"):
        export_set(small, tmp_path / "out", "dc", Notes(licence="mit"))
    monkeypatch.setitem(FORMATS, "idc", replace(FORMATS["idc"], write=None))
    with pytest.raises(UsageError, match=r"idc is not exported; these are: .*dc, .*png"):
        export_set(small, tmp_path / "out", "idc")
