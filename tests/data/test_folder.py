import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from ddcore.data import custom
from ddcore.data.registry import load_task
from ddcore.errors import DDCoreError, UsageError
from ddcore.nets.registry import NETS, build_net


def read(path, options=""):
    return load_task(f"images:{path}{options}", path)


def test_a_folder_a_class_becomes_a_task_with_a_fifth_held_out(pets):
    task = read(pets)
    assert (task.name, task.kind, task.classes, task.shape) == ("images-pets", "images", ("cat", "dog"), (1, 12, 12))
    assert torch.bincount(task.train.y).tolist() == [24, 24] and task.train.x.dtype == torch.uint8
    test = task.load_test()
    assert torch.bincount(test.y).tolist() == [6, 6]
    files = sorted((pets / "dog").iterdir())
    pixels = {np.asarray(Image.open(path)).tobytes() for path in files}
    shown = [*task.train.x[task.train.y == 1], *test.x[test.y == 1]]
    assert {picture.numpy().tobytes() for picture in shown} == pixels
    assert len(task.validation) == 4 and "48 for training and 12 for testing" in task.source
    assert str(pets) not in task.source


def test_train_and_test_folders_are_kept_and_numbers_are_in_order(tmp_path, write_pictures):
    home = tmp_path / "digits"
    write_pictures(home / "train", {"2": 12, "10": 9}, mode="RGB", suffix="jpg")
    write_pictures(home / "test", {"2": 3, "10": 1}, mode="RGB", suffix="jpg")
    (home / "val").mkdir()
    task = read(home)
    assert task.classes == ("2", "10") and torch.bincount(task.train.y).tolist() == [12, 9]
    assert torch.bincount(task.load_test().y).tolist() == [3, 1]
    assert task.shape == (1, 12, 12), "RGB files without colour are grey"


def test_one_coloured_image_makes_all_of_them_rgb(pets):
    for veil in (90, 91, 92):  # some may be held out
        Image.new("RGBA", (12, 12), (250, 10, 20, veil)).save(pets / "cat" / f"zz-{veil}.png")
    Image.fromarray(np.zeros((12, 12), np.uint8)).convert("P").save(pets / "dog" / "zz.gif")
    task = read(pets)
    assert task.shape == (3, 12, 12)
    assert any(picture[:, 0, 0].tolist() == [250, 10, 20] for picture in [*task.train.x, *task.load_test().x])


def test_a_class_called_train_is_no_part(tmp_path, write_pictures):
    home = write_pictures(tmp_path / "vehicles", {"plane": 10, "train": 10})
    assert read(home).classes == ("plane", "train")


def test_a_rare_class_is_in_every_part_but_not_used_up(tmp_path, write_pictures):
    task = read(write_pictures(tmp_path / "odd", {"often": 200, "seldom": 15}, side=8))
    assert torch.bincount(task.load_test().y).tolist() == [40, 3]
    assert torch.bincount(task.train.y[task.validation]).tolist() == [14, 3]
    assert torch.bincount(task.train.y[task.fit]).tolist() == [146, 9]


def test_the_content_decides_the_key_and_the_place_does_not(pets, tmp_path):
    moved = shutil.copytree(pets, tmp_path / "elsewhere" / "pets")
    first, again = read(pets), read(moved)
    assert first.content and first.content == again.content
    assert torch.equal(first.train.x, again.train.x)
    Image.new("L", (12, 12), 3).save(moved / "cat" / "000.png")
    Image.new("L", (12, 12), 3).save(moved / "cat" / "001.png")
    assert read(moved).content != first.content


def test_images_of_many_sizes_are_resized_on_request(pets):
    Image.new("L", (40, 20), 200).save(pets / "cat" / "wide.png")
    task = read(pets, ",side=10")
    assert task.shape == (1, 10, 10) and len(task.train) + len(task.load_test()) == 61


@pytest.mark.parametrize("size", [(9, 9), (20, 13), (8, 33)])
def test_every_network_reads_odd_and_oblong_images(tmp_path, size, write_pictures):
    home = write_pictures(tmp_path / "own", {"a": 10, "b": 10})
    for path in home.glob("*/*.png"):
        Image.open(path).resize(size).save(path)
    task = read(home)
    for name in (name for name, net in NETS.items() if net.kind == "images"):
        assert build_net(name, task, 0).eval()(task.inputs(task.train.x[:2])).shape == (2, 2)


def broken(pets, damage):
    path = pets / "dog" / "003.png"
    if damage == "odd":
        Image.new("L", (13, 12)).save(path)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "text":
        path.write_text("not an image")
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "deep":
        Image.fromarray(np.zeros((12, 12), np.uint16)).save(path)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("odd", r"13x12 pixels, 59 of 60 images have 12x12: resize or remove it; .*images:.*pets,side=12"),
        ("cut", "broken .*repair or remove"),
        ("text", "not a readable image: remove it"),
        ("empty", "not a readable image: remove it"),
        ("deep", "8 bits per channel"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_way_out(pets, damage, told):
    broken(pets, damage)
    with pytest.raises(DDCoreError, match=rf"dog/003\.png .*{told}") as caught:
        read(pets).load_test()
    assert "\n" not in str(caught.value)


def test_folders_that_are_laid_out_otherwise_are_one_line(pets, tmp_path):
    with pytest.raises(UsageError, match="is not a folder"):
        read(pets / "cat" / "000.png")
    with pytest.raises(UsageError, match="holds no folders"):
        read(pets / "cat")
    (pets / "cat" / "black").mkdir()
    with pytest.raises(UsageError, match="black is a folder inside class 'cat'"):
        read(pets)
    (pets / "cat" / "black").rmdir()
    (pets / "emu").mkdir()
    with pytest.raises(UsageError, match=r"class 'emu' of .* is empty"):
        read(pets)
    (pets / "emu").rmdir()
    shutil.rmtree(pets / "dog")
    with pytest.raises(UsageError, match=r"only one class \('cat'\)"):
        read(pets)


def test_parts_with_different_classes_are_refused(tmp_path, write_pictures):
    home = tmp_path / "own"
    write_pictures(home / "train", {"a": 10, "b": 10})
    write_pictures(home / "test", {"a": 2, "c": 2})
    with pytest.raises(UsageError, match="must hold the same classes: 'b'"):
        read(home)
    shutil.rmtree(home / "test" / "c")
    (home / "test" / "b").mkdir()
    with pytest.raises(UsageError, match=r"class 'b' of .*test is empty"):
        read(home)


def test_sizes_that_no_network_reads_are_refused(pets, tmp_path, write_pictures):
    with pytest.raises(UsageError, match="side=4: the side must be between 8 and 512"):
        read(pets, ",side=4")
    large = write_pictures(tmp_path / "large", {"a": 10, "b": 10}, side=600)
    with pytest.raises(UsageError, match=r"600x600 pixels; sides from 8 to 512 are possible: .*side=64"):
        read(large)


def test_images_that_are_all_alike_are_refused(pets):
    for path in pets.glob("*/*.png"):
        Image.new("L", (12, 12), 7).save(path)
    with pytest.raises(UsageError, match="all the same"):
        read(pets)


def test_photos_are_turned_as_the_camera_was_held(tmp_path):
    home = tmp_path / "photos"
    for number, name in enumerate(("left", "right")):
        (home / name).mkdir(parents=True)
        for i in range(12):
            pixels = np.full((12, 16), i, np.uint8)
            pixels[:, 8 * number : 8 * number + 8] = 200
            exif = Image.Exif()
            image = Image.fromarray(pixels)
            if i % 2:  # held on its side: stored with 16x12 pixels turned, and the turn is noted
                image, exif[0x0112] = image.transpose(Image.Transpose.ROTATE_90), 6
            image.save(home / name / f"{i:02}.png", exif=exif)
    task = read(home)
    assert task.shape == (1, 12, 16)
    for members in (task.train, task.load_test()):
        for picture, y in zip(members.x, members.y.tolist(), strict=True):
            assert picture[0, :, 8 * y : 8 * y + 8].min() == 200 and picture[0, :, 8 - 8 * y : 16 - 8 * y].max() < 20


def test_the_rule_of_the_split_is_part_of_the_content(pets, monkeypatch):
    before = read(pets).content
    monkeypatch.setattr(custom, "SPLIT", "another rule")
    assert read(pets).content != before


def test_the_content_of_the_test_folder_counts_and_its_copies_are_told(tmp_path, write_pictures):
    home = tmp_path / "own"
    write_pictures(home / "train", {"a": 10, "b": 10})
    write_pictures(home / "test", {"a": 3, "b": 3}, side=12)
    before = read(home)
    assert before.source.count("training members, too") == 0
    shutil.copy(home / "train" / "a" / "000.png", home / "test" / "a" / "001.png")
    after = read(home)
    assert after.content != before.content
    assert "20 for training and 6 for testing (1 of them are training members, too), content" in after.source


def test_a_pipe_in_a_class_folder_is_refused_instead_of_read(pets):
    os.mkfifo(pets / "cat" / "pipe.png")
    with pytest.raises(UsageError, match=r"cat/pipe\.png is not a file that can be read: remove it"):
        read(pets)
    (pets / "cat" / "pipe.png").unlink()
    (pets / "cat" / "gone.png").symlink_to(pets / "nowhere.png")
    with pytest.raises(UsageError, match=r"cat/gone\.png is not a file"):
        read(pets)


def test_a_class_whose_name_is_not_utf_8_is_one_line(pets):
    os.mkdir(os.fsencode(pets) + b"/caf\xe9")
    with pytest.raises(UsageError, match=r"name of the folder .*pets/caf\\udce9 is not UTF-8: rename it") as caught:
        read(pets)
    str(caught.value).encode()


def test_a_picture_whose_name_is_not_utf_8_is_read(pets):
    os.rename(pets / "cat" / "000.png", os.fsencode(pets) + b"/cat/\xe9.png")
    assert len(read(pets).train) == 48


@pytest.mark.parametrize("place", [".", "cat", "cat/000.png"])
def test_what_may_not_be_read_is_one_line(pets, place, locked_up):
    with (
        locked_up((pets / place).resolve()),
        pytest.raises(UsageError, match=f"{pets.name}.* cannot be read: Permission denied"),
    ):
        read(pets)


def test_test_images_that_were_painted_over_or_moved_to_another_class_change_the_content(tmp_path, write_pictures):
    home = tmp_path / "own"
    for part in ("train", "test"):
        write_pictures(home / part, {"a": 10, "b": 10})
    contents = [read(home).content]
    picture = home / "test" / "a" / "009.png"
    Image.new("L", (12, 12), 7).save(picture)
    contents.append(read(home).content)
    picture.rename(home / "test" / "b" / "!.png")  # the same files in the same order
    contents.append(read(home).content)
    assert len(set(contents)) == 3
