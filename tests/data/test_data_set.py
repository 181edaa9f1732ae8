import re
from dataclasses import fields

import pytest
import torch

from ddcore.data.data_set import DataSet
from ddcore.data.registry import DATASETS


@pytest.mark.parametrize("row", DATASETS.values(), ids=DATASETS)
def test_every_row_is_complete(row):
    counts = row.counts
    assert row.title and row.licence and re.search(r"(19|20)\d\d", row.citation)
    assert row.kind in ("images", "text") and not (row.mirrored and row.kind == "text")
    assert counts.classes * counts.smallest <= counts.train and counts.test > 0 and counts.size > 0
    assert not counts.even or counts.train % counts.classes == 0
    assert len(fields(DataSet)) <= 12


def agrees(row, task):
    """Check a row against the data set itself."""
    counts = row.counts
    sizes = torch.bincount(task.train.y, minlength=counts.classes)
    assert (task.name, task.kind, len(task.classes)) == (row.name, row.kind, counts.classes)
    assert (len(task.train), len(task.load_test())) == (counts.train, counts.test)
    assert bool((sizes == sizes[0]).all()) == counts.even
    assert counts.smallest <= int(torch.bincount(task.train.y[task.fit]).min())


def test_the_bundled_digits_agree_with_their_row(tmp_path):
    agrees(DATASETS["digits"], DATASETS["digits"].load(tmp_path))


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_real_data_agrees_with_its_row(name, real_data):
    agrees(DATASETS[name], DATASETS[name].load(real_data))
