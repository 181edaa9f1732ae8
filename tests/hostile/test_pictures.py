"""Damaged pictures of every format that a folder may hold: read or refused in one line that names the file."""

import random

import fuzz
import pytest
from PIL import Image, features

from ddcore import load_task

FORMATS = {"png": {}, "jpg": {}, "gif": {}, "bmp": {}, "webp": {"lossless": True}, "tif": {}, "avif": {}, "dds": {}}


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_damaged_picture_is_read_or_refused_in_one_line(write_pictures, tmp_path, suffix):
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    home = write_pictures(tmp_path / "pictures", {"a": 10, "b": 10}, mode="RGB")
    path, draws = home / "a" / f"zero.{suffix}", random.Random(suffix)
    Image.open(home / "a" / "000.png").save(path, **FORMATS[suffix])
    whole = path.read_bytes()
    for number in range(fuzz.CASES):
        path.write_bytes(fuzz.damaged(whole, draws))
        try:
            said = fuzz.read_or_refused(lambda: load_task(f"images:{home}"))
        except Exception as fault:
            raise AssertionError(f"case {number} of {suffix} is a fault") from fault
        assert said.startswith("Task") or str(path) in said or "same" in said
