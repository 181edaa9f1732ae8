import subprocess
import sys
from pathlib import Path

import launch
import pytest

LAUNCH = Path(__file__).parents[2] / "scripts" / "launch.py"


def test_one_process_is_the_program_itself(tmp_path):
    program = tmp_path / "say.py"
    program.write_text("import os, sys; print(os.environ['ACCELERATE_USE_CPU'], sys.argv[1:]); sys.exit(75)")
    words = [sys.executable, str(LAUNCH), "--cpu", str(program), "--processes", "9"]
    said = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert (said.returncode, said.stdout) == (75, "true ['--processes', '9']\n"), said.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["nowhere.py"], "no program nowhere.py"),
        (["--machines", "2", "x.py"], "need --main HOST:PORT"),
        (["--machines", "2", "--processes", "3", "--main", "a:1", "x.py"], "3 processes cannot be shared evenly"),
    ],
)
def test_what_cannot_be_started_is_one_line(words, line, capsys):
    assert launch.main(["--cpu", *words]) == 2
    told = capsys.readouterr().err
    assert line in told and told.count("\n") == 1
