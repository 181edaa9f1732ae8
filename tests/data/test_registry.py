import pytest

from ddcore.data.registry import NAMES, TASKS, load_task
from ddcore.errors import UsageError


def test_every_name_is_shown_and_an_unknown_one_is_refused_with_the_known_ones(tmp_path):
    assert set(TASKS) < set(NAMES)
    with pytest.raises(UsageError, match=r"unknown data set 'imagenet'; known: .*fashion_mnist"):
        load_task("imagenet", tmp_path)


def test_the_bundled_digits_need_no_folder(tmp_path):
    task = load_task("digits", tmp_path / "nothing")
    assert task.name == "digits" and len(task.classes) == 10
