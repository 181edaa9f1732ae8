"""Programs in odd environments: they work, or end in one line with a code that is not zero."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
SELECT = ["select_subset.py", "random", "--dataset", "digits", "--quick", "--budget", "20"]
WORKS = {
    "no home": {"HOME": None},
    "a home that is not there": {"HOME": "{tmp_path}/nowhere"},
    "no locale": {"LC_ALL": "C", "PYTHONUTF8": "0"},
    "a locale that is not UTF-8": {"LC_ALL": "de_DE.ISO-8859-1", "PYTHONUTF8": "0"},
    "no threads": {"OMP_NUM_THREADS": None},
    "a rank that is left over": {"RANK": "1"},
}
REFUSED = {
    "an empty WORLD_SIZE": ({"WORLD_SIZE": ""}, "WORLD_SIZE=''.*unset WORLD_SIZE"),
    "LOCAL_WORLD_SIZE of 0": ({"LOCAL_WORLD_SIZE": "0", "WORLD_SIZE": "2"}, "LOCAL_WORLD_SIZE"),
    "DeepSpeed": ({"ACCELERATE_USE_DEEPSPEED": "true"}, "DEEPSPEED|DeepSpeed"),
    "half precision": ({"ACCELERATE_MIXED_PRECISION": "fp16"}, "fp16"),
}


def run(words: list[str], out: Path, changed: dict[str, str | None]) -> subprocess.CompletedProcess:
    environment = {**os.environ, **changed}
    environment = {name: value for name, value in environment.items() if value is not None}
    command = [sys.executable, str(SCRIPTS / words[0]), *words[1:], "--out", str(out)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.hostile
@pytest.mark.parametrize("name", WORKS)
def test_it_works_all_the_same(tmp_path, name):
    changed = {key: value and value.format(tmp_path=tmp_path) for key, value in WORKS[name].items()}
    ended = run(SELECT, tmp_path / "out", changed)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out" / "done").exists() and "Traceback" not in ended.stderr


@pytest.mark.hostile
@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_one_line(tmp_path, name):
    changed, said = REFUSED[name]
    ended = run(SELECT, tmp_path / "out", changed)
    assert ended.returncode != 0 and re.search(said, ended.stderr)
    assert ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1


@pytest.mark.hostile
def test_a_reader_that_goes_away_ends_no_work(tmp_path):
    words = " ".join([sys.executable, str(SCRIPTS / SELECT[0]), *SELECT[1:], "--out", str(tmp_path / "out")])
    ended = subprocess.run(["bash", "-c", f"{words} | true; exit ${{PIPESTATUS[0]}}"], capture_output=True, timeout=300)
    assert ended.returncode == 0 and (tmp_path / "out" / "done").exists()
    full = subprocess.run(["bash", "-c", f"{words}2 > /dev/full 2>&1"], timeout=300)
    assert full.returncode == 0 and (tmp_path / "out2" / "done").exists()
