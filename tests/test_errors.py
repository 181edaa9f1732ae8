import pytest

from ddcore.errors import DDCoreError, UsageError, known


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UsageError, match="unknown network 'x'; known: a, b"):
        known("network", "x", ["b", "a"])


def test_usage_errors_and_failures_have_their_own_exit_codes():
    assert (UsageError.exit_code, DDCoreError.exit_code) == (2, 1)
