"""scripts/setup.sh, with stand-ins for Python that write down how they are called."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
SHELL_FILES = (
    "run_all.sh",
    ".ci/run",
    "docker/slurm.sbatch",
    *(
        str(path.relative_to(REPO))
        for folder in ("docker", "scripts", "tests")
        for path in sorted((REPO / folder).glob("*.sh"))
    ),
)

# Is ddcore installed? No. Otherwise: note the words, and make a venv with a copy of itself.
STAND_IN = """#!/usr/bin/env bash
if [[ $1 == - ]]; then exit 1; fi
echo "$*" >>"$CALLS"
if [[ "$*" == *"$FAIL_ON"* && -n $FAIL_ON ]]; then exit 1; fi
if [[ "$1 $2" == "-m venv" ]]; then mkdir -p "$4/bin" && cp "$0" "$4/bin/python"; fi
"""


@pytest.fixture
def set_up(tmp_path):
    repo, path, calls = tmp_path / "repo", tmp_path / "path", tmp_path / "calls"
    for folder in (repo / "scripts", repo / "docker", path):
        folder.mkdir(parents=True)
    shutil.copy(REPO / "scripts" / "setup.sh", repo / "scripts")
    (repo / "setup.py").write_text("1")
    (repo / "docker" / "constraints.txt").write_text("torch==2\n")
    for name in ("python3", "python3.11"):
        (path / name).write_text(STAND_IN)
        (path / name).chmod(0o755)

    def run(extra: str, fail_on: str = "") -> tuple[int, list[str]]:
        calls.write_text("")
        environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "CALLS": str(calls), "FAIL_ON": fail_on}
        words = f"set -eu; source '{repo}/scripts/setup.sh'; set_up {extra}; echo \"python $python\""
        done = subprocess.run(["bash", "-c", words], env=environment, capture_output=True, text=True)
        installed = [line for line in calls.read_text().splitlines() if "pip install" in line]
        assert done.returncode or done.stdout.endswith(f"python {repo}/.venv/bin/python\n")
        return done.returncode, installed

    run.repo = repo
    return run


def test_a_second_run_installs_nothing(set_up):
    code, installed = set_up("job")
    assert code == 0 and len(installed) == 2
    assert all("-c" in line and "docker/constraints.txt" in line for line in installed)
    assert installed[1].endswith(f"-e {set_up.repo}")
    assert set_up("job") == (0, [])


def test_tests_add_their_tools_and_the_job_then_needs_nothing_more(set_up):
    set_up("job")
    code, installed = set_up("dev")
    assert code == 0 and installed[1].endswith("[dev,notebook]")
    assert set_up("dev") == (0, []) and set_up("job") == (0, [])


def test_other_versions_are_installed(set_up):
    set_up("job")
    (set_up.repo / "docker" / "constraints.txt").write_text("torch==3\n")
    assert len(set_up("job")[1]) == 2


def test_a_failed_installation_is_tried_again(set_up):
    assert set_up("job", "no-build-isolation")[0] != 0
    code, installed = set_up("job")
    assert code == 0 and len(installed) == 2


@pytest.mark.parametrize("name", SHELL_FILES)
def test_shell_files_can_be_run(name):
    subprocess.run(["bash", "-n", REPO / name], check=True)
    assert os.access(REPO / name, os.X_OK) or name == "scripts/setup.sh"
