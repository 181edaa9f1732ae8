"""The sets that come with the repository can be used without distilling."""

from pathlib import Path

import pytest
import torch

from ddcore import DistilledSet
from ddcore.runtime.files import read_json

RESULTS = Path(__file__).parent.parent / "results"


@pytest.mark.parametrize(
    ("name", "members", "kind"), [("fashion_mnist-600", 600, "images"), ("imdb-250", 250, "tokens")]
)
def test_a_committed_set_is_whole_balanced_and_scored(name, members, kind):
    found = DistilledSet.load(RESULTS / name)
    assert (len(found), found.kind) == (members, kind)
    assert len(torch.bincount(found.y).unique()) == 1
    assert torch.allclose(found.targets().sum(1), torch.ones(members))
    protocol = read_json(RESULTS / name / "scores.json")["protocol"]
    assert protocol["dataset"] == found.dataset and protocol["train_members"] == members


def test_the_committed_texts_are_readable_and_no_longer_than_promised():
    found = DistilledSet.load(RESULTS / "imdb-250")
    assert int(found.x.lengths.max()) <= 512
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(RESULTS / "imdb-250" / "tokeniser.json"))
    first = words.decode(found.x.sequence(0).tolist())
    assert first.split()[0].strip(".,") in (RESULTS / "imdb-250" / "members.txt").read_text()
