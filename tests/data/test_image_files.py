import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ddcore.data.image_files import decoded, opened, orientation, seen_size
from ddcore.errors import DDCoreError

# Where the bright quarter of the picture lies, and whether it is upright, for each EXIF orientation.
TURNS = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}


def encoded(form, turn=None, exif=None):
    pixels = np.zeros((16, 24), np.uint8)
    pixels[:8, :12] = 250
    buffer = io.BytesIO()
    if turn is not None:
        exif = Image.Exif()
        exif[0x0112] = turn
    Image.fromarray(pixels).convert("RGB").save(buffer, form, **({} if exif is None else {"exif": exif}))
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("turn", TURNS)
def test_a_picture_stands_as_the_camera_saw_it(form, turn):
    content = encoded(form, turn)
    size = (24, 16) if turn < 5 else (16, 24)
    with opened(io.BytesIO(content), "x") as image:
        assert seen_size(image) == size
    image = decoded(io.BytesIO(content), "x", "L")
    assert image.size == size and image.mode == "L"
    bright = np.asarray(image) > 125
    assert [bool(bright[y, x]) for y in (2, -3) for x in (2, -3)] == [
        (y, x) == TURNS[turn] for y in (0, 1) for x in (0, 1)
    ]


@pytest.mark.parametrize("turn", [0, 9, 6.5, "6"])
def test_an_orientation_that_is_none_is_ignored(turn, monkeypatch):
    image = Image.new("L", (24, 16))
    monkeypatch.setattr(Image.Image, "getexif", lambda self: {0x0112: turn})
    assert orientation(image) == 1 and seen_size(image) == (24, 16)


def test_damaged_exif_data_does_not_matter():
    content = encoded("JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert decoded(io.BytesIO(content), "x", "L").size == (24, 16)


def cut(content):
    return content[: len(content) * 2 // 3]


def dds(code):
    head = struct.pack(
        "<7I44x8I20x", 124, 0x1007, 16, 16, 0, 0, 0, 32, 4, int.from_bytes(code, "little"), 0, 0, 0, 0, 0
    )
    return b"DDS " + head + bytes(256)


def blp(kind, encoding):
    return b"BLP2" + struct.pack("<I4B2I", kind, encoding, 8, 0, 0, 16, 16) + bytes(16 * 8 + 1024)


def huge():
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">2I5B", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [
        cut(encoded("AVIF")),
        encoded("AVIF").replace(b"av01", b"av99"),
        dds(b"ABCD"),
        dds(b"DX10"),
        blp(1, 9),
        blp(7, 1),
        cut(encoded("JPEG"))[:200],
        cut(encoded("PNG")),
        cut(encoded("WEBP")),
        cut(encoded("TIFF")),
        huge(),
        b"",
        b"<html></html>",
    ],
    ids=range(13),
)
def test_a_damaged_picture_of_any_format_is_one_line(content):
    with pytest.raises(DDCoreError, match=r"^the cat (is not a readable image|is broken)") as caught:
        decoded(io.BytesIO(content), "the cat", "RGB")
    assert "remove it" in str(caught.value)


@pytest.mark.parametrize("error", [RuntimeError, struct.error, AssertionError, KeyError, MemoryError])
def test_whatever_pillow_raises_is_one_line(error, monkeypatch):
    content = encoded("PNG")

    def damaged(*_):
        raise error

    monkeypatch.setattr(Image.Image, "convert", damaged)
    with pytest.raises(DDCoreError, match=f"^the cat is broken .{error.__name__}.: repair or remove it"):
        decoded(io.BytesIO(content), "the cat", "L")
