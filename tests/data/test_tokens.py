import torch

from ddcore.data.tokens import PAD, Tokens, join


def lists(tokens: Tokens) -> list[list[int]]:
    return [tokens.sequence(i).tolist() for i in range(len(tokens))]


def test_sequences_come_back_in_the_order_asked_for():
    tokens = Tokens.of([[5, 6], [], [7], [8, 9, 10]])
    assert lists(tokens[torch.tensor([3, 1, 0, 3])]) == [[8, 9, 10], [], [5, 6], [8, 9, 10]]


def test_padding_fills_the_end_and_cuts_long_ones():
    tokens = Tokens.of([[5, 6, 7], [8]])
    assert tokens.padded().tolist() == [[5, 6, 7], [8, PAD, PAD]]
    assert tokens.padded(2).tolist() == [[5, 6], [8, PAD]]


def test_only_empty_sequences_pad_to_one_column():
    assert Tokens.of([[], []]).padded().tolist() == [[PAD], [PAD]]


def test_joining_keeps_every_sequence():
    assert lists(join([Tokens.of([[1, 2]]), Tokens.of([[], [3]])])) == [[1, 2], [], [3]]
