"""What a report says of sets that bring their own steps."""

import json
from pathlib import Path

import pytest

from ddcore.report import make_report

MOMENTS = {"n": 2, "values": [0.0, 0.0]}


def scored(root: Path, name: str, members: int, accuracy: float, **more) -> None:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"stage": "evaluate", "options": {}, "command": "scripts/x.py"}))
    protocol = {
        "dataset": "mnist", "set": {"method": "boost-dd", "members": members}, "recipes": {}, "seeds": [0, 1],
        "train_members": members, "test_members": 10_000, "tested_on": "test", **more.pop("protocol", {}),
    }  # fmt: skip
    spread = {name: {"mean": mean, "std": std, **MOMENTS} for name, (mean, std) in more.items()}
    score = {"net": "convnet", "accuracy": {"mean": accuracy, "std": 0.01, **MOMENTS}, "seconds": 1.0, **spread}
    (folder / "scores.json").write_text(json.dumps({"protocol": protocol, "nets": {"convnet": score}}))


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
    scored(tmp_path / "runs", "poisoned", 10, 0.9, before=(0.98, 0.01), turned_before=(0.0, 0.0), turned=(0.8, 0.1),
           others_lose=(0.02, 0.01), protocol={"schedule": schedule("given")})  # fmt: skip
    text = written()
    assert "| runs/adapted, convnet | 2 | 33.60 ± 7.00 |" in text
    assert "| 98.00 ± 1.00 |" in text and "| 80.00 ± 10.00 | 2.00 ± 1.00 |" in text
    assert "10 steps of sgd (momentum 0.9) on convnet from networks trained before" in text


def test_prefixes_beside_sets_of_those_sizes(tmp_path, written):
    for members in (10, 20):
        scored(tmp_path / "runs", f"cut-{members}", members, 0.7 + members / 200, protocol={"prefix": members})
        scored(tmp_path / "runs", f"direct-{members}", members, 0.8, protocol={"prefix": None})
    text = written()
    assert "## Prefixes of ordered sets" in text
    assert "mnist, prefixes, 10: 75.00 %" in text and "mnist, made at that size, 20: 80.00 %" in text


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
