import torch

from ddcore.data.source_texts import SourceTexts


def test_nothing_is_read_before_the_texts_are_asked_for():
    calls = []

    def read():
        calls.append(1)
        return ["a", "b", "c", "d"]

    chosen = SourceTexts(read)[torch.tensor([3, 1, 0])][torch.tensor([1, 1, 0])]
    assert calls == []
    assert chosen.load() == ["b", "b", "d"] and calls == [1]
    assert SourceTexts(read).load() == ["a", "b", "c", "d"]
