from ddcore.data.clauses import clauses
from ddcore.data.tokeniser import encode, readable, train_tokeniser

TEXTS = ['A good film, I "really do" think. No', "Not (very) good! Why, oh why: it ends."]


def test_clauses_keep_their_closing_mark_and_lose_brackets_and_quotes():
    tokeniser = train_tokeniser(TEXTS, rarest=1)
    found, origin = clauses(encode(tokeniser, TEXTS), tokeniser, 1, 9)
    assert list(readable(tokeniser, found)) == [
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
    assert origin.tolist() == [0] * 5 + [1] * 6


def test_short_and_long_ones_are_left_out():
    tokeniser = train_tokeniser(TEXTS, rarest=1)
    found, origin = clauses(encode(tokeniser, TEXTS), tokeniser, 3, 3)
    assert list(readable(tokeniser, found)) == ["oh why:", "it ends."] and origin.tolist() == [1, 1]


def test_wide_marks_end_a_clause_too():
    texts = ["很好，我喜欢。不好"]
    tokeniser = train_tokeniser(texts, rarest=1)
    found, _ = clauses(encode(tokeniser, texts), tokeniser, 1, 9)
    assert list(readable(tokeniser, found)) == ["很好，", "我喜欢。", "不好"]
