"""Two real processes, and what one gives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from toys import IMAGE_METHODS, SHARED_SELECTORS, prepared

PROGRAM = Path(__file__).parent / "toys" / "distil_all.py"
ONE = [sys.executable]
SCRIPTS = Path(__file__).parents[1] / "scripts"
TWO = [
    sys.executable,
    "-m",
    "accelerate.commands.launch",
    "--quiet",
    "--multi_gpu",
    "--main_process_port",
    "0",
    "--num_processes",
    "2",
    "--num_machines",
    "1",
    "--mixed_precision",
    "no",
    "--dynamo_backend",
    "no",
    "--num_cpu_threads_per_process",
    "1",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folders of the sets that one process made, and two."""
    folder = tmp_path_factory.mktemp("processes")
    prepared(folder / "given")
    environment = {
        **os.environ,
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{SCRIPTS}:{SCRIPTS.parent}",
    }
    for name, start in (("one", ONE), ("two", TWO)):
        words = [*start, str(PROGRAM), str(folder / "given"), str(folder / name)]
        ended = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
        assert ended.returncode == 0, ended.stderr[-6000:]
    return folder


@pytest.mark.parametrize("name", [*IMAGE_METHODS, *SHARED_SELECTORS, "seeds"])
def test_the_bytes_do_not_depend_on_the_number_of_processes(made, name):
    one, two = (made / number / name for number in ("one", "two"))
    files = sorted(path.relative_to(one) for path in one.rglob("*.safetensors"))
    assert files == sorted(path.relative_to(two) for path in two.rglob("*.safetensors")) and files
    for file in files:
        assert (one / file).read_bytes() == (two / file).read_bytes(), file


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two processes share what there is")
def test_each_process_has_cores_of_its_own(made):
    parts = [set((made / "two" / f"cores-{k}").read_text().split()) for k in range(2)]
    assert all(parts) and not parts[0] & parts[1]
    assert {int(core) for core in parts[0] | parts[1]} == os.sched_getaffinity(0)
