"""Folders of DATM are written here as it writes them, by torch alone."""

import pytest
import torch

from ddcore.errors import DDCoreError
from ddcore.sets.formats.exporting import export_set


@pytest.fixture
def logits(classes):
    draws = torch.Generator().manual_seed(0)
    return torch.randn(29, 10, generator=draws) + 12 * torch.nn.functional.one_hot(classes, 10)


@pytest.fixture
def folder(tmp_path, as_dc, logits):
    (home := tmp_path / "datm").mkdir()
    torch.save(as_dc, home / "images_best.pt")
    torch.save(logits.requires_grad_(), home / "labels_best.pt")  # as DATM does, which saves what it optimises
    torch.save(torch.tensor(0.0123), home / "lr_best.pt")
    return home


def test_a_folder_of_datm_is_read_and_written(folder, read, pixels, classes, logits):
    found = read(folder)
    assert torch.equal(found.small.x, pixels) and torch.equal(found.small.y, classes)
    assert torch.equal(found.small.soft, logits) and found.small.temperature == 1
    assert found.small.options["lr"] == pytest.approx(0.0123) and any("0.0123" in line for line in found.lines)
    export_set(found.small, folder.parent / "out", "datm")
    for name in ("images_best.pt", "labels_best.pt", "lr_best.pt"):
        old, new = (torch.load(place / name, weights_only=True).detach() for place in (folder, folder.parent / "out"))
        assert torch.equal(old, new)


def test_logits_are_written_at_temperature_one(folder, read):
    from dataclasses import replace

    small = read(folder).small
    export_set(replace(small, temperature=2.0), folder.parent / "out", "datm")
    assert torch.equal(torch.load(folder.parent / "out" / "labels_best.pt", weights_only=True), small.soft / 2)


def test_regression_targets_are_written_as_logits_of_probabilities(folder, read):
    from dataclasses import replace

    small = replace(read(folder).small, temperature=0.0)
    export_set(small, folder.parent / "out", "datm")
    logits = torch.load(folder.parent / "out" / "labels_best.pt", weights_only=True)
    torch.testing.assert_close(logits.softmax(1), small.targets())


def test_hard_labels_are_refused_both_ways(folder, read, refused, classes):
    from dataclasses import replace

    with pytest.raises(DDCoreError, match="export it as mtt"):
        export_set(replace(read(folder).small, soft=None), folder.parent / "out", "datm")
    torch.save(classes, folder / "labels_best.pt")
    assert "not logits (N, K): --format mtt reads classes" in refused(folder)


@pytest.mark.parametrize("rate", [torch.tensor([0.1, 0.2]), torch.tensor(-0.1), torch.tensor(float("nan")), "0.1"])
def test_a_rate_that_is_none_is_refused(folder, refused, rate):
    torch.save(rate, folder / "lr_best.pt")
    assert "learning rate" in refused(folder) or "is not a tensor" in refused(folder)
