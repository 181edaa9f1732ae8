from pathlib import Path

import pytest
import torch

from ddcore.data.task import cache_dir, spread, validation_part
from ddcore.errors import UsageError


def test_the_validation_part_is_fixed_balanced_and_outside_fit(toy):
    assert torch.equal(toy.validation, validation_part(toy.train.y))
    assert torch.bincount(toy.train.y[toy.validation]).tolist() == [6, 6]
    assert sorted([*toy.validation.tolist(), *toy.fit.tolist()]) == list(range(120))


def test_spread_shares_uneven_classes_as_evenly_as_they_go():
    y = torch.tensor([0] * 50 + [1] * 3 + [2] * 20)
    assert torch.bincount(y[spread(y, 13, "x")]).tolist() == [5, 3, 5]


def test_inputs_are_normalised_and_pixels_undo_it(toy):
    x = toy.inputs(toy.train.x)
    assert abs(float(x.mean())) < 1e-4 and abs(float(x.std(correction=0)) - 1) < 1e-4
    assert torch.allclose(toy.pixels(x), toy.train.x.float() / 255, atol=1e-6)


def test_a_cut_task_is_small_and_keeps_its_shape(toy):
    small = toy.cut(30, 10)
    assert len(small.train) == 30 and len(small.load_test()) == 10 and len(small.validation) == 3
    assert torch.bincount(small.train.y).tolist() == [15, 15]


def test_a_small_class_does_not_lose_all_its_members_to_the_validation_part():
    y = torch.tensor([0] * 190 + [1] * 10)
    assert torch.bincount(y[validation_part(y)]).tolist() == [18, 2]
    even = torch.arange(600) % 3
    assert torch.equal(validation_part(even), spread(even, 60, "validation"))


def test_a_user_without_a_home_folder_is_told_what_to_set(monkeypatch, tmp_path):
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("DDCORE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", home)
    with pytest.raises(UsageError, match="has no home folder for derived data: set DDCORE_CACHE"):
        cache_dir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "ddcore"
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "here"))
    assert cache_dir() == tmp_path / "here"
