import pytest

from ddcore.methods.registry import METHODS
from ddcore.synthesis.contract import GradientMethod, StagedMethod


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_of_one_sort(name):
    method = METHODS[name]()
    sorts = [isinstance(method, GradientMethod), isinstance(method, StagedMethod), hasattr(method, "run")]
    assert sum(sorts) == 1
