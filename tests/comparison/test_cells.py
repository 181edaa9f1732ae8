from ddcore.comparison.cells import CELL
from ddcore.runtime.schema import fault_of

SCORE = {"mean": 0.5, "std": 0.0, "n": 1, "values": [0.5], "seconds": 1.0}
OF_AN_EARLIER_VERSION = {
    "title": "dm",
    "way": "dm",
    "labels": "hard",
    "several_a_slot": False,
    "pace": None,
    "seconds": 1.0,
    "peak_memory_bytes": None,
    "peak_gpu_memory_bytes": None,
    "scores": {"hard": {"mlp": SCORE}},
    "own_steps": None,
}


def test_cells_of_earlier_versions_are_read_and_damaged_ones_told():
    assert not fault_of(OF_AN_EARLIER_VERSION, CELL)
    assert not fault_of({**OF_AN_EARLIER_VERSION, "factor": 2, "tiles": 1, "controls": ["start of dm"]}, CELL)
    assert "controls" in fault_of({**OF_AN_EARLIER_VERSION, "controls": [3]}, CELL)
