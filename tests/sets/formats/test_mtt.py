"""Folders of MTT and TESLA are written here as they write them, by torch alone."""

import pytest
import torch

from ddcore.sets.formats.exporting import export_set


@pytest.fixture
def folder(tmp_path, as_dc, classes):
    (home := tmp_path / "mtt").mkdir()
    torch.save(as_dc, home / "images_best.pt")
    torch.save(classes, home / "labels_best.pt")
    return home


def test_a_folder_of_mtt_is_read_and_written(folder, read, pixels, classes, as_dc):
    small = read(folder).small
    assert torch.equal(small.x, pixels) and torch.equal(small.y, classes) and small.soft is None
    export_set(small, folder.parent / "out", "mtt")
    assert sorted(each.name for each in (folder.parent / "out").iterdir()) == ["images_best.pt", "labels_best.pt"]
    assert torch.equal(torch.load(folder.parent / "out" / "images_best.pt", weights_only=True), as_dc)
    assert torch.equal(torch.load(folder.parent / "out" / "labels_best.pt", weights_only=True), classes)


def test_probabilities_of_tesla_are_soft_labels(folder, read, classes):
    draws = torch.Generator().manual_seed(0)
    shares = (torch.randn(29, 10, generator=draws) + 9 * torch.nn.functional.one_hot(classes, 10)).softmax(1)
    torch.save(shares, folder / "labels_best.pt")
    small = read(folder).small
    assert torch.equal(small.y, classes) and torch.allclose(small.targets(), shares, atol=1e-6)
    export_set(small, folder.parent / "out", "mtt")
    assert torch.allclose(torch.load(folder.parent / "out" / "labels_best.pt", weights_only=True), shares, atol=1e-6)


def test_members_of_unlike_numbers_are_written_class_by_class(folder, read, as_dc, classes):
    order = torch.randperm(29, generator=torch.Generator().manual_seed(0))
    torch.save(as_dc[order], folder / "images_best.pt")
    torch.save(classes[order], folder / "labels_best.pt")
    export_set(read(folder).small, folder.parent / "out", "mtt")
    written = torch.load(folder.parent / "out" / "labels_best.pt", weights_only=True)
    stable = torch.argsort(classes[order], stable=True)
    assert torch.equal(written, classes)
    assert torch.equal(torch.load(folder.parent / "out" / "images_best.pt", weights_only=True), as_dc[order][stable])


def test_a_third_file_a_missing_one_and_logits_are_refused(folder, refused):
    torch.save(torch.randn(29, 10), folder / "labels_best.pt")
    assert "neither class numbers nor probabilities" in refused(folder)
    torch.save(torch.zeros(29, 10, 2), folder / "labels_best.pt")
    assert "the shape (29, 10, 2)" in refused(folder)
    (folder / "images_best.png").write_bytes(b"")
    assert "alone; it has images_best.png, too" in refused(folder)
    (folder / "labels_best.pt").unlink()
    assert "labels_best.pt is missing" in refused(folder, "mtt")
