import pytest
from accelerate import Accelerator

from ddcore.benchmarks import scaling
from ddcore.benchmarks.scaling import Case, Gate, measure


def test_a_process_alone_has_a_rate_and_no_communication(tmp_path):
    found = measure(Case("krr", 1, 10, 2), 1, tmp_path / "run", Accelerator(cpu=True), Gate(tmp_path / "g", "0", 1))
    assert found["rate"] > 0 and found["communication"] == 0


def test_nobody_waits_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "PATIENCE", 0.05)
    with pytest.raises(TimeoutError, match="2 processes"):
        Gate(tmp_path / "ready", "0", 2).wait()
