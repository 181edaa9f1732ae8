"""Other people's packages, each in an environment of its own, because they want other versions than ddcore."""

import json
import os
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from ddcore.data import load_task
from ddcore.data.task import Task

HERE = Path(__file__).parent
LONGEST = 1500
"""Seconds for an installation or a program."""


@pytest.fixture
def answer(tmp_path) -> Callable[[str, str, Path], dict]:
    """Run a program of this folder where a package is installed; return what it prints in its last line.

    What the package needs and this environment has in a fitting version, it takes from here: the rest of some 3 GB.
    """

    def run(package: str, program: str, home: Path) -> dict:
        venv.create(tmp_path / "environment", system_site_packages=True, with_pip=True)
        python = tmp_path / "environment" / "bin" / "python"
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        install = [python, "-m", "pip", "install", "--quiet", package]
        for command in (install, [python, HERE / program, home]):
            done = subprocess.run(command, cwd=home, env=clean, capture_output=True, text=True, timeout=LONGEST)
            assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.fixture
def cifar() -> Task:
    """200 + 200 real images of CIFAR-10."""
    folder = Path(os.environ.get("DDCORE_DATA", "data"))
    if not (folder / "cifar10").is_dir():
        pytest.skip("real data not found: set DDCORE_DATA")
    return load_task("cifar10", folder).cut(200, 200)
