import pytest

from ddcore.errors import UsageError
from ddcore.selection.herding import Herding
from ddcore.selection.start import require_teacher, starting_selector


def test_any_other_selector_by_name():
    assert starting_selector("herding", "rl-agent") == Herding()
    for name in ("rl-agent", "none"):
        with pytest.raises(UsageError, match=f"unknown starting ranking '{name}'; known: ccs"):
            starting_selector(name, "rl-agent")


def test_a_start_asks_for_its_teacher():
    with pytest.raises(UsageError, match="--start herding needs --teacher"):
        require_teacher(Herding(), "herding", None)
    require_teacher(starting_selector("random", "rl-agent"), "random", None)
