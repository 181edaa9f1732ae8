import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "first_gpu.sh"
# A Python that passes whatever it is asked but one part.
FAKE = """#!/bin/sh
case "$*" in
    *tests/kernels*) echo "a kernel is wrong"; exit 3 ;;
    *"import datasets"*) exit 1 ;;
    *" - "*) exec {python} "$@" ;;
    "- "*) exec {python} "$@" ;;
esac
echo "ran $*"
"""


def run(*words, **environment):
    return subprocess.run(
        ["bash", str(SCRIPT), *words], capture_output=True, text=True, env={**os.environ, **environment}, timeout=60
    )


@pytest.fixture
def python(tmp_path):
    path = tmp_path / "python"
    path.write_text(FAKE.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


def test_the_parts_are_listed_without_a_gpu(tmp_path):
    listed = run("--dry-run", "--out", str(tmp_path / "gpu"))
    assert listed.returncode == 0 and not (tmp_path / "gpu").exists()
    parts = [line.split(":")[0] for line in listed.stdout.splitlines()]
    assert parts[:5] == ["look", "kernels", "sanitizer", "steps", "methods"] and parts[-1] == "job"


@pytest.mark.parametrize(("words", "line"), [(["--nlimit"], "unknown option"), (["--limit", "soon"], "not a number")])
def test_a_wrong_call_is_one_line(words, line):
    refused = run(*words)
    assert refused.returncode == 2 and line in refused.stderr and len(refused.stderr.splitlines()) == 1


def test_it_goes_on_after_a_failure_and_where_it_stopped(tmp_path, python):
    out = tmp_path / "gpu"
    words = ["--out", str(out), "--only", "kernels steps job"]
    first = run(*words, PYTHON=python)
    assert first.returncode == 1 and first.stderr == "failed: kernels\n"
    assert "kernels: failed (exit 3)" in first.stdout and "steps: passed in" in first.stdout
    assert "job: left out, because the package datasets is missing" in first.stdout
    assert "a kernel is wrong" in (out / "index.html").read_text()
    second = run(*words, PYTHON=python)
    assert "steps: passed before" in second.stdout and "kernels: failed" in second.stdout
