from dataclasses import replace

import pytest
import torch
from toys import started

from ddcore.data.examples import Examples
from ddcore.data.task import Scale
from ddcore.data.text import Texts, text_task
from ddcore.data.tokeniser import encode, readable
from ddcore.data.tokens import Tokens
from ddcore.errors import UsageError
from ddcore.methods.cover import Cover
from ddcore.problem import Problem
from ddcore.runtime.session import Session
from ddcore.sets.origin import SOURCES


def quick(**changes):
    return Cover(**{"rarest": 2, "strongest": 0.5, "candidates": 20, "longest": 10, **changes})


def made_by(method, task, budget, seed=0):
    return started(method, task, budget, seed=seed).decode()


@pytest.fixture
def short_task(review_task):
    return replace(review_task, scale=Scale(max_tokens=12))


def test_members_are_clauses_of_reviews_with_their_label(short_task):
    made = made_by(quick(labels="soft"), short_task, 8)
    assert made.y.tolist() == [0] * 4 + [1] * 4 and made.soft.shape == (8, 2)
    assert (made.soft.argmax(1) == made.y).all()
    assert int(made.x.lengths.max()) <= 12 and int(made.x.lengths.min()) >= 4
    for y, text in zip(made.y.tolist(), readable(short_task.tokeniser, made.x), strict=True):
        assert any(word in text for word in (["great", "moving", "superb"] if y else ["awful", "dull", "waste"]))
        assert text.startswith(("the plot was", "and the cast was"))


def test_the_seed_decides(short_task):
    first, again, other = (made_by(quick(), short_task, 8, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.x.values, again.x.values) and first.soft is None
    assert len(first.x.values) != len(other.x.values) or not torch.equal(first.x.values, other.x.values)


def test_validation_members_are_not_used(short_task):
    held = set(short_task.validation.tolist())
    texts = [[3, 3, 3, 3] if i in held else short_task.train.x.sequence(i).tolist() for i in range(80)]
    task = replace(short_task, train=Examples(Tokens.of(texts), short_task.train.y))
    made = made_by(quick(strongest=1.0, shortest=1, candidates=3), task, 8)
    pairs = zip(made.x.values[:-1].tolist(), made.x.values[1:].tolist(), strict=True)
    assert (3, 3) not in set(pairs)


def test_whole_reviews_can_be_mixed_in(review_task):
    made = made_by(quick(reviews=4), review_task, 8)
    assert made.y.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    originals = {tuple(review_task.train.x.sequence(i).tolist()) for i in review_task.fit.tolist()}
    assert all(tuple(made.x.sequence(i).tolist()) in originals for i in range(4, 8))
    assert all(text.startswith("I saw film ") and "<br /><br />The plot was " in text for text in made.texts[4:])


@pytest.mark.parametrize("reviews", [0, 4])
def test_members_keep_their_source_text(short_task, reviews):
    task = replace(short_task, scale=Scale(max_tokens=40))
    made = made_by(quick(reviews=reviews), task, 8)
    assert any("The plot was " in text for text in made.texts) and all("<br" not in text for text in made.texts[:4])
    again = encode(task.tokeniser, made.texts)
    assert torch.equal(again.values, made.x.values) and torch.equal(again.offsets, made.x.offsets)


def test_texts_of_unknown_source_are_packed_without_them(short_task):
    task = replace(short_task, train=replace(short_task.train, source=None))
    assert made_by(quick(), task, 8).texts == ()


@pytest.mark.parametrize("changes", [{"reviews": 3}, {"reviews": 10}, {"longest": 2}, {"shortest": 13, "longest": 13}])
def test_contradictions_are_refused(short_task, changes):
    with pytest.raises(UsageError):
        made_by(quick(**changes), short_task, 8)


@pytest.mark.parametrize("changes", [{"rarest": 10_000}, {"shortest": 12, "longest": 12}])
def test_texts_without_common_words_or_clauses_are_one_line(short_task, changes):
    with pytest.raises(UsageError, match=r"cover finds no clauses of .* lower --rarest"):
        made_by(quick(**changes), short_task, 8)


def test_chinese_texts_are_packed(tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path))
    lines = [f"这部电影很{'好差'[i % 2]}，我{('喜欢', '讨厌')[i % 2]}它的第{'一二三'[i % 3]}部分。" for i in range(60)]
    texts = Texts(lambda part: (lines, torch.arange(60) % 2), lambda part: "key")
    task = replace(text_task("own", ("good", "bad"), texts, "made by the test"), scale=Scale(max_tokens=24))
    made = made_by(quick(strongest=1.0, labels="soft"), task, 4)
    assert made.y.tolist() == [0, 0, 1, 1] and (made.soft.argmax(1) == made.y).all()
    for y, text in zip(made.y.tolist(), readable(task.tokeniser, made.x), strict=True):
        assert (bool({"好", "喜"} & set(text)), bool({"差", "讨"} & set(text))) == (y == 0, y == 1)


def test_members_are_full_whatever_the_number_of_candidates(review_task):
    """Random packs are a fair comparison only with as many tokens."""
    task = replace(review_task, scale=Scale(max_tokens=24))
    one, many = (made_by(quick(strongest=1.0, candidates=candidates), task, 4) for candidates in (1, 20))
    for made in (one, many):
        assert int(made.x.lengths.min()) > 24 - 4


def test_members_have_the_proportions_of_the_data(short_task):
    few = torch.cat([(short_task.train.y[short_task.fit] == k).nonzero().flatten()[:n] for k, n in ((0, 9), (1, 3))])
    asked = Problem(short_task, 4, short_task.fit[few], proportions="data")
    made = quick(strongest=1.0).start(asked, Session()).decode()
    assert torch.bincount(made.y).tolist() == asked.counts == [3, 1] and made.x.lengths.min() > 0
    with pytest.raises(UsageError, match="--reviews 4 is more than the members of a class"):
        quick(reviews=4).start(asked, Session())


def test_more_than_two_classes_are_refused_with_a_way_out(review_task):
    three = replace(review_task, classes=("a", "b", "c"))
    with pytest.raises(UsageError, match=r"imdb has 3: .* --part fit --net bag .* use dm with --embedding"):
        made_by(quick(), three, 6)


@pytest.mark.parametrize("reviews", [0, 4])
def test_the_texts_that_members_are_cut_from_are_counted(reviews, tmp_path, monkeypatch):
    monkeypatch.setenv("DDCORE_CACHE", str(tmp_path))
    words = [("awful", "dull"), ("great", "moving")]
    lines = [f"{a} n{i} plot was {b} , and {b} n{i} cast ." for i in range(60) for a, b in [words[i % 2]]]
    texts = Texts(lambda part: (lines, torch.arange(60) % 2), lambda part: "key")
    task = replace(text_task("own", ("bad", "good"), texts, "made by the test"), scale=Scale(max_tokens=24))
    made = made_by(quick(strongest=1.0, candidates=3, reviews=reviews), task, 8)
    named = {word for text in readable(task.tokeniser, made.x) for word in text.split() if word[1:].isdecimal()}
    assert 8 < len(named) < 54 and made.provenance[SOURCES] == len(named)
