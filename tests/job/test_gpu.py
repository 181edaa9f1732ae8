import time

from ddcore.job import gpu
from ddcore.job.gpu import GPUMonitor, utilisation


def test_a_watch_averages_the_answers_and_passes_over_none():
    answers = iter([0.2, None, 0.6])
    with GPUMonitor(lambda: next(answers, None), every=0.01) as monitor:
        deadline = time.monotonic() + 5
        while len(monitor.samples) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert monitor.mean == 0.4
    with GPUMonitor(lambda: None, every=0.01) as monitor:
        time.sleep(0.03)
    assert monitor.mean is None


def test_a_machine_without_a_driver_tells_nothing(monkeypatch):
    monkeypatch.setattr(gpu, "QUERY", ("no-such-program",))
    assert utilisation() is None
    monkeypatch.setattr(gpu, "QUERY", ("printf", "30\\n50\\n"))
    assert utilisation() == 0.4
