"""The image's entry point, with a stand-in for Python that says what it was called with."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
STAND_IN = """#!/usr/bin/env bash
printf '%s\\n' "$@"
echo "cache: ${PYTEST_ADDOPTS:-}"
exit 75
"""
KNOWN = ("distill", "select", "evaluate", "report", "compare", "train", "experts", "generator")


@pytest.fixture
def enter(tmp_path):
    """Call the entry point of a copy of the code; returns its code, the lines it prints, and its complaint."""
    path, code = tmp_path / "path", tmp_path / "code"
    for folder in (path, code / "docker", code / "tests"):
        folder.mkdir(parents=True)
    shutil.copy(REPO / "docker" / "entrypoint.sh", code / "docker")
    for stand_in in (path / "python3", code / "tests" / "run.sh"):
        stand_in.write_text(STAND_IN)
        stand_in.chmod(0o755)

    def call(*words: str, runs: Path = tmp_path / "runs") -> tuple[int, list[str], str]:
        environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "DDCORE_RUNS": str(runs)}
        done = subprocess.run(
            [code / "docker" / "entrypoint.sh", *words], env=environment, capture_output=True, text=True
        )
        return done.returncode, done.stdout.replace(f"{tmp_path}/", "").splitlines(), done.stderr

    return call


@pytest.mark.parametrize("words", [[], ["--quick", "--only", "digits"], ["run_all", "--quick"]])
def test_without_a_word_the_whole_job_runs(enter, words):
    code, called, _ = enter(*words)
    options = [word for word in words if word != "run_all"]
    assert called[:-1] == ["code/scripts/run_job.py", "--out", "runs/job", *options]
    assert code == 75  # the program's


@pytest.mark.parametrize("word", KNOWN)
def test_a_word_is_a_program_that_gets_its_options_unchanged(enter, word):
    options = ["--out", "a folder", "", "*", "--set=x"]
    code, called, _ = enter(word, *options)
    assert called[1:-1] == options and code == 75
    assert (REPO / called[0].removeprefix("code/")).is_file()
    assert enter("launch", word, *options)[1][:-1] == ["code/scripts/launch.py", called[0], *options]


def test_options_before_the_launched_word_are_those_of_the_launch(enter):
    called = enter("launch", "--multi_gpu", "--num_machines=2", "train", "--quick")[1]
    assert called[1:4] == ["--multi_gpu", "--num_machines=2", "code/scripts/train_baseline.py"]


def test_the_tests_keep_their_cache_out_of_the_code(enter):
    code, called, _ = enter("test", "-k", "two words")
    assert called[:-1] == ["-k", "two words"] and code == 75
    assert called[-1].endswith("-o cache_dir=runs/cache/pytest")


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_a_shell_runs_what_it_is_given(enter, shell):
    assert enter(shell, "-c", 'echo "$0-$1"; exit 3', "a b", "c") == (3, ["a b-c"], "")


@pytest.mark.parametrize("words", [["distil"], ["launch"], ["launch", "run_all"], ["launch", "--multi_gpu"], [""]])
def test_an_unknown_word_is_one_line(enter, words):
    code, called, complaint = enter(*words)
    assert (code, called) == (2, []) and complaint.count("\n") == 1 and "known are distill, select" in complaint


def test_a_folder_that_cannot_be_written_is_one_line(enter, tmp_path):
    (tmp_path / "file").write_text("")
    code, called, complaint = enter("--quick", runs=tmp_path / "file" / "runs")
    assert (code, called) == (1, []) and complaint.count("\n") == 1
    assert f"user {os.getuid()} cannot write {tmp_path}/file/runs" in complaint
    assert enter("bash", "-c", "echo in", runs=tmp_path / "file" / "runs")[1] == ["in"]
