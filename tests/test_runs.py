import errno
import json
import os

import pytest
import torch

from ddcore import runs
from ddcore.errors import DDCoreError, UsageError
from ddcore.runs import Run, load_tensors, save_tensors, shifted, write_atomic, write_json


def test_the_same_command_goes_on_with_its_folder(tmp_path):
    first = Run.start(tmp_path / "run", "distill", {"budget": 10})
    first.log(1, loss=0.5)
    again = Run.start(tmp_path / "run", "distill", {"budget": 10})
    assert not again.finished
    again.finish({"members": 10})
    assert Run.start(tmp_path / "run", "distill", {"budget": 10}).finished
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["members"] == 10 and result["peak_memory_bytes"] > 10**7


def test_other_options_are_refused_and_named(tmp_path):
    Run.start(tmp_path / "run", "distill", {"budget": 10, "seed": 0})
    with pytest.raises(UsageError, match="budget was 10, now 20"):
        Run.start(tmp_path / "run", "distill", {"budget": 20, "seed": 0})


def test_fresh_puts_the_earlier_run_aside(tmp_path):
    Run.start(tmp_path / "run", "distill", {"budget": 10})
    Run.start(tmp_path / "run", "distill", {"budget": 20}, fresh=True)
    kept = json.loads((tmp_path / "run.old-1" / "config.json").read_text())
    assert kept["options"] == {"budget": 10}


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="holds no run"):
        Run.start(tmp_path, "distill", {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "set.json"
    write_json(path, {"old": 1})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(runs.os, "fsync", full)
    with pytest.raises(DDCoreError, match="No space left"):
        write_atomic(path, b"new")
    assert json.loads(path.read_text()) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["set.json"]


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DDCoreError, match="cannot write"):
        write_json(tmp_path / "file" / "inside.json", {})


def test_a_disk_that_is_nearly_full_is_refused_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setattr(runs.shutil, "disk_usage", lambda path: runs.shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(DDCoreError, match="are free"):
        Run.start(tmp_path / "run", "distill", {})


def test_tensors_come_back_with_their_notes(tmp_path):
    save_tensors(tmp_path / "a.safetensors", {"x": torch.arange(6).view(2, 3).T}, {"net": "mlp"})
    tensors, notes = load_tensors(tmp_path / "a.safetensors")
    assert tensors["x"].tolist() == [[0, 3], [1, 4], [2, 5]] and notes == {"net": "mlp"}


@pytest.mark.parametrize("content", [b"", b"\x80\x04junk", b"\xff" * 100])
def test_a_foreign_tensor_file_is_refused(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(DDCoreError, match="not a readable safetensors file"):
        load_tensors(tmp_path / "a.safetensors")


def test_a_truncated_tensor_file_is_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"x": torch.zeros(100)})
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DDCoreError, match="truncated"):
        load_tensors(path)


def test_a_part_of_a_longer_piece_of_work_is_counted_from_its_place():
    seen = []
    part = shifted(lambda *told: seen.append(told), 30, 100)
    part(5, 10, {"loss": 1.0})
    assert seen == [(35, 100, {"loss": 1.0})] and shifted(None, 30, 100) is None


def test_the_seconds_of_a_run_that_was_stopped_count_up_to_its_last_checkpoint(tmp_path):
    first = Run.start(tmp_path / "run", "distill", {})
    first.started -= 100
    first.pause()
    first.started -= 50
    first.pause()
    first.started -= 1000  # lost: nothing was kept after the second checkpoint
    again = Run.start(tmp_path / "run", "distill", {})
    again.started -= 20
    again.finish({})
    assert 170 <= json.loads((tmp_path / "run" / "result.json").read_text())["seconds"] < 175


def test_a_full_disk_is_told_with_numbers_and_what_helps(tmp_path):
    free = runs.check_space(tmp_path / "not" / "there")
    assert free > 0
    with pytest.raises(DDCoreError, match=r"^needs about \d+\.1 GB of disk, .* are free in .*: fewer experts$"):
        runs.check_space(tmp_path, 10**18, "fewer experts")
