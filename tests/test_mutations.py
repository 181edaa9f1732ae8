"""The list of chosen changes fits the code, so that `tests/mutations.py` can apply each of them."""

from pathlib import Path

import pytest
from chosen_changes import CHOSEN

REPO = Path(__file__).parents[1]


@pytest.mark.parametrize("each", CHOSEN, ids=str)
def test_a_chosen_change_has_one_place_and_tests_that_are_there(each, tmp_path):
    path = tmp_path / each.file
    path.parent.mkdir(parents=True)
    path.write_bytes((REPO / each.file).read_bytes())
    assert each.apply(tmp_path) != path.read_bytes() and each.tests
    for test in each.tests:
        file, _, function = test.partition("::")
        assert f"def {function.partition('[')[0]}" in (REPO / file).read_text(encoding="utf-8")
