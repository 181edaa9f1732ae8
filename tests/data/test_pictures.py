import io

import numpy as np
import pytest
import torch
from PIL import Image

from ddcore.data import pictures
from ddcore.data.custom import fingerprint
from ddcore.data.pictures import Coloured, Heads, decode, levels_of
from ddcore.errors import DDCoreError, UsageError
from ddcore.runtime import Session


def encoded(number, mode="RGB", size=(12, 10), form="JPEG"):
    noise = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(file, form)
    return file.getvalue()


def source_of(*contents):
    return [(f"picture {i}", content) for i, content in enumerate(contents)]


def decoded(source, shape, members=None, **more):
    members = range(len(source)) if members is None else members
    x = np.zeros((len(members), *shape), np.uint8)

    def put(begin, pixels):
        x[begin : begin + len(pixels)] = pixels

    levels = decode(source, members, shape, put, **more)
    assert torch.equal(levels, levels_of(torch.from_numpy(x)))
    return x


def test_headers_say_the_size_and_the_content(tmp_path):
    contents = [encoded(0), encoded(1, size=(9, 20)), encoded(2, "L", form="PNG")]
    (tmp_path / "2.png").write_bytes(contents[2])
    source = [*source_of(*contents[:2]), ("2.png", tmp_path / "2.png")]
    heads = Heads.blank(3)
    heads.read(source, np.arange(3))
    assert heads.sizes.tolist() == [[12, 10], [9, 20], [12, 10]] and not heads.whole.any()
    assert [row.tobytes() for row in heads.fingerprints] == [fingerprint(content) for content in contents]


def test_only_the_members_that_are_asked_for_are_read_and_progress_is_told(monkeypatch):
    monkeypatch.setattr(pictures, "HEADERS", 2)
    steps = []
    heads = Heads.blank(5)
    session = Session(progress=lambda step, total, values: steps.append((step, total)))
    heads.read(source_of(*map(encoded, range(5))), np.array([0, 2, 4]), session=session)
    assert (heads.sizes[:, 0] > 0).tolist() == [True, False, True, False, True] and steps == [(2, 3), (3, 3)]


def test_damaged_pictures_are_refused_by_name_or_noted(tmp_path):
    contents = [encoded(0), b"text", encoded(2)[:-200], encoded(3)]
    heads = Heads.blank(4)
    with pytest.raises(DDCoreError, match="picture 1 is not a readable image"):
        heads.read(source_of(*contents), np.arange(4))
    heads.read(source_of(*contents), np.arange(4), skip=True)
    assert heads.sizes[:, 0].tolist() == [12, 0, 0, 12] and heads.whole.all()
    with pytest.raises(DDCoreError, match="picture 2 is broken"):
        decoded(source_of(*contents), (3, 10, 12), [0, 2])
    with pytest.raises(UsageError, match=r"gone\.jpg cannot be read: No such file"):
        heads.read([("gone", tmp_path / "gone.jpg")], np.array([0]), skip=True)
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(file, "PNG")
    for skip in (False, True):
        with pytest.raises(DDCoreError, match=r"picture 0 does not have 8 bits per channel \(I;16\)"):
            heads.read(source_of(file.getvalue()), np.array([0]), skip=skip)


@pytest.mark.parametrize("cores", [1, 5])
def test_pixels_are_those_of_pillow_whatever_the_number_of_threads(monkeypatch, cores):
    monkeypatch.setattr(pictures, "available_cores", lambda: cores)
    monkeypatch.setattr(pictures, "BLOCK", 3 * 12 * 10 * 3)  # three pictures each
    contents = [encoded(i) for i in range(20)]
    x = decoded(source_of(*contents), (3, 10, 12), list(range(19, -1, -1)))
    for pixels, content in zip(x[::-1], contents, strict=True):
        assert np.array_equal(pixels.transpose(1, 2, 0), np.asarray(Image.open(io.BytesIO(content))))


def test_pictures_of_another_size_are_scaled_and_cut():
    x = decoded(source_of(encoded(1, size=(40, 20))), (1, 10, 10))
    image = Image.open(io.BytesIO(encoded(1, size=(40, 20)))).convert("L")
    assert np.array_equal(x[0, 0], np.asarray(image.resize((10, 10), Image.Resampling.BILINEAR, (10, 0, 30, 20))))


def test_colour_is_noticed_only_where_it_is_asked_for():
    grey = [encoded(i, mode, form="PNG") for i, mode in enumerate(("L", "1", "LA"))]
    file = io.BytesIO()
    Image.open(io.BytesIO(grey[0])).convert("RGB").save(file, "PNG")
    source = source_of(*grey, file.getvalue(), encoded(9))
    x = decoded(source, (1, 10, 12), range(4), grey_only=True)
    assert np.array_equal(x[0], x[3])
    with pytest.raises(Coloured):
        decoded(source, (1, 10, 12), grey_only=True)
    luminance = np.asarray(Image.open(io.BytesIO(source[4][1])).convert("L"))
    assert np.array_equal(decoded(source, (1, 10, 12))[4, 0], luminance)


def test_of_several_errors_the_first_is_told(monkeypatch):
    monkeypatch.setattr(pictures, "BLOCK", 1)
    monkeypatch.setattr(pictures, "available_cores", lambda: 4)
    contents = [encoded(i)[: None if i < 6 else -200] for i in range(12)]
    for _ in range(5):
        with pytest.raises(DDCoreError, match="picture 6 is broken"):
            decoded(source_of(*contents), (3, 10, 12))


def test_levels_are_counted_by_channel_in_parts(monkeypatch):
    x = torch.arange(24, dtype=torch.uint8).view(2, 3, 2, 2) // 4
    monkeypatch.setattr(pictures, "BLOCK", 1)
    levels = levels_of(x)
    assert levels.shape == (3, 256) and int(levels.sum()) == 24
    assert [levels[c].nonzero().flatten().tolist() for c in range(3)] == [[0, 3], [1, 4], [2, 5]]
