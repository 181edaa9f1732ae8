"""rethinkdc reads our exports. Its evaluation needs a GPU, ImageNet's test images and an account, and is not run."""

import pytest
import torch

from ddcore import select
from ddcore.sets.formats.exporting import export_set


@pytest.mark.peers
@pytest.mark.real_data
def test_its_readers_give_our_members(cifar, tmp_path, answer):
    small = select(cifar, 20).class_by_class()
    home = tmp_path / "home"
    for name in ("png", "hf"):
        export_set(small, home / name, name)
    found = answer("rethinkdc==0.3.2", "with_rethinkdc.py", home)
    for name in ("folder", "table"):
        assert found[name] == small.y.tolist()
        assert torch.equal(torch.load(home / f"{name}.pt", weights_only=True), small.x)
