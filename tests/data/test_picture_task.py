import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ddcore.data import file_index, picture_task, pictures, pixel_cache
from ddcore.data.examples import Examples
from ddcore.data.pixel_cache import kept, pixel_folder
from ddcore.data.registry import load_task
from ddcore.data.task import Task
from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime import LOG, Session, alone, tensors_digest


@pytest.fixture(autouse=True)
def large(tmp_path, monkeypatch):
    """From here on, every set is large, and the files that a test writes count as old."""
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(picture_task, "MAPPED", 1)
    monkeypatch.setattr(file_index, "FRESH", -(10**15))


def read(path, options="", say=None) -> Task:
    return load_task(f"images:{path}{options}", path, Session(say=say))


def in_memory(path, options, monkeypatch) -> Task:
    with monkeypatch.context() as patch:
        patch.setattr(picture_task, "MAPPED", 2**40)
        task = read(path, options)
        test = task.load_test()
        return replace(task, load_test=lambda: test)


def refuse(*words, **more):
    raise AssertionError("read again")


@pytest.mark.parametrize("options", ["", ",side=9"])
def test_a_large_set_has_the_tensors_of_a_small_one(pets, options, monkeypatch):
    small, task = in_memory(pets, options, monkeypatch), read(pets, options)
    for part in (lambda each: each.train, lambda each: each.load_test()):
        assert torch.equal(part(task).x, part(small).x) and torch.equal(part(task).y, part(small).y)
        assert part(task).summary is not None and part(small).summary is None
    assert (task.mean, task.std, task.shape, task.classes) == (small.mean, small.std, small.shape, small.classes)
    assert torch.equal(task.validation, small.validation)
    assert torch.equal(task.cut(10, 10).train.x, small.cut(10, 10).train.x)


def test_a_later_stage_reads_no_picture_and_no_pixel(pets, monkeypatch):
    said = []
    first = read(pets, say=said.append)
    name = next(each.name for each in kept() if "images" in each.what)
    assert len(said) == 1 and str(pixel_folder()) in said[0] and said[0].endswith(f"--forget {name} removes them")
    monkeypatch.setattr(pictures, "read_bytes", refuse)
    monkeypatch.setattr(picture_task, "decode", refuse)
    monkeypatch.setattr("ddcore.data.images.levels_of", refuse)
    monkeypatch.setattr("ddcore.data.examples.tensors_digest", refuse)
    later = read(pets, say=said.append)
    assert len(said) == 1 and later.fingerprint == first.fingerprint
    assert later.train.digest == first.train.digest != later.load_test().digest == first.load_test().digest
    assert torch.equal(later.load_test().x, first.load_test().x)


def test_the_same_pictures_elsewhere_share_the_file_and_others_do_not(pets, tmp_path):
    first = read(pets)
    moved = read(shutil.copytree(pets, tmp_path / "elsewhere" / "pets"))
    assert moved.content == first.content and len([each for each in kept() if "images" in each.what]) == 1
    Image.new("L", (12, 12), 3).save(pets / "cat" / "000.png")
    changed, scaled = read(pets), read(pets, ",side=9")
    assert len({first.content, changed.content, scaled.content}) == 3
    assert any((picture == 3).all() for picture in [*changed.train.x, *changed.load_test().x])


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("damage", ["cut", "version", "gone"])
def test_a_file_that_cannot_be_used_is_made_again(pets, part, damage, monkeypatch):
    before = read(pets)
    x = before.load_test().x.clone() if part == "test" else before.train.x.clone()
    (path,) = pixel_folder().glob(f"*-{part}.pixels")
    said = []
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    elif damage == "version":
        path.write_bytes(path.read_bytes().replace(pixel_cache.FORMAT.encode(), b"ddcore pixels 0"))
    else:
        path.unlink()
    again = read(pets, say=said.append)
    assert torch.equal(again.load_test().x if part == "test" else again.train.x, x)
    if damage != "gone":
        assert said == [f"{path} is cut or of another version: it is made again"]


def test_colour_in_one_picture_makes_all_of_them_rgb_and_grey_files_stay_grey(pets, monkeypatch):
    for veil in (90, 91, 92):
        Image.new("RGBA", (12, 12), (250, 10, 20, veil)).save(pets / "dog" / f"zz-{veil}.png")
    task = read(pets)
    assert task.shape == (3, 12, 12) and task.load_test().x.shape[1:] == (3, 12, 12)
    assert torch.equal(task.train.x, in_memory(pets, "", monkeypatch).train.x)


def test_a_grey_set_between_the_limits_stays_in_memory(pets, monkeypatch):
    monkeypatch.setattr(picture_task, "MAPPED", 48 * 12 * 12 + 1)
    assert read(pets).train.summary is None and not list(pixel_folder().glob("*.pixels"))
    monkeypatch.setattr(picture_task, "MAPPED", 48 * 12 * 12)
    assert read(pets).train.summary is not None


def test_a_damaged_picture_is_named_and_nothing_is_left(pets):
    path = pets / "dog" / "029.png"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DDCoreError, match=r"dog/029\.png is broken"):
        read(pets)
    assert not list(pixel_folder().glob("*.pixels")) and not list(pixel_folder().glob(".*"))


@pytest.mark.parametrize("most", [1, 2**40])
def test_damaged_pictures_are_counted_and_left_out_on_request(pets, most, monkeypatch):
    monkeypatch.setattr(picture_task, "MAPPED", most)
    said = []
    monkeypatch.setattr(LOG, "warning", lambda line, *words: said.append(line % words))
    (pets / "cat" / "003.png").write_text("not an image")
    path = pets / "dog" / "029.png"
    path.write_bytes(path.read_bytes()[:-40])
    for _ in range(2):
        task = read(pets, ",damaged=skip")
        assert said.pop().startswith(f"2 damaged images of {pets} are left out: ") and not said
        assert len(task.train) + len(task.load_test()) == 58 and "2 damaged ones left out" in task.source
    (pets / "cat" / "003.png").unlink()
    path.unlink()
    without = read(pets)
    assert without.content == task.content and torch.equal(without.train.x, task.train.x)


def test_a_class_of_damaged_pictures_is_empty(pets):
    for path in (pets / "cat").iterdir():
        path.write_text("not an image")
    with pytest.raises(UsageError, match=r"class 'cat' of .* is empty"):
        read(pets, ",damaged=skip")
    with pytest.raises(UsageError, match="damaged=keep is unknown; damaged=skip leaves such images out"):
        read(pets, ",damaged=keep")


def test_who_comes_second_waits_and_uses_what_the_first_made(pets, monkeypatch):
    first = read(pets)
    x = first.train.x.clone()
    (path,) = pixel_folder().glob("*-train.pixels")
    content, name = path.read_bytes(), path.name.removesuffix("-train.pixels")
    path.unlink()
    waits, tasks, said = threading.Event(), [], []

    def say(line):
        said.append(line)
        waits.set()

    monkeypatch.setattr(picture_task, "decode", refuse)
    second = threading.Thread(target=lambda: tasks.append(read(pets, say=say)))
    with alone(pixel_folder() / f".{name}.lock", refuse):
        second.start()
        assert waits.wait(60)
        path.write_bytes(content)
    second.join()
    assert said[0].startswith("waiting for process ") and torch.equal(tasks[0].train.x, x)


def test_a_summary_belongs_to_all_members_and_their_hard_labels_only(pets):
    train = read(pets).train
    some = train[torch.arange(5)]
    assert some.summary is None and some.digest == tensors_digest((some.x, some.y))
    assert train.hard().digest == train.digest
    assert Examples(train.x, train.y).digest != train.digest


def test_a_mapped_set_is_read_only(pets):
    x = read(pets).train.x
    assert not np.asarray(x).flags.owndata
    assert x[torch.tensor([1, 0])].add_(1).dtype == torch.uint8, "what is gathered can be written"
