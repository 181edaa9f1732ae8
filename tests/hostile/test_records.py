"""A stranger's JSON file of any kind is read or refused in one line: no other exception, nothing written elsewhere."""

import json
import shutil
from pathlib import Path

import distill
import evaluate
import fuzz
import pytest
import select_subset
import train_baseline
import train_experts

from ddcore import load_task
from ddcore.nets import build_generator, load_generator, save_generator
from ddcore.report import make_report
from ddcore.report.make_report import collect
from ddcore.runtime import Run
from ddcore.sets import load_sets
from ddcore.training import Evaluation, evaluation_of, load_embedding, open_experts

DIGITS = ["--dataset", "digits", "--quick"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Run folders of every kind on digits at toy size."""
    home = tmp_path_factory.mktemp("runs")

    def ran(program, folder: str, *words: str) -> None:
        assert program.main([*words, *DIGITS, "--out", str(home / folder)]) == 0

    ran(train_baseline, "teacher", "--part", "fit", "--net", "lenet")
    ran(select_subset, "set", "random", "--budget", "20", "--labels", "soft", "--teacher", str(home / "teacher"))
    ran(distill, "unrolled", "dd", "--budget", "10", "--steps", "1", "--validations", "1")
    ran(evaluate, "scored", "--nets", "lenet", "--set", str(home / "set"))
    ran(train_experts, "experts", "--experts", "1")
    task = load_task("digits")
    save_generator(build_generator(task, 4, 4, 0), task, home / "generator")
    make_report([home / "scored"], home / "report")
    shutil.copytree(home / "scored", home / "job" / "digits" / "scored")
    stage = {"name": "scored", "dataset": "digits", "folder": "digits/scored", "command": ["evaluate.py"]}
    more = {"status": "done", "seconds": 1.5, "peak_memory_bytes": 10**9, "gpu_utilisation": None, "error": ""}
    row = {
        "label": "",
        "scores": "digits/scored/scores.json",
        "net": "lenet",
        "bar": {"kind": "at_least", "value": 0.5},
    }
    result = {"name": "Digits", "dataset": "digits", "goal": "over 50 %", "aim": "", "rows": [row], **row}
    job = {"profile": "cpu", "seed": 0, "seconds": 3.0, "stages": [{**stage, **more}], "results": [result]}
    (home / "job" / "job.json").write_text(json.dumps(job), encoding="utf-8")
    return home


def evaluated(folder: Path) -> str:
    """Read a set and build all that an evaluation needs, short of the training itself."""
    task = load_task("digits").cut(100, 50)
    sets = load_sets(folder)
    evaluation = evaluation_of(Evaluation(), sets, task, 0, folder)
    for each in sets:
        assert each.inputs().isfinite().all() and each.targets().isfinite().all()
    return f"read {evaluation.nets}"


def reported(folder: Path) -> str:
    """Read a run folder for a report, and return what the report complains about."""
    return f"read {collect([folder], folder.parent / 'report')['problems']}"


# A folder's kind: where it lies, its JSON file, and what reads it.
READERS = {
    "set": ("set", "set.json", evaluated),
    "set with a schedule": ("unrolled", "set.json", evaluated),
    "experts": ("experts", "experts.json", lambda folder: open_experts(folder, "convnet", load_task("digits"))),
    "generator": ("generator", "generator.json", lambda folder: load_generator(folder, load_task("digits"))),
    "run": ("teacher", "config.json", lambda folder: Run.start(folder, "baseline", {"net": "convnet"})),
    "embedding": ("teacher", "config.json", lambda folder: load_embedding(folder, load_task("digits"))),
    "job": ("job", "job.json", reported),
    "records": ("report", "records.json", reported),
    "scores": ("scored", "scores.json", reported),
    "result": ("scored", "result.json", reported),
    "environment": ("scored", "environment.json", reported),
    "config": ("scored", "config.json", reported),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_record_is_read_or_refused_in_one_line(runs, tmp_path, kind):
    folder, name, read = READERS[kind]
    home = Path(shutil.copytree(runs / folder, tmp_path / "inner" / folder))
    path = home / name
    whole, before = path.read_bytes(), files(tmp_path, home)
    if name == "set.json":  # a stranger's program may write no digest of the record, and none can be wrong
        whole = fuzz.written({key: value for key, value in json.loads(whole).items() if key != "record_sha256"})
    outcomes = set()
    for number, content in enumerate(fuzz.json_cases(whole, seed=len(kind))):
        path.write_bytes(content)
        try:
            outcomes.add(fuzz.read_or_refused(lambda: read(home)))
        except Exception as fault:
            raise AssertionError(f"case {number} of {kind} is a fault: {content[:2000]!r}") from fault
        assert files(tmp_path, home) == before, f"case {number} of {kind} wrote something: {content[:2000]!r}"
    assert len(outcomes) > 3  # the cases are told apart


@pytest.mark.hostile
@pytest.mark.parametrize("name", ["scores.json", "result.json", "environment.json", "config.json", "metrics.jsonl"])
def test_a_report_over_a_damaged_record_is_written_or_refused_in_one_line(runs, tmp_path, name):
    home = Path(shutil.copytree(runs / "scored", tmp_path / "scored"))
    whole = (runs / "teacher" / name).read_bytes() if name == "metrics.jsonl" else (home / name).read_bytes()
    cases = list(fuzz.json_cases(whole.splitlines()[0] if name == "metrics.jsonl" else whole, seed=len(name)))
    for number, content in enumerate(cases[:: max(1, len(cases) // 15)]):
        (home / name).write_bytes(content)
        try:
            fuzz.read_or_refused(lambda: make_report([home], tmp_path / "report"))
        except Exception as fault:
            raise AssertionError(f"case {number} of {name} is a fault: {content[:2000]!r}") from fault


def files(folder: Path, apart: Path) -> list[Path]:
    """Return every file in a folder but those in a run folder, which a run may write."""
    return sorted(path for path in folder.rglob("*") if not path.is_relative_to(apart))
