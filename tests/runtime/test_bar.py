import io
import json
import sys
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch

from ddcore.runtime import bar
from ddcore.runtime.bar import Bar, beside_bar, passing
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session


def test_what_the_whole_takes_is_said_once(tmp_path, monkeypatch):
    said, clock = [], iter(range(0, 9999, 60))
    monkeypatch.setattr(bar.time, "monotonic", lambda: next(clock))
    session = Session(Run(tmp_path), say=said.append)
    show = Bar("training", session, ahead=True)
    for step in (1, 2, 3):
        show(step, 1000, {})
    assert len(said) == 1 and " hours; " in said[0] and said[0].endswith("of disk are free")
    show = Bar("training", session)
    for step in (1, 2, 3):
        show(step, 1000, {})
    assert len(said) == 1


def test_the_bar_tells_values_and_memory_and_the_log_keeps_them(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(bar, "EVERY", 0.0)
    monkeypatch.setattr(bar.LOG, "info", lambda line, *words: kept.append(line % words))
    show = Bar("dm", Session(Run(tmp_path)))
    show(3, 10, {"loss": 0.25, "validation": 0.5, "seconds_left": 7})
    assert kept[0].startswith("dm: step 3 of 10, loss 0.25, validation 0.5, memory ") and kept[0].endswith(" GB")
    assert '"seconds_left": 7' in (tmp_path / "metrics.jsonl").read_text()


def test_values_are_logged_now_and_then_and_at_the_end(tmp_path):
    show = Bar("dm", Session(Run(tmp_path)))
    for step in range(1, 6):
        show(step, 5, {"loss": float(step)})
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [5]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def place(main: bool) -> SimpleNamespace:
    """One of two processes."""
    return SimpleNamespace(is_main_process=main, num_processes=2, process_index=1 - main, device=torch.device("cpu"))


def test_steps_of_an_earlier_call_do_not_count_for_the_rate(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    show = Bar("dm", Session())
    show(41, 100, {})
    assert (show._bar.initial, show._bar.n, show._bar.total) == (40, 41, 100)
    show(42, 100, {})
    assert (show._bar.initial, show._bar.n) == (40, 42)


@pytest.mark.parametrize(
    ("stream", "kernel", "main", "seen"),
    [
        (Terminal, False, True, True),
        (Terminal, False, False, False),
        (io.StringIO, False, True, False),
        (io.StringIO, True, True, True),
        (io.StringIO, True, False, False),
    ],
)
def test_the_main_process_shows_a_bar_in_a_terminal_or_a_notebook(stream, kernel, main, seen, monkeypatch):
    shown = stream()
    monkeypatch.setattr("sys.stderr", shown)
    if kernel:
        monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())
    else:
        monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    Bar("dm", Session(processes=place(main)))(1, 2, {"loss": 0.5})
    assert ("dm" in shown.getvalue()) == seen


def test_a_bar_begins_with_the_total_that_a_notebook_keeps(monkeypatch):
    asked = []
    monkeypatch.setattr("tqdm.auto.tqdm", lambda **options: asked.append(options) or MagicMock(n=40))
    show = Bar("dm", Session())
    show(41, 100, {})
    show(42, 100, {})
    assert [(options["total"], options["initial"]) for options in asked] == [(100, 40)]


def test_the_time_left_is_the_bars_own():
    assert set(beside_bar({"loss": 0.123456, "seconds_left": 9})) - {"GPU"} == {"loss", "memory"}
    assert beside_bar({"loss": 0.123456})["loss"] == "0.1235"


def test_a_pass_over_many_members_has_a_bar_where_somebody_watches(monkeypatch):
    bars = []
    monkeypatch.setattr(bar, "open_bar", lambda session, **options: bars.append(options) or MagicMock())
    parts = [torch.zeros(3), torch.zeros(2)]
    assert [len(part) for part in passing(parts, 5, Session())] == [3, 2] and not bars
    assert [len(part) for part in passing(parts, 5, Session(progress=lambda *_: None), "logits")] == [3, 2]
    assert bars == [{"total": 5, "desc": "logits", "unit": "member"}]
