"""Cells under the same terms: what they hold, and that nothing finished is computed twice."""

import json
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
import torch

from ddcore.comparison import comparison
from ddcore.comparison import terms as terms_module
from ddcore.comparison.comparison import Comparison
from ddcore.comparison.draws import joined
from ddcore.comparison.entries import entries
from ddcore.comparison.judged import with_scores
from ddcore.comparison.terms import FRESH, Terms
from ddcore.errors import DDCoreError, UsageError
from ddcore.methods.registry import METHODS
from ddcore.nets.registry import build_net
from ddcore.options import option
from ddcore.problem import Problem
from ddcore.runtime.files import load_tensors, save_tensors, write_json
from ddcore.runtime.run_folder import Run
from ddcore.runtime.session import Session
from ddcore.synthesis.contract import Method
from ddcore.training.teacher import Teacher

MATCH = "dm:net=mlp:augment=flip"


@dataclass(frozen=True)
class Needy(Method):
    """A method that cannot start without a folder."""

    name: ClassVar[str] = "needy"

    steps: int = option(9, "outer steps")
    experts: str = option("", "a folder")

    def start(self, problem, session):
        raise UsageError(f"needy needs --experts DIR, not '{self.experts}'")


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Networks are trained for three steps: what counts here is which of them are."""
    real = comparison.recipe_for
    for module in (comparison, terms_module):
        monkeypatch.setattr(module, "recipe_for", lambda *asked: replace(real(*asked), steps=3))


@pytest.fixture
def terms(toy) -> Terms:
    teacher = Teacher(torch.eye(2)[toy.train.y] * 5, toy.train.x.flatten(1).float(), "mlp", "teacher")
    return Terms(Problem(toy, 4, toy.fit, teacher), 0.002, "mlp", (), 1, 4.0, "cpu", True)


@pytest.fixture
def compare(tmp_path):
    """Compare entries in the test's folder; what is said is kept in `said`."""
    said: list[str] = []

    def run(terms, text, whole=False):
        session = Session(Run(tmp_path), quick=True, say=said.append)
        return Comparison(terms, session, lambda *_: lambda *_: None).run(entries(text, {}), whole)

    run.said = said
    return run


@pytest.fixture
def trained(monkeypatch):
    """The names of all networks that are trained, in order."""
    names: list[str] = []
    real = comparison.evaluate

    def counted(cells, task, test, session, *rest):
        folder = session.folder
        names.extend(
            f"{folder.parent.name}/{folder.name}/{c.name}"
            for c in cells
            if not (folder / "cells" / f"{c.name}.json").exists()
        )
        return real(cells, task, test, session, *rest)

    monkeypatch.setattr(comparison, "evaluate", counted)
    return names


def by_title(record):
    return {cell["title"]: cell for cell in record["cells"]}


def test_random_comes_first_and_every_cell_has_the_same_networks(terms, compare, trained, tmp_path):
    record = compare(replace(terms, others=("lenet",), seeds=2), f"k-means,{MATCH}")
    assert [cell["title"] for cell in record["cells"]] == ["random", "k-means", "dm:augment=flip:net=mlp"]
    random, matched = record["cells"][0], record["cells"][2]
    assert {labels: set(nets) for labels, nets in random["scores"].items()} == {
        "hard": {"mlp", "lenet"},
        "soft": {"mlp", "lenet"},
    }
    assert {labels: set(nets) for labels, nets in matched["scores"].items()} == {"hard": {"mlp", "lenet"}}, (
        "made images have no teacher's answers where the teacher left no networks"
    )
    assert record["protocol"]["seeds"] == [FRESH, FRESH + 1] and random["scores"]["hard"]["mlp"]["n"] == 2
    assert f"random/hard/mlp-{FRESH}" in trained and len(trained) == len(set(trained)) == 8 + 6 + 4
    assert set(record["cells"][1]["scores"]["soft"]) == {"mlp"}, "carried over with the labels that it was made with"
    pace = json.loads((tmp_path / "cells" / "dm+augment=flip+net=mlp" / "pace.json").read_text())
    assert matched["pace"] == pace and pace["steps"] >= 1 and matched["options"]["steps"] == min(4, pace["steps"])
    assert random["validation"] is None and 0 <= matched["validation"]["start"] <= matched["validation"]["best"] <= 1
    assert random["pace"] is None and matched["seconds"] > 0 and matched["peak_memory_bytes"] > 10**7


def test_entries_that_begin_with_random_members_begin_with_those_of_the_first_row(terms, compare, tmp_path):
    compare(terms, MATCH)
    random = json.loads((tmp_path / "cells" / "random" / "set" / "set.json").read_text())
    (matched,) = (tmp_path / "cells").glob("dm*")
    began = json.loads((matched / "set" / "set.json").read_text())["provenance"]["began at"]
    chosen = load_tensors(tmp_path / "cells" / "random" / "set" / "set.safetensors")[0]["indices"].tolist()
    assert random["method"] == "random" and chosen == began and set(chosen) <= set(terms.problem.task.fit.tolist())


def test_scores_are_those_of_the_formulas(terms, compare):
    record = compare(terms, "k-means", whole=True)
    random, chosen = record["cells"]
    real = record["whole"]["score"]["mean"]

    def mean(cell, labels):
        return cell["scores"][labels]["mlp"]["mean"]

    fair = chosen["fair"]["soft"]
    assert fair["ior"] == pytest.approx(mean(chosen, "soft") - mean(random, "soft"))
    assert fair["hlr"] == pytest.approx(real - mean(chosen, "hard"))
    assert fair["alpha"] == pytest.approx(0.5 * fair["ior"] - 0.5 * fair["hlr"])
    assert random["fair"]["hard"]["ior"] == 0


def test_without_a_whole_set_or_random_members_scores_are_left_out():
    def cell(title, **means):
        return {"title": title, "scores": {k: {"mlp": {"mean": mean, "std": 0.0}} for k, mean in means.items()}}

    found = with_scores([cell("random", hard=0.8), cell("dm", hard=0.9, soft=0.95)], "mlp", None)
    assert found[1]["fair"] == {"hard": {"ior": pytest.approx(0.1), "hlr": None, "alpha": None, "lrs": None}}
    assert with_scores([cell("dm", hard=0.9)], "mlp", None)[0]["fair"] == {}


def test_an_entry_has_its_controls_beside_it_without_being_asked(terms, compare, trained):
    asked = f"{MATCH}:init=k-means"
    record = compare(terms, asked)
    titles = ["random", "dm:augment=flip:init=k-means:net=mlp", "start of dm:augment=flip:init=k-means:net=mlp"]
    assert [cell["title"] for cell in record["cells"]] == [*titles, "k-means"]
    matched, start = record["cells"][1:3]
    assert matched["controls"] == [titles[2], "k-means"] and matched["above_controls"].keys() == {titles[2], "k-means"}
    assert matched["above_controls"][titles[2]].keys() == {"hard"} and start["pace"] is None
    assert (matched["factor"], matched["tiles"], start["above_controls"]) == (1, 1, {})
    assert record["protocol"]["teacher_accuracy"] == 1
    trained.clear()
    assert compare(terms, asked) == record and not trained


def test_an_entry_that_cannot_be_had_has_no_controls(terms, compare, monkeypatch):
    monkeypatch.setitem(METHODS, "needy", Needy)
    record = compare(terms, "needy,k-means")
    assert [cell["title"] for cell in record["cells"]] == ["random", "k-means"]
    assert list(record["skipped"]) == ["needy"]


def test_later_calls_compute_only_what_is_new(terms, compare, trained, tmp_path):
    first = compare(terms, "random")
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    trained.clear()
    record = compare(terms, "k-means", whole=True)
    assert {name.split("/")[0] for name in trained} == {"k-means", "whole"}
    assert by_title(record)["random"]["scores"] == first["cells"][0]["scores"]
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    trained.clear()
    again = compare(terms, "random")
    assert not trained and again["cells"] == record["cells"] and again["whole"] == record["whole"]


@pytest.mark.parametrize("place", ["select_set", "synthesise", "evaluate"])
def test_a_call_that_is_stopped_goes_on_where_it_was(terms, compare, trained, tmp_path, monkeypatch, place):
    calls = []
    real = getattr(comparison, place)

    def stopped(*rest, **named):
        calls.append(rest)
        if len(calls) == {"select_set": 2, "synthesise": 1, "evaluate": 4}[place]:
            raise KeyboardInterrupt
        return real(*rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(comparison, place, stopped)
        with pytest.raises(KeyboardInterrupt):
            compare(terms, f"k-means,{MATCH}")
    before = {path: path.read_bytes() for path in tmp_path.rglob("pace.json")}
    before |= {path: path.read_bytes() for path in tmp_path.rglob("cells/*.json")}
    assert any(path.name == "pace.json" for path in before) and not any("probe" in line for line in trained)
    compare.said.clear()
    record = compare(terms, f"k-means,{MATCH}")
    assert len(record["cells"]) == 3 and not any("outer steps in" in line for line in compare.said), "timed once"
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(trained) == len(set(trained)) or place == "evaluate"


def test_what_cannot_be_had_is_skipped_before_anything_is_made(terms, tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "needy", Needy)
    order: list[str] = []
    for place in ("select_set", "synthesise"):
        real = getattr(comparison, place)
        counted = lambda *rest, real=real, **named: order.append("made") or real(*rest, **named)  # noqa: E731
        monkeypatch.setattr(comparison, place, counted)
    bare = replace(terms, problem=replace(terms.problem, teacher=None))
    session = Session(Run(tmp_path), quick=True, say=order.append)
    made = Comparison(bare, session, lambda *_: lambda *_: None)
    record = made.run(entries("cover,frepo,random:labels=soft,needy,random:balanced=no", {}), False)
    lines = [
        "cover does not read images",
        "frepo needs --teacher RUN_DIR",
        "random:labels=soft needs --teacher",
        "needy: needy needs --experts DIR",
    ]
    for line, said in zip(lines, order, strict=False):
        assert said.startswith(f"skipped: {line}")
    assert order[4] == "made" and list(record["skipped"]) == ["cover", "frepo", "random:labels=soft", "needy"]
    assert "soft" not in record["cells"][0]["scores"]


def test_a_time_that_no_step_fits_into_is_said_with_what_helps(terms, compare):
    compare(replace(terms, minutes=1e-6), MATCH)
    title = "dm:augment=flip:net=mlp"
    [line] = [line for line in compare.said if "and one step" in line]
    assert line.startswith(f"{title} needs ")
    assert line.endswith(f": give more --minutes, or fewer validations, as in {title}:validations=1")
    compare(replace(terms, minutes=1e-6), f"{MATCH}:validations=1")
    assert compare.said and [line for line in compare.said if "and one step" in line][-1].endswith(
        "give more --minutes"
    )


def test_nothing_left_to_compare_is_refused(terms, compare):
    with pytest.raises(UsageError, match="nothing is left to compare with random members: cover does not read images"):
        compare(terms, "cover")


def test_an_entry_that_fails_leaves_the_others_alone_and_is_tried_again(terms, compare, monkeypatch):
    def broken(*rest):
        raise DDCoreError("10 outer steps were not finite")

    with monkeypatch.context() as patch:
        patch.setattr(comparison, "synthesise", broken)
        record = compare(terms, f"{MATCH},k-means")
    assert record["failed"] == {"dm:augment=flip:net=mlp": "dm:augment=flip:net=mlp: 10 outer steps were not finite"}
    assert [cell["title"] for cell in record["cells"]] == ["random", "k-means"]
    assert len(compare(terms, MATCH)["cells"]) == 3


def digests(row):
    return [each["set"] for each in row["draws"]]


def test_entries_are_drawn_several_times_from_recorded_seeds_and_those_that_draw_nothing_once(
    terms, compare, trained, tmp_path
):
    alone = Session(Run(tmp_path / "once"), quick=True)
    once = by_title(Comparison(terms, alone, lambda *_: lambda *_: None).run(entries("k-means,herding", {}), False))
    three = replace(terms, draws=3)
    record = compare(three, f"k-means,herding,{MATCH}")
    rows = by_title(record)
    assert [len(row["draws"]) for row in record["cells"]] == [3, 3, 1, 3] and record["protocol"]["draws"] == 3
    for title, row in rows.items():
        seeds = [each["options"]["seed"] for each in row["draws"]]
        assert len(set(seeds)) == len(set(digests(row))) == len(seeds) and seeds[0] == 0
        assert title not in once or once[title]["set"] == digests(row)[0], "the first set is that of one draw"
        score = row["scores"]["hard"]["mlp"]
        assert score["n"] == len(row["draws"]) == len(score["values"])
    matched = rows["dm:augment=flip:net=mlp"]
    assert len({each["pace"]["steps"] for each in matched["draws"]}) == 1
    for random, each in zip(rows["random"]["draws"], matched["draws"], strict=True):
        cells = [tmp_path / "cells" / comparison.place_of(cell["title"], cell["draw"]) for cell in (random, each)]
        began = json.loads((cells[1] / "set" / "set.json").read_text())["provenance"]["began at"]
        assert load_tensors(cells[0] / "set" / "set.safetensors")[0]["indices"].tolist() == began
    trained.clear()
    assert by_title(compare(three, "random")) == rows and not trained


def test_an_entry_of_which_a_set_fails_has_no_row_until_it_is_whole(terms, compare, monkeypatch):
    real, calls = comparison.select_set, []

    def third_fails(*rest):
        calls.append(rest)
        if len(calls) == 5:
            raise DDCoreError("the disk is full")
        return real(*rest)

    three = replace(terms, draws=3)
    with monkeypatch.context() as patch:
        patch.setattr(comparison, "select_set", third_fails)
        record = compare(three, "k-means")
    assert record["failed"] == {"k-means": "k-means: the disk is full"} and list(by_title(record)) == ["random"]
    assert list(by_title(compare(three, "herding"))) == ["random", "herding"], "one of three sets is no row"
    assert len(by_title(compare(three, "k-means"))["k-means"]["draws"]) == 3


def test_a_row_above_random_exceeds_both_spreads_of_several_sets():
    def row(title, *values):
        sets = [{"mean": mean, "values": [mean - 0.002, mean + 0.002], "seconds": 1.0} for mean in values]
        return {"title": title, "scores": {"hard": {"mlp": joined(sets, [1000, 1001])}}}

    random = row("random", 0.79, 0.80, 0.81)
    near, far = row("near", 0.805, 0.815, 0.825), row("far", 0.815, 0.825, 0.835)
    one = row("one", 0.815)
    rows = with_scores([random, near, far, one], "mlp", None)
    assert [each["above_random"].get("hard") for each in rows] == [None, False, True, True]
    alike = [row(title, mean) for title, mean in (("random", 0.8), ("near", 0.805))]
    assert with_scores(alike, "mlp", None)[1]["above_random"] == {"hard": False}, "networks alone spread as far"


def test_other_options_of_a_cell_are_refused(terms, compare, tmp_path):
    compare(terms, "random")
    path = tmp_path / "cells" / "random" / "config.json"
    config = json.loads(path.read_text())
    config["options"]["options"]["proportions"] = "data"
    path.write_text(json.dumps(config))
    with pytest.raises(UsageError, match="holds a run with other options"):
        compare(terms, "random")


def test_a_budget_that_the_classes_cannot_share_is_refused(terms, compare):
    with pytest.raises(UsageError, match="--budget 5 cannot be shared evenly"):
        compare(replace(terms, problem=replace(terms.problem, budget=5)), "k-means")


def test_a_set_with_steps_of_its_own_is_also_trained_by_them(terms, compare):
    record = compare(terms, "rat-bptt:net=mlp:epochs=2:window-steps=1:labels=learned:init=noise")
    made = record["cells"][1]
    assert made["labels"] == "soft" and set(made["scores"]) == {"hard", "soft"}
    own = made["own_steps"]
    assert (own["net"], own["steps"], own["labels"], own["n"]) == ("mlp", 2, "soft", 1)
    assert record["cells"][0]["own_steps"] is None


def test_scores_are_measured_by_balanced_accuracy_where_classes_differ_much(terms, compare):
    task = terms.problem.task
    test = task.load_test()
    few = torch.cat([(test.y == 0).nonzero().flatten(), (test.y != 0).nonzero().flatten()[:5]])
    uneven = replace(task, load_test=lambda: test[few])
    record = compare(replace(terms, problem=replace(terms.problem, task=uneven)), "k-means")
    assert record["protocol"]["measure"] == "balanced_accuracy"
    score = record["cells"][1]["scores"]["hard"][terms.net]
    assert score["mean"] == score["balanced_accuracy"]["mean"] and list(score["recall"]) == list(task.classes)
    assert "log_loss" in score and "above_random" in record["cells"][1]


def test_a_row_above_random_differs_by_more_than_both_spreads():
    def cell(title: str, mean: float) -> dict:
        return {"title": title, "scores": {"hard": {"mlp": {"mean": mean, "std": 0.01, "n": 3}}}}

    random, near, far = with_scores([cell("random", 0.8), cell("near", 0.82), cell("far", 0.821)], "mlp", None)
    assert (random["above_random"], near["above_random"], far["above_random"]) == ({}, {"hard": False}, {"hard": True})


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("random/result.json", {"title": 3}, "'title' is not a text"),
        ("random/result.json", [], "its content is not an object"),
        ("k-means/result.json", {"title": "k-means"}, "'way' is missing"),
    ],
)
def test_a_damaged_cell_is_one_line(terms, compare, tmp_path, file, content, said):
    compare(terms, "k-means")
    (tmp_path / "cells" / file).write_text(json.dumps(content))
    with pytest.raises(DDCoreError, match=f"result.json is damaged: {said}"):
        compare(terms, "random")


def test_word_vectors_are_compared_on_networks_that_hold_them(review_task, tmp_path, compare):
    network = build_net("bag", review_task, 0)
    save_tensors(tmp_path / "bag" / "weights-0.safetensors", dict(network.state_dict()))
    write_json(tmp_path / "bag" / "config.json", {"options": {"net": "bag", "part": "fit", "dataset": "imdb"}})
    title = f"dm:embedding={tmp_path / 'bag'}:places=8:validation-networks=1:validation-steps=2:validations=1"
    asked = Problem(review_task, 4, review_task.fit)
    with pytest.raises(UsageError, match="network 'linear' does not read: compare with --net bag"):
        compare(Terms(asked, 0.0001, "linear", (), 1, 4.0, "cpu", True), title)
    record = compare(Terms(asked, 0.0001, "attention", ("cnn", "linear"), 1, 4.0, "cpu", True), title)
    random, dm = record["cells"]
    assert set(random["scores"]["hard"]) == {"attention", "cnn", "linear"}
    assert set(dm["scores"]["hard"]) == {"attention", "cnn"} and not record["failed"]
