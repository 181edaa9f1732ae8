import pytest

from ddcore.errors import UsageError
from ddcore.report.formats import formats_part
from ddcore.sets import FORMATS


def test_every_format_stands_in_the_tables():
    for name, row in FORMATS.items():
        assert f"| {name} | {row.title.replace('`', '')} |" in formats_part("table")
        assert f"### `{name}`: {row.title}" in formats_part("layouts") and row.layout in formats_part("layouts")


def test_constants_of_tools_stand_beside_their_data_sets():
    lines = formats_part("normalisations").splitlines()
    assert "| dc | CIFAR-100 | 0.5071, 0.4866, 0.4409 | 0.2673, 0.2564, 0.2762 |" in lines
    assert "| mtt | CIFAR-100 | 0.4914, 0.4822, 0.4465 | 0.2023, 0.1994, 0.201 |" in lines


def test_there_is_no_other_table():
    with pytest.raises(UsageError, match="unknown table of formats 'all'"):
        formats_part("all")
