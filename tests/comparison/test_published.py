import json
from dataclasses import replace

import pytest
from toys import ONE_VALIDATION

from ddcore.comparison import published
from ddcore.comparison.published import PUBLISHED_CELLS, PublishedCell, run_cell
from ddcore.runtime import Run, Session
from ddcore.training import PROTOCOLS

OPTIONS = {"steps": 2, "real_batch": 4, "net": "mlp", **ONE_VALIDATION, "validation_networks": 0}


@pytest.fixture
def short(monkeypatch):
    """A protocol that trains a small network for a few steps."""
    protocol = PROTOCOLS["dc"]
    recipe = lambda task, members: protocol.recipe(task, members).shortened(4)  # noqa: E731
    monkeypatch.setitem(PROTOCOLS, "dc", replace(protocol, net="mlp", recipe=recipe))


def session(folder):
    return Session(Run.start(folder, "published", {}))


def test_every_cell_differs_from_the_paper_only_in_its_size(toy):
    for cell in PUBLISHED_CELLS.values():
        assert set(cell.options) == {"steps", "real_batch"} and cell.steps < cell.published_steps
        assert cell.maker(toy).steps == cell.steps
        assert 0 < cell.real_share(toy) < 1
        whole = cell.resized(cell.published_steps, cell.maker(toy).preset("paper", toy, 10)["real_batch"])
        assert whole.real_share(toy) == 1 and whole.name == cell.name
        assert cell.protocol in PROTOCOLS and cell.sets * cell.networks == (10 if cell.ipc == 1 else 2)


def test_a_cell_is_made_judged_and_not_made_again(toy, tmp_path, short, monkeypatch):
    cell = PublishedCell("toy", 1, "DC", "dc", "dc", 1000, OPTIONS, sets=2, networks=2)
    record = run_cell(cell, toy, session(tmp_path / "run"))
    assert record["steps"] == 2 and record["accuracy"]["n"] == 4 and len(record["cpu_seconds"]) == 2
    assert record["options"]["init"] == "noise" and record["protocol"]["name"] == "dc"
    scores = json.loads((tmp_path / "run" / "evaluation" / "scores.json").read_text())
    assert scores["protocol"]["set"]["sets"] == 2 and scores["protocol"]["seeds"] == [1000, 1001]
    monkeypatch.setattr(published, "synthesise", lambda method, problem, part: made(part))

    def made(part):
        assert part.finished
        from ddcore.sets import DistilledSet

        return DistilledSet.load(part.folder)

    assert run_cell(cell, toy, session(tmp_path / "run")) == record


def test_processor_time_of_an_interrupted_making_is_kept(toy, tmp_path, short, monkeypatch):
    cell = PublishedCell("toy", 1, "DC", "dc", "dc", 1000, OPTIONS, sets=1, networks=1)
    real = published.synthesise

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(published, "synthesise", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_cell(cell, toy, session(tmp_path / "run"))
    path = tmp_path / "run" / "sets" / "seed-0" / "spent.json"
    path.write_text(json.dumps({"cpu_seconds": 100.0}))
    monkeypatch.setattr(published, "synthesise", real)
    assert run_cell(cell, toy, session(tmp_path / "run"))["cpu_seconds"][0] >= 100
