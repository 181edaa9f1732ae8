import re

import pytest
import torch

from ddcore.errors import UsageError
from ddcore.nets.embedding import Embedding
from ddcore.nets.registry import build_net
from ddcore.nets.words import words_of


@pytest.fixture
def embedding(review_task):
    words = words_of(review_task)
    table = torch.randn(words, 64, generator=torch.Generator().manual_seed(0))
    table[0] = 0
    seen = torch.ones(words, dtype=torch.bool)
    seen[5] = False
    return Embedding("made here", "cnn", table, seen)


def test_a_network_reads_by_the_vectors_it_holds_and_learns_none(review_task, embedding):
    net = embedding.adopt(build_net("cnn", review_task, 0)).eval()
    ids = torch.tensor([[2, 5, 3, 0]])
    assert torch.equal(net.words(ids), embedding.vectors(ids))
    assert torch.equal(embedding.vectors(ids)[0, 1], embedding.table[1]), "a word that was never learned is unknown"
    assert not net.words.table.weight.requires_grad
    net.train()(torch.tensor([[5, 2]]))
    assert torch.equal(net.words.seen, embedding.seen), "training marks no words of its own"


def test_vectors_and_the_ids_they_stand_for_give_the_same_answer(review_task, embedding):
    net = embedding.adopt(build_net("bag", review_task, 0)).eval()
    ids = torch.tensor([[2, 3, 4], [4, 4, 6]])
    torch.testing.assert_close(net(embedding.vectors(ids)), net(ids))


def test_the_nearest_words_are_those_that_the_vectors_are(embedding):
    ids = torch.tensor([2, 6, 3])
    assert torch.equal(embedding.nearest(2 * embedding.table[ids]), ids)
    assert embedding.nearest(embedding.table[5:6]) != 5, "a word that was never learned is nobody's neighbour"


@pytest.mark.parametrize("change", ["network", "width"])
def test_a_network_without_such_vectors_is_refused(review_task, embedding, change):
    if change == "width":
        embedding = Embedding("narrow", "cnn", embedding.table[:, :8], embedding.seen)
    with pytest.raises(UsageError, match="use cnn, for example"):
        embedding.adopt(build_net("linear" if change == "network" else "cnn", review_task, 0))


@pytest.mark.parametrize(
    "spoil, line",
    [
        (lambda t: t.update(table=t["table"].double()), "finite float32"),
        (lambda t: t["table"].fill_(float("nan")), "finite float32"),
        (lambda t: t.update(seen=t["seen"][1:]), "not (W,) bool"),
    ],
)
def test_damaged_tensors_are_told(embedding, spoil, line):
    tensors = {name: tensor.clone() for name, tensor in embedding.tensors().items()}
    assert Embedding.of(embedding.record(), tensors).name == "made here"
    spoil(tensors)
    with pytest.raises(ValueError, match=re.escape(line)):
        Embedding.of(embedding.record(), tensors)
