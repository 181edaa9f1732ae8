import pytest
import torch

from ddcore.sets.texts import packed_texts, unpacked_texts


@pytest.mark.parametrize("texts", [("Case, \n and  blanks.", "", "Öl 好 😀"), ("",), ("", "")])
def test_texts_come_back_as_they_were(texts):
    tensors = packed_texts(texts)
    assert tensors["values"].dtype == torch.uint8 and tensors["offsets"].dtype == torch.int64
    assert int(tensors["offsets"][-1]) == len("".join(texts).encode()) == len(tensors["values"])
    assert unpacked_texts(tensors) == texts


def test_no_tensors_are_no_texts():
    assert unpacked_texts({}) == ()


WRONG = {
    "negative begin": {"offsets": torch.tensor([-1, 1, 3])},
    "beyond the end": {"offsets": torch.tensor([0, 9, 3])},
    "too short": {"offsets": torch.tensor([0, 1, 2])},
    "of none": {"offsets": torch.empty(0, dtype=torch.int64)},
    "of another type": {"offsets": torch.tensor([0.0, 1, 3])},
    "in a table": {"values": torch.zeros(3, 1, dtype=torch.uint8)},
    "as numbers": {"values": torch.zeros(3, dtype=torch.int64)},
    "not UTF-8": {"values": torch.full((3,), 255, dtype=torch.uint8)},
    "cut within a sign": {"offsets": torch.tensor([0, 2, 3])},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_tensors_that_hold_no_texts_are_refused(change):
    sound = packed_texts(["a", "ö"])
    with pytest.raises(ValueError, match="source text"):
        unpacked_texts(sound | change)
