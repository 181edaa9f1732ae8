import pytest
from toys import started

from ddcore.methods.registry import METHODS
from ddcore.options import changed
from ddcore.synthesis.idle import idle_line


@pytest.mark.parametrize(
    ("name", "options", "line"),
    [
        ("krr", {}, "1 part per step for 4 processes: 3 will be idle; --shards 4 uses them all"),
        (
            "dd",
            {"networks": 2, "batches": 1},
            "2 parts per step for 4 processes: 2 will be idle; --networks 4 uses them all",
        ),
        ("dm", {"shards": 1}, "1 part per step for 4 processes: 3 will be idle; --networks 4 uses them all"),
        ("dc", {}, "2 parts per step for 4 processes: 2 will be idle"),
        ("dm", {"networks": 2}, ""),
        ("rat-bptt", {}, "1 part per step for 4 processes: 3 will be idle; --networks 4 uses them all"),
    ],
)
def test_processes_that_would_be_idle_are_counted_with_the_remedy(toy, name, options, line):
    synthesis = started(changed(METHODS[name](), {"net": "mlp", **options}), toy, 4)
    method = synthesis.method
    assert idle_line(synthesis, 4) == line
    assert synthesis.method is method, "asking changes nothing"
