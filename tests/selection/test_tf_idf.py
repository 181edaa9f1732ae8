import math

import torch

from ddcore.data.tokens import Tokens
from ddcore.selection.tf_idf import tf_idf


def test_products_are_those_of_the_weighted_words():
    # Word 2 is in all three texts, 3 in one, twice, 4 in two; the fourth text is empty and holds the unknown word.
    rows = tf_idf(Tokens.of([[2, 3, 3], [2, 4], [4, 2], []]), torch.arange(4)).double()
    common, rare, shared = (1 + math.log(5 / (1 + texts)) for texts in (3, 1, 2))
    first = torch.tensor([common, (1 + math.log(2)) * rare, 0.0])
    second = torch.tensor([common, 0.0, shared])
    wanted = (first / first.norm()) @ (second / second.norm())
    torch.testing.assert_close(rows[0] @ rows[1], wanted.double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(rows[1], rows[2])
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(4, dtype=torch.float64))


def test_the_same_texts_give_the_same_few_directions():
    draws = torch.Generator().manual_seed(0)
    texts = Tokens.of(torch.randint(2, 900, (300, 20), generator=draws).tolist())
    everyone = torch.arange(300)
    rows = tf_idf(texts, everyone)
    assert rows.shape == (300, 256) and rows.dtype == torch.float32 and torch.equal(rows, tf_idf(texts, everyone))


def test_words_and_directions_come_from_the_pool_alone():
    draws = torch.Generator().manual_seed(0)
    first, second = (torch.randint(2, 600, (40, 9), generator=draws).tolist() for _ in range(2))
    pool = torch.arange(30)
    rows, others = (tf_idf(Tokens.of([*first[:30], *rest[30:]]), pool) for rest in (first, second))
    assert torch.equal(rows[:30], others[:30]) and not torch.equal(rows[30:], others[30:])
