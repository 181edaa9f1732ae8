"""What all imports share: checks against the data set, class names, the range of values."""

import pytest
import torch

from ddcore.errors import UsageError
from ddcore.sets.formats.importing import counts_line


@pytest.fixture
def write(tmp_path, as_dc, classes):
    """Write a folder of MTT, with changes."""

    def written(images=as_dc, labels=classes):
        (home := tmp_path / "mtt").mkdir(exist_ok=True)
        torch.save(images, home / "images_best.pt")
        torch.save(labels, home / "labels_best.pt")
        return home

    return written


def changed(x: torch.Tensor, place: tuple[int, ...], value: float) -> torch.Tensor:
    """Return a copy with one value replaced."""
    x = x.clone()
    x[place] = value
    return x


def test_the_set_says_where_it_comes_from(write, read, fashion):
    small = read(write()).small
    assert small.provenance["imported from"] == "mtt" and small.provenance["format"] == "mtt"
    assert small.options == {"normalisation": "mtt"} and small.scale == fashion.scale
    assert small.fingerprint == fashion.fingerprint
    assert read(write()).small.provenance["file"] == small.provenance["file"]
    assert read(write(labels=small.y.flip(0))).small.provenance["file"] != small.provenance["file"]


def test_values_beside_the_real_ones_show_a_wrong_normalisation(write, read):
    right, wrong = (read(write(), normalisation=name).lines for name in ("", "none"))
    assert any(line.startswith("values -0.8105 to ") and ": 0.000 to " in line for line in right)
    assert not any(line.startswith("warning: these values") for line in right)
    assert any(line.startswith("warning: these values are unlike the real ones") for line in wrong)


def test_classes_in_another_order_are_brought_into_the_order_of_the_data_set(write, read, fashion, classes):
    names = tuple(sorted(fashion.classes))
    moved = torch.tensor([names.index(fashion.classes[y]) for y in classes])
    line = next(line for line in read(write(labels=moved)).lines if "--classes" in line)
    proposed = tuple(line.split("'")[1].split(","))
    assert proposed == names
    found = read(write(labels=moved), classes=proposed)
    assert torch.equal(found.small.y, classes) and any("as that of fashion_mnist" in line for line in found.lines)


def test_soft_labels_follow_their_classes(write, read, fashion, classes):
    names = fashion.classes[::-1]
    shares = (3 * torch.nn.functional.one_hot(9 - classes, 10).double() + torch.rand(29, 10)).softmax(1)
    small = read(write(labels=shares), classes=names).small
    assert torch.equal(small.y, classes) and torch.allclose(small.targets().double(), shares.flip(1), atol=1e-6)


def test_other_class_names_are_refused(write, refused, fashion):
    for names in (("a", "b"), fashion.classes[:9], (*fashion.classes[:9], "Bag"), (*fashion.classes, "Hat")):
        assert "give --classes with these names" in refused(write(), classes=names)


@pytest.mark.parametrize(
    ("images", "labels", "line"),
    [
        (None, lambda y: y + 1, "has the labels 1 to 10, and fashion_mnist has the classes 0 to 9"),
        (None, lambda y: y - 1, "has the labels -1 to 8"),
        (None, lambda y: y[:28], "holds 29 members and 28 labels"),
        (lambda x: x[:0], lambda y: y[:0], "holds no members"),
        (lambda x: x[:, :, :27], None, "has images of shape (1, 27, 28), fashion_mnist has (1, 28, 28)"),
        (lambda x: x.expand(-1, 3, -1, -1), None, "has images of shape (3, 28, 28)"),
        (lambda x: x.flatten(1), None, "has images of shape (784,)"),
        (lambda x: x.long(), None, "not of float or uint8"),
        (lambda x: changed(x, (5, 0, 3, 3), float("nan")), None, "values that are not finite"),
        (lambda x: changed(x, (5, 0, 3, 3), float("inf")), None, "values that are not finite"),
        (None, lambda y: torch.full((29, 9), 1 / 9), "has soft labels of shape (29, 9), not (29, 10)"),
    ],
)
def test_what_does_not_fit_the_data_set_is_refused(write, refused, as_dc, classes, images, labels, line):
    assert line in refused(write(images(as_dc) if images else as_dc, labels(classes) if labels else classes))


def test_images_of_half_precision_are_read(write, read, as_dc, pixels, fashion):
    small = read(write(as_dc.half())).small
    assert small.x.dtype == torch.float32 and (small.x - fashion.inputs(pixels)).abs().max() < 2e-3


def test_pixels_need_no_normalisation_and_take_none(write, read, refused, pixels):
    assert torch.equal(read(write(pixels)).small.x, pixels)
    assert "leave --normalisation and --zca out" in refused(write(pixels), normalisation="dc")


def test_a_factor_is_for_floats_with_hard_labels(write, refused, pixels):
    assert "holds pixels" in refused(write(pixels), factor=2)
    assert "has soft labels" in refused(write(labels=torch.rand(29, 10).softmax(1)), factor=2)


def test_whitened_images_are_unwhitened_and_scores_are_said_to_differ(write, read, tmp_path, pixels):
    inverse, mean = 2 * torch.eye(784), torch.full((1, 784), 0.5)
    torch.save({"mean_vector": mean, "transform_inv": inverse}, tmp_path / "zca.pt")
    found = read(write((pixels.float() / 255 - 0.5) / 2), zca=tmp_path / "zca.pt")
    assert torch.equal(found.small.x, pixels) and found.small.options == {"normalisation": "none", "zca": "zca.pt"}
    assert any("scores differ from published ones" in line for line in found.lines)


def test_a_class_without_members_is_said(write, read, as_dc, classes):
    found = read(write(as_dc[2:], classes[2:]))
    assert found.lines[0] == "27 members of 10 classes, 0 to 4 per class; none of T-shirt/top; hard labels"
    assert counts_line(found.small) == found.lines[0]


def test_texts_and_images_are_not_mixed_up(write, review_task):
    from ddcore.sets.formats.importing import Details, import_set

    with pytest.raises(UsageError, match="holds images, the data set imdb holds text"):
        import_set(write(), Details(review_task))
