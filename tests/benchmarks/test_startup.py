import pytest
import torch

from ddcore.benchmarks import startup
from ddcore.benchmarks.startup import StartupBenchmark, cpu_seconds
from ddcore.errors import DDCoreError


def test_the_time_is_that_of_the_child_process():
    idle, busy = cpu_seconds(["-c", "pass"]), cpu_seconds(["-c", "sum(range(30_000_000))"])
    assert 0 < idle < busy
    with pytest.raises(DDCoreError, match=r"python -c raise SystemExit\(3\) failed \(exit 3\)"):
        cpu_seconds(["-c", "raise SystemExit(3)"])


def test_every_program_is_measured_beside_torch(tmp_path, monkeypatch):
    (tmp_path / "distill.py").write_text('if __name__ == "__main__":\n    pass\n')
    (tmp_path / "stage.py").write_text("pass\n")
    monkeypatch.setattr(startup, "cpu_seconds", lambda arguments: 2.0 if "import torch" in arguments else 2.2)
    results = list(StartupBenchmark(repeats=3).results([str(tmp_path / "benchmark.py")], torch.device("cpu")))
    assert [result.rows[0].case for result in results] == ["import torch", "import ddcore", "distill.py --help"]
    assert results[2].text == "distill.py --help: 2.20 s of CPU time, 1.10 x import torch"
