import pytest
import torch
from PIL import Image

from ddcore.data.task import Scale
from ddcore.report.pictures import draw_grid
from ddcore.sets.distilled_set import DistilledSet
from ddcore.sets.origin import Origin


@pytest.mark.parametrize("channels", [1, 3])
def test_every_class_has_its_own_rows(tmp_path, channels):
    x = torch.zeros(7, channels, 8, 8, dtype=torch.uint8)
    y = torch.tensor([0, 0, 0, 0, 0, 2, 2])
    mean = (0.5,) * channels
    made = DistilledSet("images", x, y, Origin("toy", ("one", "two", "three"), "random"), Scale(mean, mean), indices=y)
    grid = draw_grid(made, "title", tmp_path, 0)
    picture = Image.open(tmp_path / grid["file"]).convert("L")
    assert "real images, selected by random" in grid["title"] and "3 classes" in grid["alt"]
    ground = 255 if channels == 1 else 0
    ends = [picture.getpixel((picture.width - 6, picture.height * place // 6)) for place in (1, 3, 5)]
    assert ends == [ground, 255, 255] and picture.getpixel((picture.width // 2, 2)) == ground


@pytest.mark.parametrize("dataset", ["/../../x", "..", "a/b", ""])
def test_the_name_of_a_data_set_is_no_path(tmp_path, dataset):
    x, y = torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1])
    made = DistilledSet("images", x, y, Origin(dataset, ("one", "two"), "random"), Scale((0.5,), (0.5,)))
    grid = draw_grid(made, "title", tmp_path / "report", 0)
    assert [path.relative_to(tmp_path / "report").as_posix() for path in tmp_path.rglob("*.png")] == [grid["file"]]
    assert grid["file"].startswith("figures/set-") and grid["file"].count("/") == 1


def test_a_set_of_very_many_classes_has_a_bounded_picture(tmp_path):
    x, y = torch.zeros(1000, 1, 8, 8, dtype=torch.uint8), torch.arange(1000)
    origin = Origin("toy", tuple(map(str, range(1000))), "random")
    grid = draw_grid(DistilledSet("images", x, y, origin, Scale((0.5,), (0.5,))), "title", tmp_path, 0)
    assert Image.open(tmp_path / grid["file"]).height < 10_000
    assert "the first 100 of 1,000 classes, 1 members shown of each" in grid["alt"]
