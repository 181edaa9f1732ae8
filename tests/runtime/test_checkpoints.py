import itertools

import pytest
import torch

from ddcore.errors import DDCoreError
from ddcore.runtime import checkpoints
from ddcore.runtime.checkpoints import Checkpoints
from ddcore.runtime.files import save_tensors
from ddcore.runtime.logs import LOG
from ddcore.runtime.run_folder import Interval


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when told, by adding to its one entry."""
    now = [0.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    return now


def kept(path, *values):
    made = Checkpoints(path, "mine")
    for step, value in enumerate(values):
        made.keep(step, {"x": torch.tensor(float(value))})
    return made


def restored(path, label="mine"):
    found = {}
    return found if Checkpoints(path, label).restore(found.update) else None


def test_the_last_two_are_kept(tmp_path):
    made = kept(tmp_path / "state", 1, 2, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["older-state", "state"]
    assert restored(made.path)["x"] == 3 and restored(made.older)["x"] == 2
    made.forget()
    assert not list(tmp_path.iterdir()) and restored(tmp_path / "state") is None


@pytest.mark.parametrize("damage", ["cut", "gone", "empty"])
def test_a_damaged_one_is_passed_over_and_said(tmp_path, damage, caplog, monkeypatch):
    monkeypatch.setattr(LOG, "propagate", True)
    made = kept(tmp_path / "state", 1, 2)
    if damage == "gone":
        made.path.unlink()
    else:
        made.path.write_bytes(made.path.read_bytes()[:40] if damage == "cut" else b"")
    assert restored(tmp_path / "state")["x"] == 1
    assert ("resuming from older-state" in caplog.text) == (damage != "gone")


def test_nothing_readable_or_another_run_is_one_line(tmp_path):
    made = kept(tmp_path / "state", 1, 2)
    with pytest.raises(DDCoreError, match="state is the checkpoint of another run: use --fresh"):
        restored(tmp_path / "state", "other")
    for path in (made.path, made.older):
        path.write_bytes(b"no")
    with pytest.raises(DDCoreError, match=r"not a readable safetensors file.*use --fresh"):
        restored(tmp_path / "state")


def test_a_state_that_does_not_fit_is_one_line(tmp_path):
    kept(tmp_path / "state", 1)
    with pytest.raises(DDCoreError, match=r"damaged \('y'\): use --fresh"):
        Checkpoints(tmp_path / "state", "mine").restore(lambda state: state["y"])


def test_a_write_that_fails_leaves_both(tmp_path, monkeypatch):
    made = kept(tmp_path / "state", 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(
            "ddcore.runtime.files.os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left"))
        )
        with pytest.raises(DDCoreError, match="No space left"):
            made.keep(3, {"x": torch.tensor(3.0)})
    assert restored(made.path)["x"] == 2 and restored(made.older)["x"] == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_it_is_due_by_the_clock_or_after_so_many_steps(tmp_path, clock):
    by_clock = Checkpoints(tmp_path / "a", "mine", Interval(minutes=2))
    by_steps = Checkpoints(tmp_path / "b", "mine", Interval(minutes=2, steps=5))
    clock[0] = 119
    assert not by_clock.due(7) and by_steps.due(7) and not by_steps.due(4)
    clock[0] = 120
    assert by_clock.due(7) and by_steps.due(4)
    by_clock.keep(7, {})
    by_steps.keep(7, {})
    assert not by_clock.due(8) and not by_steps.due(11) and by_steps.due(12)


def test_by_the_clock_it_never_takes_more_than_its_share(tmp_path, clock, monkeypatch):
    made = Checkpoints(tmp_path / "state", "mine", Interval(minutes=0.1))
    costs = itertools.cycle([1.0, 4.0, 0.2])

    def slow(*args, **more):
        clock[0] += next(costs)

    monkeypatch.setattr(checkpoints, "save_tensors", slow)
    for step in range(30_000):
        clock[0] += 1
        if made.due(step):
            made.keep(step, {})
    assert made.written > 5
    assert made.seconds / clock[0] <= checkpoints.SHARE


def test_one_that_was_made_from_other_inputs_is_refused_and_one_without_digests_is_read(tmp_path):
    Checkpoints(tmp_path / "state", "mine", inputs="a").keep(1, {"x": torch.tensor(1.0)})
    found = {}
    assert Checkpoints(tmp_path / "state", "mine", inputs="a").restore(found.update) and found["x"] == 1
    with pytest.raises(DDCoreError, match="state was made from other members or another teacher: use --fresh"):
        Checkpoints(tmp_path / "state", "mine", inputs="b").restore(found.update)
    save_tensors(tmp_path / "state", {"x": torch.tensor(2.0)}, {"run": "mine"})  # of an earlier version
    assert Checkpoints(tmp_path / "state", "mine", inputs="b").restore(found.update) and found["x"] == 2
