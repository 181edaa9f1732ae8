"""Stand-ins for the stages' programs, so that a whole job takes a second."""

import sys
from pathlib import Path

import pytest

from ddcore.job import plan, runner
from ddcore.job.table import DatasetPlan, Line, Output, Result, Seeds, Size, Stage

PROGRAM = """
import json, os, sys, time
from pathlib import Path
name, words = Path(sys.argv[0]).stem, sys.argv[1:]
option = lambda flag, other=None: words[words.index(flag) + 1] if flag in words else other
if name == "make_report":
    out = Path(option("--out")); out.mkdir(exist_ok=True); (out / "report.html").write_text("page")
    sys.exit(0)
if name == "fetch_data":
    if option("--dataset") in os.environ.get("NO_DATA", "").split():
        sys.exit("error: nothing is there and nothing can be downloaded")
    sys.exit(0)
out = Path(option("--out"))
if os.environ.get("FAIL") == out.name:
    print("error: the loss is nan", file=sys.stderr); sys.exit(1)
if os.environ.get("SLOW") == out.name:
    print("slow", file=sys.stderr, flush=True); time.sleep(30)
for folder in [out / f"seed-{k}" for k in range(int(option("--seeds", 1)))] if name == "select_subset" and int(option("--seeds", 1)) > 1 else [out]:
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "calls", "a") as file: file.write("x")
    (folder / "result.json").write_text(json.dumps({"seconds": 1.0, "peak_memory_bytes": 10}))
    (folder / "environment.json").write_text(json.dumps({"started": "2026-11-26"}))
    (folder / "done").write_text("")
value = 0.91 if "baseline" in out.name else 0.905
score = {"mean": value, "std": 0.0, "n": 1, "values": [value]}
protocol = {"dataset": option("--dataset"), "set": {"members": 10}, "train_members": 10, "test_members": 10, "seeds": [0]}
(out / "scores.json").write_text(json.dumps({"protocol": protocol, "nets": {"default": {"net": "n", "accuracy": score, "seconds": 1.0}}}))
"""  # noqa: E501

TOY = DatasetPlan(
    dataset="imdb",
    title="Toy",
    members=(40, 20, 4),
    quick=(20, 10, 2),
    stages=(
        Stage("baseline", "train_baseline", {"seeds": Seeds.FEW}, 1),
        Stage("half", "select_subset", {"selector": "random", "budget": Size.HALF, "seeds": Seeds.DRAWS}, 1, 10),
        Stage("half-hard", "evaluate", {"set": Output("half")}, 1),
    ),
    results=(
        Result("toy, all", (Line("", "baseline", over=0.9),)),
        Result("toy, half", (Line("", "half-hard", loses_under=0.01), Line("by chance", "chance"))),
    ),
    comparisons=(Stage("chance", "evaluate", {"set": Output("half"), "seeds": Seeds.MANY}, 1),),
)


@pytest.fixture(autouse=True)
def reference_machine(monkeypatch):
    """Estimates are those of the machine that the minutes were measured on; nothing is timed."""
    monkeypatch.setattr(plan, "slowness", lambda: 1.0)


@pytest.fixture
def toy_plan() -> DatasetPlan:
    return TOY


@pytest.fixture
def programs(tmp_path: Path, monkeypatch) -> Path:
    """A folder of stand-ins that are started without accelerate. NO_DATA, FAIL and SLOW make them misbehave."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    for name in ("train_baseline", "select_subset", "distill", "evaluate", "fetch_data", "make_report"):
        (folder / f"{name}.py").write_text(PROGRAM)

    def plain(script, arguments, *, gpus, threads):
        return [sys.executable, str(script), *arguments]

    monkeypatch.setattr(runner, "launch_command", plain)
    return folder
