import torch

from ddcore.data.clauses import clauses
from ddcore.data.tokeniser import encode, readable, train_tokeniser

TEXTS = ['A good film, I "really do" think. No', "Not (very) good! Why, oh why: it ends."]


def test_clauses_keep_their_closing_mark_and_lose_brackets_and_quotes():
    tokeniser = train_tokeniser(TEXTS, rarest=1)
    found = clauses(encode(tokeniser, TEXTS), tokeniser, 1, 9)
    assert list(readable(tokeniser, found.tokens)) == [
        "a good film,",
        "i",
        "really do",
        "think.",
        "no",
        "not",
        "very",
        "good!",
        "why,",
        "oh why:",
        "it ends.",
    ]
    assert found.text.tolist() == [0] * 5 + [1] * 6


def test_short_and_long_ones_are_left_out():
    tokeniser = train_tokeniser(TEXTS, rarest=1)
    found = clauses(encode(tokeniser, TEXTS), tokeniser, 3, 3)
    assert list(readable(tokeniser, found.tokens)) == ["oh why:", "it ends."] and found.text.tolist() == [1, 1]


def test_wide_marks_end_a_clause_too():
    texts = ["很好，我喜欢。不好"]
    tokeniser = train_tokeniser(texts, rarest=1)
    found = clauses(encode(tokeniser, texts), tokeniser, 1, 9)
    assert list(readable(tokeniser, found.tokens)) == ["很好，", "我喜欢。", "不好"]


SIGNS = [
    "GOOD  film:<br /><br />Don't\nmiss 'it', OK?! (İstanbul, Straße)",
    "\u00c9t\u00e9... 3/10 — 😀 fine; e\u0301te\u0301",
    "很好，我喜欢。Not bad",
]


def test_a_clause_is_written_as_it_stands_in_its_text():
    tokeniser = train_tokeniser(SIGNS, rarest=1)
    found = clauses(encode(tokeniser, SIGNS), tokeniser, 1, 9)
    written = found.written(SIGNS, tokeniser)
    assert written[:3] == ["GOOD  film:", "Don't\nmiss 'it',", "OK?"] and "İstanbul," in written
    for text, i in zip(written, found.text.tolist(), strict=True):
        assert text in SIGNS[i]
    again = encode(tokeniser, written)
    assert again.values.tolist() == found.tokens.values.tolist()
    assert again.offsets.tolist() == found.tokens.offsets.tolist()
    last = found[torch.tensor([len(found) - 1, 0])]
    assert last.written(SIGNS, tokeniser) == ["Not bad", "GOOD  film:"] and len(last) == 2
