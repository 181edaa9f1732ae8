import torch

from ddcore.data.tokens import Tokens
from ddcore.nets.ngrams import BASE, known_presence, ngrams, presence


def test_by_hand():
    keys, rows = ngrams(Tokens.of([[5, 6, 7], [6, 7]]), 3)
    two, three = 5 * BASE + 6, (5 * BASE + 6) * BASE + 7
    assert list(zip(keys.tolist(), rows.tolist(), strict=True)) == [
        (5, 0),
        (6, 0),
        (7, 0),
        (6, 1),
        (7, 1),
        (two, 0),
        (6 * BASE + 7, 0),
        (6 * BASE + 7, 1),
        (three, 0),
    ]


def test_lengths_never_collide_and_the_longest_fits():
    keys, _ = ngrams(Tokens.of([[BASE - 1] * 3, [1, 1, 1]]), 3)
    assert len(keys.unique()) == 6 and int(keys.min()) > 0


def test_presence_counts_a_repeated_ngram_once():
    keys, rows = ngrams(Tokens.of([[5, 5, 5], [], [5, 9]]), 2)
    vocabulary, column, row = presence(keys, rows, 3)
    assert vocabulary.tolist() == [5, 9, 5 * BASE + 5, 5 * BASE + 9]
    assert list(zip(column.tolist(), row.tolist(), strict=True)) == [(0, 0), (0, 2), (1, 2), (2, 0), (3, 2)]


def test_unknown_ngrams_are_left_out():
    keys, rows = ngrams(Tokens.of([[9, 4], [5, 9]]), 1)
    column, row = known_presence(keys, rows, torch.tensor([5, 9]))
    assert column.tolist() == [1, 0, 1] and row.tolist() == [0, 1, 1]
