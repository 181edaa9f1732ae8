"""What a report says of sets that bring their own steps."""

import json
from pathlib import Path

import pytest

from ddcore.report import make_report

MOMENTS = {"n": 2, "values": [0.0, 0.0]}


def scored(root: Path, name: str, members: int, accuracy: float, net: str = "convnet", **more) -> None:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"stage": "evaluate", "options": {}, "command": "scripts/x.py"}))
    protocol = {
        "dataset": "mnist",
        "set": {"method": "boost-dd", "members": members},
        "recipes": {},
        "seeds": [0, 1],
        "train_members": members,
        "test_members": 10_000,
        "tested_on": "test",
        **more.pop("protocol", {}),
    }
    spread = {name: {"mean": mean, "std": std, **MOMENTS} for name, (mean, std) in more.items()}
    score = {"net": net, "accuracy": {"mean": accuracy, "std": 0.01, **MOMENTS}, "seconds": 1.0, **spread}
    (folder / "scores.json").write_text(json.dumps({"protocol": protocol, "nets": {net: score}}))


def schedule(start: str) -> dict:
    return {"net": "convnet", "steps": 10, "start": start, "rule": {"optimiser": "sgd", "momentum": 0.9}}


@pytest.fixture
def written(tmp_path):
    def write() -> str:
        make_report([tmp_path / "runs"], tmp_path / "report")
        return (tmp_path / "report" / "report.md").read_text()

    return write


def test_networks_that_were_trained_before(tmp_path, written):
    scored(tmp_path / "runs", "adapted", 100, 0.91, before=(0.336, 0.07), protocol={"schedule": schedule("given")})
    scored(
        tmp_path / "runs",
        "poisoned",
        10,
        0.9,
        before=(0.98, 0.01),
        turned_before=(0.0, 0.0),
        turned=(0.8, 0.1),
        others_lose=(0.02, 0.01),
        protocol={"schedule": schedule("given") | {"seen": 0}},
    )
    scored(
        tmp_path / "runs", "leaky", 10, 0.9, before=(0.98, 0.01), protocol={"schedule": schedule("given") | {"seen": 1}}
    )
    text = written()
    assert "| runs/adapted, convnet | 2 | 33.60 ± 7.00 |" in text
    assert "| runs/poisoned, convnet | 2, none seen | 98.00" in text and "| runs/leaky, convnet | 2, 1 seen |" in text
    assert "| 80.00 ± 10.00 | 2.00 ± 1.00 |" in text
    assert "10 steps of sgd (momentum 0.9) on convnet from networks trained before" in text
    assert "(rows with a before and after: networks trained before), tested on" in text


def set_of(method: str, path: str, members: int, prefix: int | None = None) -> dict:
    return {"set": {"method": method, "members": members, "path": f"/x/{path}"}, "prefix": prefix}


def test_prefixes_beside_sets_of_those_sizes(tmp_path, written):
    runs = tmp_path / "runs"
    for members in (10, 20):
        cut = set_of("boost-dd", "boost", members, members)
        scored(runs, f"cut-{members}", members, 0.7 + members / 200, protocol=cut)
        for method in ("rat-bptt", "random"):
            made = set_of(method, f"{method}-{members}", members)
            scored(runs, f"{method}-{members}", members, {"rat-bptt": 0.8, "random": 0.6}[method], protocol=made)
    scored(runs, "whole", 50, 0.9, protocol=set_of("boost-dd", "boost", 50))
    scored(runs, "other-size", 30, 0.5, protocol=set_of("rat-bptt", "rat-30", 30))
    text = written()
    assert "## Prefixes of ordered sets" in text
    told = text.split("Accuracy by prefix. ")[1].splitlines()[0]
    line = "MNIST, prefixes of boost, convnet"
    assert f"{line}, 10: 75.00 %; {line}, 20: 80.00 %; {line}, 50: 90.00 %" in told
    assert "MNIST, rat-bptt at that size, convnet, 20: 80.00 %" in told and "random at that size, convnet, 10" in told
    assert "30: 50.00 %" not in told
    assert "the first of an ordered set" in text


def test_each_ordered_set_and_network_has_a_line_of_its_own(tmp_path, written):
    for name, net, accuracy in (("a", "convnet", 0.7), ("b", "convnet", 0.5), ("a", "lenet", 0.4)):
        for members in (10, 20):
            scored(
                tmp_path / "runs",
                f"{name}-{net}-{members}",
                members,
                accuracy,
                net=net,
                protocol=set_of("boost-dd", name, members, members),
            )
    told = written()
    for line in (
        "prefixes of a, convnet, 10: 70.00 %",
        "prefixes of b, convnet, 20: 50.00 %",
        "of a, lenet, 20: 40",
    ):
        assert line in told


def test_one_prefix_alone_draws_nothing(tmp_path, written):
    scored(tmp_path / "runs", "cut", 10, 0.7, protocol=set_of("boost-dd", "boost", 10, 10))
    assert "Prefixes of ordered sets" not in written()


def test_networks_with_and_without_the_sets_own_steps_are_told_apart(tmp_path, written):
    own = {**schedule("known"), "nets": ["convnet"], "poison": [0, 1], "weights": None}
    scored(tmp_path / "runs", "both", 10, 0.7, protocol={"schedule": own, "recipes": {"lenet": {"lr": 0.02}}})
    text = written()
    assert "10 steps of sgd (momentum 0.9) on convnet from the set's own weights, to take class 0 for class 1." in text
    assert "Protocol own: lenet: lr 0.02." in text and "Freshly initialised networks, tested on the real" in text


def test_gradients_under_several_windows(tmp_path, written):
    scored(tmp_path / "runs", "scores", 10, 0.7)
    assert "three windows" not in written()
    for name, norm in (("random", 2.0), ("full", 6.0)):
        folder = tmp_path / "runs" / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"stage": "distill", "options": {}, "command": "scripts/x.py"}))
        lines = [{"step": k, "gradient_norm": norm + k % 2, "correlation": 0.25} for k in range(4)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = written()
    assert "## The meta-gradient under three windows" in text
    assert "runs/full: norm 6.5 ± 0.5, cosine 0.25" in text


def test_a_small_set_is_not_called_the_whole_one(tmp_path, written):
    scored(tmp_path / "runs", "small", 100, 0.9)
    written()
    assert "whole set" not in (tmp_path / "report" / "figures" / "accuracy.svg").read_text()
