import time

from ddcore.job import gpu
from ddcore.job.gpu import monitored, utilisation


def test_samples_are_collected_without_missing_ones():
    answers = iter([0.2, None, 0.6])
    with monitored(lambda: next(answers, None), every=0.01) as samples:
        deadline = time.monotonic() + 5
        while len(samples) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert samples == [0.2, 0.6]
    with monitored(lambda: None, every=0.01) as samples:
        time.sleep(0.03)
    assert not samples


def test_a_machine_without_a_driver_tells_nothing(monkeypatch):
    monkeypatch.setattr(gpu, "QUERY", ("no-such-program",))
    assert utilisation() is None
    monkeypatch.setattr(gpu, "QUERY", ("printf", "30\\n50\\n"))
    assert utilisation() == 0.4
