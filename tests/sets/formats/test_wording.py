from dataclasses import replace

import pytest
import torch

from ddcore import DDCoreError, DistilledSet
from ddcore.data.tokeniser import encode, train_tokeniser
from ddcore.nets.embedding import Embedding
from ddcore.sets.formats.exporting import export_set
from ddcore.sets.formats.wording import with_words
from ddcore.sets.origin import Origin

TEXTS = ("Good, GOOD film!", "A bad film.")


@pytest.fixture
def reader():
    return train_tokeniser(TEXTS, rarest=1)


def tokens(reader, **origin) -> DistilledSet:
    about = Origin("t", ("a", "b"), "random", **origin)
    return DistilledSet("tokens", encode(reader, TEXTS), torch.tensor([1, 0]), about)


def test_source_texts_are_taken_as_they_are(reader):
    small = tokens(reader, texts=TEXTS)
    assert with_words(small, None) == (small, ())


def test_a_set_without_source_texts_gives_the_words_of_its_tokens_and_says_so(reader, tmp_path):
    small, lines = with_words(tokens(reader), reader)
    assert small.texts == ("good, good film!", "a bad film.")
    assert lines == (
        "it holds no source texts, as sets of earlier versions: the words of its tokens are written, in lower case",
    )
    assert export_set(tokens(reader), tmp_path / "out", "jsonl", tokeniser=reader)[0] == lines[0]
    assert '"a bad film."' in (tmp_path / "out" / "set.jsonl").read_text()


def test_synthetic_texts_give_the_nearest_words_and_say_so(reader):
    table = torch.eye(reader.get_vocab_size())
    embedding = Embedding("here", "cnn", table, torch.ones(len(table), dtype=torch.bool))
    word = reader.token_to_id("good")
    made = DistilledSet(
        "embeddings",
        table[torch.tensor([[word, word]])] + 0.1,
        torch.tensor([0]),
        Origin("t", ("a", "b"), "dm"),
        embedding=embedding,
    )
    small, lines = with_words(made, reader)
    assert small.texts == ("good good",) and "synthetic texts are vectors" in lines[0]


def test_without_the_right_tokeniser_there_are_no_words(reader):
    with pytest.raises(DDCoreError, match=r"no tokeniser\.json lies beside it"):
        with_words(tokens(reader), None)
    with pytest.raises(DDCoreError, match="has other words than the set was made with"):
        with_words(tokens(reader, vocabulary="0123456789abcdef"), reader)
    small = tokens(reader)
    assert with_words(replace(small, origin=replace(small.origin, vocabulary="")), reader)[0].texts
