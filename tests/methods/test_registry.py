import dataclasses

import pytest

from ddcore.methods.registry import METHODS


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_reads_and_what_it_is(name):
    method = METHODS[name]
    assert set(method.kinds) <= {"images", "text"} and method.kinds
    assert (method.__doc__ or "").splitlines()[0] and dataclasses.is_dataclass(method)
