import pytest
from accelerate import tracking

from ddcore.errors import UsageError
from ddcore.runtime.run_folder import Run
from ddcore.runtime.trackers import TRACKERS, tracker


def test_tensorboard_gets_what_the_metrics_get(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = Run(tmp_path)
    run.tracker = tracker("tensorboard", tmp_path)
    run.log(1, loss=0.5)
    run.log(20, loss=0.25, validation=0.75)
    found = events.EventAccumulator(str(tmp_path / "tracker")).Reload()
    assert [(each.step, each.value) for each in found.Scalars("loss")] == [(1, 0.5), (20, 0.25)]
    assert [(each.step, each.value) for each in found.Scalars("validation")] == [(20, 0.75)]


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "get_available_trackers", list)
    with pytest.raises(UsageError, match=r"needs its package: pip install 'ddcore.tracker.'"):
        tracker("tensorboard", tmp_path)


def test_the_trackers_are_accelerates():
    assert set(TRACKERS) <= set(map(str, tracking.LOGGER_TYPE_TO_CLASS))
