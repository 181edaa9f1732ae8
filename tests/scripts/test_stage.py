"""What all stage programs share."""

import pytest
import torch
from accelerate import Accelerator

import stage
from ddcore.runtime.run_folder import Run


def test_what_the_whole_takes_is_said_once(tmp_path, monkeypatch):
    said, clock = [], iter(range(0, 9999, 60))
    monkeypatch.setattr(stage, "say", lambda _, line: said.append(line))
    monkeypatch.setattr(stage.time, "monotonic", lambda: next(clock))
    show = stage.progress_bar(Accelerator(cpu=True), "training", Run(tmp_path), ahead=True)
    for step in (1, 2, 3):
        show(step, 1000, {})
    assert len(said) == 1 and " hours; " in said[0] and said[0].endswith("of disk are free")
    show = stage.progress_bar(Accelerator(cpu=True), "training", Run(tmp_path))
    for step in (1, 2, 3):
        show(step, 1000, {})
    assert len(said) == 1


def test_the_bar_tells_values_and_memory_and_the_log_keeps_them(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(stage.LOG, "info", lambda line, *words: kept.append(line % words))
    show = stage.progress_bar(Accelerator(cpu=True), "dm", Run(tmp_path), every=0)
    show(3, 10, {"loss": 0.25, "validation": 0.5, "seconds_left": 7})
    assert kept[0].startswith("dm: step 3 of 10, loss 0.25, validation 0.5, memory ") and kept[0].endswith(" GB")
    assert '"seconds_left": 7' in (tmp_path / "metrics.jsonl").read_text()
    stage.say(Accelerator(cpu=True), "ten members")
    assert kept[1] == "ten members"


@pytest.mark.parametrize(("given", "threads"), [(None, 3), ("5", 5)])
def test_a_container_gets_no_more_threads_than_its_share_unless_told(given, threads, monkeypatch):
    monkeypatch.setattr(stage, "available_cores", lambda: 3)
    monkeypatch.setattr(stage, "bind", lambda *_: [])
    if given is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    torch.set_num_threads(5)
    stage.open_accelerator()
    assert torch.get_num_threads() == threads
