import json

import pytest
from toys import problem

from ddcore.errors import DDCoreError
from ddcore.methods.dc import DC
from ddcore.runtime.session import Session
from ddcore.synthesis import sizes
from ddcore.synthesis.sizes import SIZES, settle_chunk


@pytest.fixture
def run(toy):
    """A run of a hundred real members per class, each of which takes some kilobytes."""
    return DC(net="convnet", real_batch=100).start(problem(toy, 4), Session())


def settled(run, folder, monkeypatch, free, resumed=False):
    monkeypatch.setattr(sizes, "share", lambda device: free)
    settle_chunk(run, 1000, folder, Session(), resumed=resumed)
    return run.chunk


def test_a_chunk_is_halved_until_a_step_fits(run, tmp_path, monkeypatch):
    members, each = run.widest()
    assert members == 100
    assert settled(run, tmp_path, monkeypatch, 2 * (1000 + 100 * each)) == 0
    assert not (tmp_path / SIZES).exists()
    assert settled(run, tmp_path, monkeypatch, (1000 + 25 * each) / sizes.PART + 1) == 25
    assert json.loads((tmp_path / SIZES).read_text()) == {"4": 25}


def test_a_resumed_run_keeps_its_chunk(run, tmp_path, monkeypatch):
    each = run.widest()[1]
    little, much = (1000 + 25 * each) / sizes.PART + 1, 1e12
    assert settled(run, tmp_path, monkeypatch, little) == 25
    assert settled(run, tmp_path, monkeypatch, much, resumed=True) == 25
    (tmp_path / SIZES).unlink()
    assert settled(run, tmp_path, monkeypatch, little, resumed=True) == 0, "it began without chunks"


def test_a_step_that_cannot_fit_is_refused_in_one_line(run, tmp_path, monkeypatch):
    with pytest.raises(DDCoreError, match=r"one member in the network at a time.*lower --budget") as caught:
        settled(run, tmp_path, monkeypatch, 2000)
    assert "\n" not in str(caught.value) and not (tmp_path / SIZES).exists()


def test_a_damaged_file_is_one_line(run, tmp_path, monkeypatch):
    (tmp_path / SIZES).write_text('{"4": "many"}')
    with pytest.raises(DDCoreError, match=r"sizes\.json is damaged"):
        settled(run, tmp_path, monkeypatch, 1e12)
