import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ddcore.benchmarks import scale
from ddcore.benchmarks.scale import ScaleBenchmark, pages_of, slopes, watched
from ddcore.errors import DDCoreError


def test_the_slope_is_the_steepest_between_neighbours():
    result = slopes(
        "members", (10, 100, 1000), [{"random": 1, "k-means": 1}, {"random": 1, "k-means": 10}, {"random": 2}]
    )
    values = {(each.variant, each.metric): each.p50 for each in result.rows}
    assert values["k-means", "slope"] == pytest.approx(1) and values["k-means", "expected slope"] == 1
    assert values["random", "slope"] == pytest.approx(math.log10(2)) and values["random", "expected slope"] == 0
    assert result.text == "slopes along members: random 0.30 (at most 0), k-means 1.00 (at most 1)"


def test_the_memory_of_a_command_is_told_apart(tmp_path):
    """A large array counts as anonymous memory, a file of which every page is read as mapped."""
    np.zeros(64 * 2**20, dtype=np.uint8).tofile(tmp_path / "file")
    hold = "import numpy, time; a = numpy.ones(96 * 2**20, dtype='uint8'); time.sleep(1)"
    read = f"import numpy, time; a = numpy.memmap({str(tmp_path / 'file')!r}, mode='r'); a.sum(); time.sleep(1)"
    _, anonymous, mapped = watched([sys.executable, "-c", hold], {}, 60)
    _, less, more = watched([sys.executable, "-c", read], {}, 60)
    assert anonymous > 96 * 2**20 > less and more > mapped + 32 * 2**20
    assert pages_of(os.getpid())[0] > 0 and pages_of(2**22 + 1) == (0, 0)


def test_a_command_that_fails_or_does_not_end_is_said():
    with pytest.raises(DDCoreError, match=r"failed \(exit 3\): so it goes"):
        watched([sys.executable, "-c", "import sys; print('so it goes', file=sys.stderr); sys.exit(3)"], {}, 60)
    assert watched([sys.executable, "-c", "import time; time.sleep(60)"], {}, 0.2)[0] == math.inf


def test_each_stage_of_each_case_is_measured_in_folders_of_its_own(tmp_path, monkeypatch):
    commands = []

    def measured(command, place, limit):
        commands.append(command)
        return (math.inf if "k-center" in command else float(len(commands))), 1e6, 2e6

    monkeypatch.setattr(scale, "watched", measured)
    benchmark = ScaleBenchmark(quick=True, axis="members", stages="k-center,dm", folder=str(tmp_path))
    results = list(benchmark.results(["scripts/benchmark.py"], torch.device("cpu")))
    names = [each.rows[0].variant for each in results[:-1] if each.rows]
    assert names == 2 * ["first reading", "random", "teacher", "dm"]
    assert sum("not finished" in each.text for each in results) == 2
    assert results[-1].rows[0].case == "members" and "k-center" not in results[-1].text
    folders = [command[command.index("--out") + 1] for command in commands]
    assert len(set(folders)) == len(folders)
    dm = commands[4]
    assert Path(dm[dm.index("--dataset") + 1].removeprefix("images:"), "0000").is_dir()
    assert all(word in dm for word in ("scripts/distill.py", "--budget", "10", "--steps"))


def test_the_large_case_has_stages_of_its_own(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(scale, "watched", lambda command, *_: commands.append(command) or (1.0, 1e6, 2e6))
    benchmark = ScaleBenchmark(quick=True, axis="large", folder=str(tmp_path))
    results = list(benchmark.results(["scripts/benchmark.py"], torch.device("cpu")))
    assert [each.rows[0].variant for each in results] == list(scale.large_stages())
    dm, evaluate = commands[-2:]
    assert evaluate[evaluate.index("--set") + 1] == dm[dm.index("--out") + 1]


def test_selectors_that_train_networks_train_short_ones():
    assert " --net mlp --share 0.05 " in scale.stages()["el2n"].command
    assert " --net mlp --budget " in scale.stages()["rl-agent"].command
    assert "--net" not in scale.stages()["k-means"].command
