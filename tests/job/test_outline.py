"""The facts about data sets that plans depend on."""

import pytest

from ddcore.data.custom import parse
from ddcore.data.digits import digits
from ddcore.data.registry import DATASETS
from ddcore.job.outline import KNOWN, custom_outline


def test_every_known_data_set_has_an_outline(tmp_path):
    assert set(KNOWN) == set(DATASETS)
    task = digits(tmp_path)
    assert (KNOWN["digits"].members, KNOWN["digits"].size) == (len(task.train), 64)
    assert KNOWN["digits"].smallest <= min(int((task.train.y[task.fit] == k).sum()) for k in range(10))


def test_the_outline_of_own_texts_and_images(pets, remarks):
    images, texts = custom_outline(parse(f"images:{pets}")), custom_outline(parse(f"text:{remarks}"))
    assert (images.kind, images.classes, images.members, images.even) == ("images", 2, 48, True)
    assert (texts.kind, texts.classes) == ("text", 2) and texts.size > 1


@pytest.mark.parametrize(("kind", "outlined", "size"), [("image", "images", 144), ("text", "text", 6)])
def test_the_outline_of_a_hugging_face_data_set(write_saved, tmp_path, kind, outlined, size):
    outline = custom_outline(parse(f"hf:{write_saved(tmp_path / 'pets', kind, 60)}"))
    assert (outline.name, outline.title, outline.kind) == ("hf-pets", "pets", outlined)
    assert (outline.classes, outline.members, outline.even, outline.size) == (2, 48, True, size)


def test_a_character_counts_as_a_word_in_scripts_without_blanks(tmp_path):
    lines = [f"这部电影{chr(0x4E00 + i)}{'好差'[i % 2]},{i % 2}" for i in range(20)]
    path = tmp_path / "remarks.csv"
    path.write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    assert custom_outline(parse(f"text:{path}")).size == 6
