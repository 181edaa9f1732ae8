"""A stranger's JSON file of any kind is read or refused in one line: no other exception, nothing written elsewhere."""

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
    return home


def evaluated(folder: Path) -> None:
    """Read a set and build all that an evaluation needs, short of the training itself."""
    task = load_task("digits").cut(100, 50)
    sets = load_sets(folder, "digits")
    evaluation_of(Evaluation(), sets, task, 0, folder)
    for each in sets:
        each.inputs(), each.targets()


# A folder's kind: where it lies, its JSON file, and what reads it.
READERS = {
    "set": ("set", "set.json", evaluated),
    "set with a schedule": ("unrolled", "set.json", evaluated),
    "experts": ("experts", "experts.json", lambda folder: open_experts(folder, "convnet", load_task("digits"))),
    "generator": ("generator", "generator.json", lambda folder: load_generator(folder, load_task("digits"))),
    "run": ("teacher", "config.json", lambda folder: Run.start(folder, "baseline", {"net": "convnet"})),
    "embedding": ("teacher", "config.json", lambda folder: load_embedding(folder, load_task("digits"))),
    "scores": ("scored", "scores.json", lambda folder: make_report([folder], folder.parent / "report")),
    "result": ("scored", "result.json", lambda folder: make_report([folder], folder.parent / "report")),
    "environment": ("scored", "environment.json", lambda folder: make_report([folder], folder.parent / "report")),
    "config": ("scored", "config.json", lambda folder: make_report([folder], folder.parent / "report")),
}


@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_record_is_read_or_refused_in_one_line(runs, tmp_path, kind):
    folder, name, read = READERS[kind]
    home = shutil.copytree(runs / folder, tmp_path / "inner" / folder)
    path, before = home / name, sorted(tmp_path.iterdir())
    outcomes = []
    for number, content in enumerate(fuzz.json_cases(path, seed=len(kind))):
        path.write_bytes(content)
        try:
            outcomes.append(fuzz.read_or_refused(lambda: read(home)))
        except Exception as fault:
            raise AssertionError(f"case {number} of {kind} is a fault: {content[:2000]!r}") from fault
        assert sorted(tmp_path.iterdir()) == before, f"case {number} of {kind} wrote something: {content[:2000]!r}"
    assert len(set(outcomes)) > 3  # some are read, and the others are told apart
